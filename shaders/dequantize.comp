#version 450
// dst = the numbers of rows of a quantised matrix, as f32: not an op, but what
// linear does first on a software driver that has many rows of x to multiply,
// where unpacking a block again for each of them would take most of the time.
//
// Invocations along x take four neighbours each, workgroups along y the rows.
#extension GL_GOOGLE_include_directive : require
#include "quantized.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(push_constant) uniform Push {
	uint dst; // rows lie one behind the other
	uint w, w_stride;
	uint rows, in_;
} p;
layout(binding = 0) restrict writeonly buffer Dst { float dst[]; };
layout(binding = 1) restrict readonly buffer W { uint w[]; };

void main() {
	for (uint r = gl_WorkGroupID.y; r < p.rows; r += gl_NumWorkGroups.y) {
		uint from = p.w + r * p.w_stride, to = p.dst + r * p.in_;
		for (uint k = 4 * gl_GlobalInvocationID.x; k < p.in_; k += 4 * gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
			vec4 v = READ_AT(w, from, k);
			dst[to + k] = v.x;
			dst[to + k + 1] = v.y;
			dst[to + k + 2] = v.z;
			dst[to + k + 3] = v.w;
		}
	}
}
