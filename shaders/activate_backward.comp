#version 450
// dx = dy · f'(x), element by element.
#extension GL_GOOGLE_include_directive : require
#include "math.glsl"
#include "activation.glsl"
#include "rows.glsl"
#include "elementwise.glsl"

layout(constant_id = 1) const uint FUNC = 0; // f: see activation.glsl

layout(push_constant) uniform Push {
	uvec4 dx, x, dy;
	uint rows, n1, n2, n;
} p;
layout(binding = 0) restrict writeonly buffer DX { T dx[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };
layout(binding = 2) restrict readonly buffer DY { T dy[]; };

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dx, r, p.n1, p.n2), from = row(p.x, r, p.n1, p.n2), up = row(p.dy, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			dx[to + i] = dy[up + i] * slope(FUNC, x[from + i]);
		}
	}
}
