#version 450
// dst = √Σ x, and the factor that clips it to the limit. There is one workgroup. If x is
// too large for one binding, it is split into pieces with a dispatch for each. Between
// them dst[0] holds the sum so far.
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64, local_size_x_id = 0) in;
#include "math.glsl"
#include "reduce.glsl"

layout(push_constant) uniform Push {
	uint dst, x, n;
	uint first, last; // whether this is the first piece, and the last
	float limit;
} p;
layout(binding = 0) restrict buffer Dst { float dst[]; };
layout(binding = 1) restrict readonly buffer X { float x[]; };

void main() {
	float total = 0;
	for (uint i = gl_LocalInvocationID.x; i < p.n; i += gl_WorkGroupSize.x) {
		total += x[p.x + i];
	}
	total = workgroup_sum_once(vec2(total, 0)).x;
	if (gl_LocalInvocationID.x > 0) {
		return;
	}
	if (p.first == 0) {
		total += dst[p.dst];
	}
	if (p.last == 0) {
		dst[p.dst] = total;
		return;
	}
	float norm = sqrt(total), padded = norm + 1e-6;
	dst[p.dst] = norm;
	dst[p.dst + 1] = is_nan(norm) ? nan() : padded > p.limit ? p.limit / padded : 1;
}
