#version 450
// A step of AdamW (see backend/adamw.go), elementwise.
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"
#include "elementwise.glsl"

layout(constant_id = 1) const bool SCALED = false;

layout(push_constant) uniform Push {
	uvec4 w, m, v, g;
	uint rows, n1, n2, n;
	uint step, scale;
	float beta1, rest1, beta2, rest2; // rest = 1 − beta
	float epsilon, decay;
} p;
layout(binding = 0) restrict buffer W { T w[]; };
layout(binding = 1) restrict buffer M { T m[]; };
layout(binding = 2) restrict buffer V { T v[]; };
layout(binding = 3) restrict readonly buffer G { T g[]; };
layout(binding = 4) restrict readonly buffer Step { float step_[]; }; // learning rate, 1 − beta1ᵗ, 1 − beta2ᵗ
layout(binding = 5) restrict readonly buffer Scale { float scale[]; };

void main() {
	float rate = step_[p.step], correct1 = 1 / step_[p.step + 1], correct2 = 1 / step_[p.step + 2];
	float scale = SCALED ? scale[p.scale] : 1;
	FOR_ROWS(r, p.rows) {
		uint at_w = row(p.w, r, p.n1, p.n2), at_m = row(p.m, r, p.n1, p.n2);
		uint at_v = row(p.v, r, p.n1, p.n2), at_g = row(p.g, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			T grad = scale * g[at_g + i], weight = w[at_w + i];
			T mean = p.beta1 * m[at_m + i] + p.rest1 * grad;
			T square = p.beta2 * v[at_v + i] + p.rest2 * grad * grad;
			m[at_m + i] = mean;
			v[at_v + i] = square;
			w[at_w + i] = weight - rate * (p.decay * weight + mean * correct1 / (sqrt(square * correct2) + p.epsilon));
		}
	}
}
