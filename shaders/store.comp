#version 450
// dst[b, at[b]+t] = x[b,t]: writes rows to a cache. Rows that would be outside of it are
// not written. A dispatch handles a piece of the cache's rows.
//
// Workgroups along y loop over the rows of x, invocations along x over a row. Each
// writes one element, or two of 16 bits: a word.
#extension GL_GOOGLE_include_directive : require
#include "dtypes.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(push_constant) uniform Push {
	uvec4 dst, x; // strides of batch in z, of rows in w
	uint batch, time, width;
	uint first, rows; // which rows of the cache dst is
	uint first_time;  // of x's first row in the sequence
	uint at, at_stride;
} p;
layout(binding = 0) restrict buffer Dst { uint dst[]; };
layout(binding = 1) restrict readonly buffer X { uint x[]; };
#ifdef PAIRS
#include "pair_store.glsl"
#endif
layout(binding = 2) restrict readonly buffer At { uint at[]; };

void main() {
	uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.y; r < p.batch * p.time; r += gl_NumWorkGroups.y) {
		uint b = r / p.time, t = r % p.time;
		// Modulo 2³²: positions below 0 are large, and so outside.
		uint place = at[p.at + b * p.at_stride] + p.first_time + t - p.first;
		if (place >= p.rows) {
			continue;
		}
		uint to = p.dst.x + b * p.dst.z + place * p.dst.w, from = p.x.x + b * p.x.z + t * p.x.w;
#ifdef PAIRS
		for (uint i = gl_GlobalInvocationID.x; i <= p.width / 2; i += step) {
			uint second = 2 * i + 1 - (to & 1u), first = second - 1;
			bool has_first = first < p.width, has_second = second < p.width;
			if (has_first && has_second) {
				store_pair(to + first, ROUND(x[from + first]), ROUND(x[from + second]));
			} else if (has_first) {
				store_half(to + first, ROUND(x[from + first]));
			} else if (has_second) {
				store_half(to + second, ROUND(x[from + second]));
			}
		}
#else
		for (uint i = gl_GlobalInvocationID.x; i < p.width; i += step) {
			dst[to + i] = x[from + i];
		}
#endif
	}
}
