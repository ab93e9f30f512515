#version 450
// dst = x from f32 to f16: what copy.comp does, where rows can be read in
// fours. Training in mixed precision rounds every operand of a product so.
//
// Strides are in fours: an invocation reads four numbers and writes two words.
#extension GL_GOOGLE_include_directive : require
#include "pairs/f16.glsl"
#include "rows.glsl"
#include "elementwise.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, x;
	uint rows, n1, n2, n;
} p;
layout(binding = 0) restrict writeonly buffer Dst { uvec2 dst[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };

uint pair(vec2 v) { return f16_round(floatBitsToUint(v.x)) | f16_round(floatBitsToUint(v.y)) << 16; }

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dst, r, p.n1, p.n2), from = row(p.x, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			vec4 v = x[from + i];
			dst[to + i] = uvec2(pair(v.xy), pair(v.zw));
		}
	}
}
