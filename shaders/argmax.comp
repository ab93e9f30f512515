#version 450
// The index of the largest element; if several are equal, the lowest index. A
// workgroup computes a row. Elements are compared as integers (see key), so that the
// result does not depend on how a compiler treats NaN.
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64, local_size_x_id = 0) in;
#include "rows.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, x;
	uint rows, n1, n2, n;
} p;
layout(binding = 0) restrict writeonly buffer Dst { int dst[]; };
layout(binding = 1) restrict readonly buffer X { uint x[]; };

shared uvec2 best[256]; // key, index

const uint infinity = 0x7f800000u;

// key maps floats to integers in the same order. It maps both zeros to the same
// integer, and NaN to 0.
uint key(uint bits) {
	uint magnitude = bits & 0x7fffffffu;
	if (magnitude > infinity) {
		return 0;
	}
	return magnitude == bits ? 0x80000000u + magnitude : 0x80000000u - magnitude;
}

uvec2 better(uvec2 a, uvec2 b) {
	return b.x > a.x || (b.x == a.x && b.y < a.y) ? b : a;
}

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.x; r < p.rows; r += gl_NumWorkGroups.x) {
		uint from = row(p.x, r, p.n1, p.n2);
		uvec2 found = uvec2(0x80000000u - infinity, 0); // −∞ at 0
		for (uint i = lane; i < p.n; i += lanes) {
			uint k = key(x[from + i]);
			if (k > found.x) {
				found = uvec2(k, i);
			}
		}
		best[lane] = found;
		barrier();
		if (lanes <= 16) { // as in reduce.glsl
			for (uint i = 0; i < lanes; i++) {
				found = better(found, best[i]);
			}
		} else {
			for (uint n = lanes / 2; n > 0; n /= 2) {
				if (lane < n) {
					best[lane] = better(best[lane], best[lane + n]);
				}
				barrier();
			}
			found = best[0];
		}
		if (lane == 0) {
			dst[row(p.dst, r, p.n1, p.n2)] = int(found.y);
		}
		barrier();
	}
}
