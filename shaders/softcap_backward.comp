#version 450
// dx = dy · (1 − tanh²(x / cap)), element by element.
#extension GL_GOOGLE_include_directive : require
#include "math.glsl"
#include "rows.glsl"
#include "elementwise.glsl"

#ifdef X4
#define TANH(v) vec4(tanh_(v.x), tanh_(v.y), tanh_(v.z), tanh_(v.w))
#else
#define TANH(v) tanh_(v)
#endif

layout(push_constant) uniform Push {
	uvec4 dx, x, dy;
	uint rows, n1, n2, n;
	float cap;
} p;
layout(binding = 0) restrict writeonly buffer DX { T dx[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };
layout(binding = 2) restrict readonly buffer DY { T dy[]; };

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dx, r, p.n1, p.n2), from = row(p.x, r, p.n1, p.n2), up = row(p.dy, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			T v = x[from + i] / p.cap;
			T t = TANH(v);
			dx[to + i] = dy[up + i] * (1.0 - t * t);
		}
	}
}
