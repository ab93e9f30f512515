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
// TEXEL: in fours, through the texture unit, on a driver that computes on the CPU. Offsets, strides and n are in fours then.
#ifdef TEXEL
#define VEC vec4
#define WIDTH 4u
#define READ(b, i) texelFetch(b, int(i))
float first(vec4 v) { return v.x; }
float sum(vec4 v) { return (v.x + v.y) + (v.z + v.w); }
layout(binding = 1) uniform textureBuffer x;
layout(binding = 2) uniform textureBuffer gamma;
layout(binding = 3) uniform textureBuffer beta;
#else
#define VEC float
#define WIDTH 1u
#define READ(b, i) b[i]
float first(float v) { return v; }
float sum(float v) { return v; }
layout(binding = 1) restrict readonly buffer X { float x[]; };
layout(binding = 2) restrict readonly buffer Gamma { float gamma[]; };
layout(binding = 3) restrict readonly buffer Beta { float beta[]; };
#endif
layout(binding = 0) restrict writeonly buffer Dst { VEC dst[]; };

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.x; r < p.rows; r += gl_NumWorkGroups.x) {
		uint from = row(p.x, r, p.n1, p.n2), to = row(p.dst, r, p.n1, p.n2);

		// Relative to the first element, for the same reason.
		float origin = first(READ(x, from));
		vec2 sums = vec2(0);
		for (uint i = lane; i < p.n; i += lanes) {
			sums.x += sum(READ(x, from + i) - origin);
		}
		float mean = origin + workgroup_sum(sums).x / float(p.n * WIDTH);

		sums = vec2(0);
		for (uint i = lane; i < p.n; i += lanes) {
			precise VEC d = READ(x, from + i) - mean;
			sums += vec2(sum(d), sum(d * d));
		}
		sums = workgroup_sum(sums) / float(p.n * WIDTH);
		float variance = max(sums.y - sums.x * sums.x, 0.0);
		float scale = 1.0 / sqrt(variance + p.epsilon);

		for (uint i = lane; i < p.n; i += lanes) {
			precise VEC centred = (READ(x, from + i) - mean) - sums.x;
			dst[to + i] = centred * scale * READ(gamma, p.gamma + i) + READ(beta, p.beta + i);
		}
	}
}
