#version 450
// dst = a + b, elementwise.
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"
#include "elementwise.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, a, b;
	uint rows, n1, n2, n;
} p;
layout(binding = 0) restrict writeonly buffer Dst { T dst[]; };
layout(binding = 1) restrict readonly buffer A { T a[]; };
layout(binding = 2) restrict readonly buffer B { T b[]; };

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dst, r, p.n1, p.n2), left = row(p.a, r, p.n1, p.n2), right = row(p.b, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			dst[to + i] = a[left + i] + b[right + i];
		}
	}
}
