#version 450
// dx = dy · GELU'(x), of the tanh form, element by element.
#extension GL_GOOGLE_include_directive : require
#include "math.glsl"
#include "rows.glsl"
#include "elementwise.glsl"

layout(push_constant) uniform Push {
	uvec4 dx, x, dy;
	uint rows, n1, n2, n;
} p;
layout(binding = 0) restrict writeonly buffer DX { T dx[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };
layout(binding = 2) restrict readonly buffer DY { T dy[]; };

// GELU is x·s(z) with s = 1 / (1 + e^(−z)). Where x² may be infinite, s·(1 − s) is 0.
float slope(float x) {
	const float one = 2 * 0.797884561, three = one * 0.044715; // z = one·x + three·x³
	float s = 1 / (1 + exp_(-x * (one + three * x * x)));
	float steep = s * (1 - s);
	return steep > 0 ? s + x * steep * (one + 3 * three * x * x) : s;
}

vec4 slope(vec4 x) { return vec4(slope(x.x), slope(x.y), slope(x.z), slope(x.w)); }

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dx, r, p.n1, p.n2), from = row(p.x, r, p.n1, p.n2), up = row(p.dy, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			dx[to + i] = dy[up + i] * slope(x[from + i]);
		}
	}
}
