#version 450
// The gradient of a gated activation, element by element, 0 where an operand
// was clamped:
//
//	dgate = dy · (up + shift) · f'(gate),  dup = dy · f(gate)
#extension GL_GOOGLE_include_directive : require
#include "math.glsl"
#include "activation.glsl"
#include "rows.glsl"
#include "elementwise.glsl"

layout(constant_id = 1) const uint FUNC = 0; // f: see activation.glsl

layout(push_constant) uniform Push {
	uvec4 dgate, dup, gate, up, dy;
	uint rows, n1, n2, n;
	float limit, shift;
} p;
layout(binding = 0) restrict writeonly buffer DGate { T dgate[]; };
layout(binding = 1) restrict writeonly buffer DUp { T dup[]; };
layout(binding = 2) restrict readonly buffer Gate { T gate[]; };
layout(binding = 3) restrict readonly buffer Up { T up[]; };
layout(binding = 4) restrict readonly buffer DY { T dy[]; };

// below is v, but 0 where x is above limit.
float below(float v, float x) { return !is_nan(x) && x > p.limit ? 0.0 : v; }
vec4 below(vec4 v, vec4 x) { return vec4(below(v.x, x.x), below(v.y, x.y), below(v.z, x.z), below(v.w, x.w)); }

void main() {
	FOR_ROWS(r, p.rows) {
		uint to_gate = row(p.dgate, r, p.n1, p.n2), to_up = row(p.dup, r, p.n1, p.n2);
		uint from = row(p.gate, r, p.n1, p.n2), beside = row(p.up, r, p.n1, p.n2), down = row(p.dy, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			T g = gate[from + i], u = up[beside + i], d = dy[down + i];
			T clipped = at_most(g, p.limit);
			dgate[to_gate + i] = below(d * (within(u, p.limit) + p.shift) * slope(FUNC, clipped), g);
			dup[to_up + i] = below(d * activation(FUNC, clipped), abs(u));
		}
	}
}
