#version 450
// dst = f(gate) · (up + shift), clamped before, element by element.
#extension GL_GOOGLE_include_directive : require
#include "math.glsl"
#include "activation.glsl"
#include "rows.glsl"
#include "elementwise.glsl"

layout(constant_id = 1) const uint FUNC = 0; // f: see activation.glsl

layout(push_constant) uniform Push {
	uvec4 dst, gate, up;
	uint rows, n1, n2, n;
	float limit, shift;
} p;
layout(binding = 0) restrict writeonly buffer Dst { T dst[]; };
layout(binding = 1) restrict readonly buffer Gate { T gate[]; };
layout(binding = 2) restrict readonly buffer Up { T up[]; };

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dst, r, p.n1, p.n2), from = row(p.gate, r, p.n1, p.n2), beside = row(p.up, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			dst[to + i] = activation(FUNC, at_most(gate[from + i], p.limit)) * (within(up[beside + i], p.limit) + p.shift);
		}
	}
}
