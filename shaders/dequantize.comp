#version 450
// dst = x, from blocks of a quantised dtype to f32. Rows may have any stride. It is
// what copy.comp is for plain dtypes.
//
// Each invocation along x converts four neighbours. Workgroups along y loop over the
// rows. x's base and strides are in 16-bit words.
#extension GL_GOOGLE_include_directive : require
#include "dtypes.glsl"
#include "rows.glsl"
#include "elementwise.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, x;
	uint rows, n1, n2, n; // n: fours of a row
} p;
layout(binding = 0) restrict writeonly buffer Dst { float dst[]; };
layout(binding = 1) restrict readonly buffer X { uint x[]; };

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dst, r, p.n1, p.n2), from = row(p.x, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			vec4 v = BLOCK_AT(x, from, 4 * i);
			dst[to + 4 * i] = v.x;
			dst[to + 4 * i + 1] = v.y;
			dst[to + 4 * i + 2] = v.z;
			dst[to + 4 * i + 3] = v.w;
		}
	}
}
