#version 450
// dst = exp(x − max) / Σ exp(x − max). A workgroup computes a row.
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64, local_size_x_id = 0) in;
#include "math.glsl"
#include "reduce.glsl"
#include "rows.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, x;
	uint rows, n1, n2, n;
} p;
layout(binding = 0) restrict writeonly buffer Dst { float dst[]; };
layout(binding = 1) restrict readonly buffer X { float x[]; };

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.x; r < p.rows; r += gl_NumWorkGroups.x) {
		uint from = row(p.x, r, p.n1, p.n2), to = row(p.dst, r, p.n1, p.n2);

		float largest = uintBitsToFloat(0xff800000u);
		for (uint i = lane; i < p.n; i += lanes) {
			largest = max(largest, x[from + i]);
		}
		largest = workgroup_max(largest);

		vec2 total = vec2(0);
		for (uint i = lane; i < p.n; i += lanes) {
			total.x += exp_(x[from + i] - largest);
		}
		total = workgroup_sum(total);

		// A row with +∞, or with no element above −∞, has no distribution: ∞ − ∞ gives NaN.
		bool none = is_nan(total.x) || is_infinite(largest);
		for (uint i = lane; i < p.n; i += lanes) {
			dst[to + i] = none ? nan() : exp_(x[from + i] - largest) / total.x;
		}
	}
}
