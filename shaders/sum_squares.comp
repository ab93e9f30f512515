#version 450
// dst = Σ x². A workgroup computes a row. X4: x is read in fours.
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64, local_size_x_id = 0) in;
#include "reduce.glsl"
#include "rows.glsl"

#ifdef X4
#define T vec4
#else
#define T float
#endif

layout(push_constant) uniform Push {
	uvec4 dst, x;
	uint rows, n1, n2, n;
} p;
layout(binding = 0) restrict writeonly buffer Dst { float dst[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.x; r < p.rows; r += gl_NumWorkGroups.x) {
		uint from = row(p.x, r, p.n1, p.n2);
		float total = 0;
		for (uint i = lane; i < p.n; i += lanes) {
			T v = x[from + i];
			total += dot(v, v);
		}
		total = workgroup_sum(vec2(total, 0)).x;
		if (lane == 0) {
			dst[row(p.dst, r, p.n1, p.n2)] = total;
		}
	}
}
