#version 450
// dst = x with significands of 11 bits, element by element. Numbers are words here, so that no
// device flushes denormals.
#extension GL_GOOGLE_include_directive : require
#include "round.glsl"
#include "rows.glsl"
#include "elementwise.glsl"

#ifdef X4
#define BITS uvec4
#define ROUND(v) uvec4(round_f16(v.x), round_f16(v.y), round_f16(v.z), round_f16(v.w))
#else
#define BITS uint
#define ROUND(v) round_f16(v)
#endif

layout(push_constant) uniform Push {
	uvec4 dst, x;
	uint rows, n1, n2, n;
} p;
layout(binding = 0) restrict writeonly buffer Dst { BITS dst[]; };
layout(binding = 1) restrict readonly buffer X { BITS x[]; };

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dst, r, p.n1, p.n2), from = row(p.x, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			BITS v = x[from + i];
			dst[to + i] = ROUND(v);
		}
	}
}
