#version 450
// dst = x · by, with one factor for each row.
// X4: rows of dst and x are in fours.
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"
#include "elementwise.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, x, by;
	uint rows, n1, n2, n;
} p;
layout(binding = 0) restrict writeonly buffer Dst { T dst[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };
layout(binding = 2) restrict readonly buffer By { float by[]; };

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dst, r, p.n1, p.n2), from = row(p.x, r, p.n1, p.n2);
		float factor = by[row(p.by, r, p.n1, p.n2)];
		FOR_ROW(i, p.n) {
			dst[to + i] = x[from + i] * factor;
		}
	}
}
