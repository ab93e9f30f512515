#version 450
// dst += Σ rows of x. It is no op of its own: kernels use it for the gradient of a bias,
// and to add up the parts of a sum that was split.
//
// Invocations along x sum neighbouring columns. Those along y share the rows, and their
// sums are added at the end, in order.
#extension GL_GOOGLE_include_directive : require
#include "load.glsl"

layout(local_size_x = 8, local_size_y = 1, local_size_x_id = 0, local_size_y_id = 1) in;

layout(push_constant) uniform Push {
	uint dst;
	uint x, x_stride;
	uint rows, n; // n and all others are in fours with X4
} p;
layout(binding = 0) restrict buffer Dst { VEC dst[]; };
layout(binding = 1) restrict readonly buffer X { ELEMENT x[]; };

shared VEC partial[256];

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	uint slice = gl_LocalInvocationID.y, slices = gl_WorkGroupSize.y;
	for (uint i0 = gl_WorkGroupID.x * lanes; i0 < p.n; i0 += gl_NumWorkGroups.x * lanes) {
		uint i = min(i0 + lane, p.n - 1);
		VEC total = VEC(0);
		for (uint r = slice; r < p.rows; r += slices) {
			total += READ(x, WIDTH * (p.x + r * p.x_stride + i));
		}
		if (slices > 1) {
			partial[slice * lanes + lane] = total;
			barrier();
			if (slice == 0) {
				for (uint s = 1; s < slices; s++) {
					total += partial[s * lanes + lane];
				}
			}
			barrier();
		}
		if (slice == 0 && i0 + lane < p.n) {
			dst[p.dst + i] += total;
		}
	}
}
