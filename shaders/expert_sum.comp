#version 450
// dst[r] = Σ over c of weights[r, c] · x[r, c].
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"
#include "elementwise.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, x, weights; // of tokens
	uint rows, n1, n2, n;
	uint chosen, x_stride; // from one expert's vector to the next one's
} p;
layout(binding = 0) restrict writeonly buffer Dst { float dst[]; };
layout(binding = 1) restrict readonly buffer X { float x[]; };
layout(binding = 2) restrict readonly buffer Weights { float weights[]; };

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dst, r, p.n1, p.n2), from = row(p.x, r, p.n1, p.n2), by = row(p.weights, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			float v = weights[by] * x[from + i];
			for (uint c = 1; c < p.chosen; c++) {
				v += weights[by + c] * x[from + c * p.x_stride + i];
			}
			dst[to + i] = v;
		}
	}
}
