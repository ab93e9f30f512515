#version 450
// dst = cap · tanh(x / cap), element by element.
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
	uvec4 dst, x;
	uint rows, n1, n2, n;
	float cap;
} p;
layout(binding = 0) restrict writeonly buffer Dst { T dst[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dst, r, p.n1, p.n2), from = row(p.x, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			T v = x[from + i] / p.cap;
			dst[to + i] = p.cap * TANH(v);
		}
	}
}
