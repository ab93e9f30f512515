#version 450
// The experts with the largest scores, and the softmax of these. A workgroup computes a row: it
// looks for the largest so many times. Scores are compared as integers (see key), so that the result does
// not depend on how a compiler treats NaN, or on whether a device flushes denormal numbers.
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64, local_size_x_id = 0) in; // at most 64, a power of two
#include "rows.glsl"
#include "math.glsl"

layout(push_constant) uniform Push {
	uvec4 ids, weights, x;
	uint rows, n1, n2, n; // n: experts
	uint chosen;
} p;
layout(binding = 0) restrict writeonly buffer IDs { int ids[]; };
layout(binding = 1) restrict writeonly buffer Weights { float weights[]; };
layout(binding = 2) restrict readonly buffer X { uint x[]; };

shared uint keys[1024];  // 0: it was chosen before
shared uvec2 best[64];   // key, index
shared float scores[32]; // of those that were chosen

// key is backend.RouteKey.
uint key(uint bits) {
	uint magnitude = bits & 0x7fffffffu;
	if (magnitude > 0x7f800000u) {
		return 0xffffffffu;
	}
	if (magnitude < 0x00800000u) {
		return 0x80000000u;
	}
	return magnitude == bits ? 0x80000000u + magnitude : 0x80000000u - magnitude;
}

uvec2 better(uvec2 a, uvec2 b) { return b.x > a.x || (b.x == a.x && b.y < a.y) ? b : a; }

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.x; r < p.rows; r += gl_NumWorkGroups.x) {
		uint from = row(p.x, r, p.n1, p.n2), to_id = row(p.ids, r, p.n1, p.n2), to_weight = row(p.weights, r, p.n1, p.n2);
		for (uint i = lane; i < p.n; i += lanes) { // each reads only what it writes here
			keys[i] = key(x[from + i]);
		}
		for (uint c = 0; c < p.chosen; c++) {
			uvec2 own = uvec2(0, 0xffffffffu);
			for (uint i = lane; i < p.n; i += lanes) {
				own = better(own, uvec2(keys[i], i));
			}
			best[lane] = own;
			barrier();
			for (uint n = lanes / 2; n > 0; n /= 2) {
				if (lane < n) {
					best[lane] = better(best[lane], best[lane + n]);
				}
				barrier();
			}
			uint id = best[0].y;
			if (id % lanes == lane) {
				keys[id] = 0;
				ids[to_id + c] = int(id);
				scores[c] = uintBitsToFloat(x[from + id]);
			}
			barrier();
		}
		float sum = 0;
		for (uint c = 0; c < p.chosen; c++) {
			sum += exp_(scores[c] - scores[0]); // the largest is the first
		}
		for (uint c = lane; c < p.chosen; c += lanes) {
			weights[to_weight + c] = exp_(scores[c] - scores[0]) / sum;
		}
	}
}
