#version 450
// dst = (x − mean) / √(var + ε) · gamma + beta. A workgroup computes a row.
//
// The second pass also sums the rounding error of the mean, so that rows far from zero
// with a small variance stay accurate (Chan, Golub and LeVeque 1983, the corrected
// two-pass algorithm).
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64, local_size_x_id = 0) in;
#include "reduce.glsl"
#include "rows.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, x;
	uint rows, n1, n2, n;
	uint gamma, beta;
	float epsilon;
} p;
layout(binding = 0) restrict writeonly buffer Dst { float dst[]; };
layout(binding = 1) restrict readonly buffer X { float x[]; };
layout(binding = 2) restrict readonly buffer Gamma { float gamma[]; };
layout(binding = 3) restrict readonly buffer Beta { float beta[]; };

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.x; r < p.rows; r += gl_NumWorkGroups.x) {
		uint from = row(p.x, r, p.n1, p.n2), to = row(p.dst, r, p.n1, p.n2);

		// Relative to the first element, for the same reason.
		float origin = x[from];
		vec2 sums = vec2(0);
		for (uint i = lane; i < p.n; i += lanes) {
			sums.x += x[from + i] - origin;
		}
		float mean = origin + workgroup_sum(sums).x / float(p.n);

		sums = vec2(0);
		for (uint i = lane; i < p.n; i += lanes) {
			precise float d = x[from + i] - mean;
			sums += vec2(d, d * d);
		}
		sums = workgroup_sum(sums) / float(p.n);
		float variance = max(sums.y - sums.x * sums.x, 0.0);
		float scale = 1.0 / sqrt(variance + p.epsilon);

		for (uint i = lane; i < p.n; i += lanes) {
			precise float centred = (x[from + i] - mean) - sums.x;
			dst[to + i] = centred * scale * gamma[p.gamma + i] + beta[p.beta + i];
		}
	}
}
