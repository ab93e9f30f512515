#version 450
// The second dispatch of sample, not an op of its own: for each chunk of a row the sum of
// the weights, without and with the penalty; for the row how many tokens are in each cell.
// A workgroup takes a chunk.
#extension GL_GOOGLE_include_directive : require
#define LANES 256
#include "sample.glsl"

layout(binding = 0) restrict buffer Scratch { uint scratch[]; };
layout(binding = 1) restrict readonly buffer X { uint x[]; };
layout(binding = 2) restrict readonly buffer Slots { uint slots[]; };
layout(binding = 3) restrict readonly buffer Settings { uint settings[]; };
layout(binding = 4) restrict readonly buffer Marks { uint marks[]; };
#include "sample_slot.glsl"

shared uint cells[512];

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.y; r < p.rows; r += gl_NumWorkGroups.y) {
		uint to = p.scratch + r * p.scratch_stride, slot = slot_of(r);
		if (slot >= p.slot_count) {
			continue;
		}
		for (uint i = lane; i < CELLS; i += lanes) {
			cells[i] = 0;
		}
		Sampling s = sampling(slot);
		uvec4 best = uvec4(0, 0, NOBODY, NOBODY);
		for (uint i = lane; i < chunks(); i += lanes) {
			uint at = to + PARTS + i * PART;
			best = joined(best, uvec4(scratch[at], scratch[at + 1], scratch[at + 2], scratch[at + 3]));
		}
		barrier();
		best = workgroup_join(best);
		bool second = s.top_k == 0 && s.top_p != uvec2(0); // whether the other sum is asked for
		for (uint chunk = gl_WorkGroupID.x; chunk < chunks(); chunk += gl_NumWorkGroups.x) {
			uvec4 sums = uvec4(0);
			for (uint i = chunk * CHUNK + lane; i < min(p.n, (chunk + 1) * CHUNK); i += lanes) {
				uvec2 k = keys(r, slot, s, i);
				if (k.x == NONE || best.w != NOBODY) {
					continue;
				}
				float d = distance_to(best.x, k.x);
				uvec2 w = weight(d);
				sums.xy = add(sums.xy, w);
				if (s.greedy) {
					continue;
				}
				if (k.x != k.y || best.x != best.y) {
					d = distance_to(best.y, k.y);
					if (second) {
						w = weight(d);
					}
				}
				sums.zw = add(sums.zw, w);
				atomicAdd(cells[cell(d)], 1);
			}
			barrier();
			sums = workgroup_add(sums); // which all wait for
			if (lane < 4) {
				scratch[to + PARTS + chunk * PART + 4 + lane] = sums[lane];
			}
		}
		for (uint i = lane; i < CELLS; i += lanes) {
			if (cells[i] != 0) {
				atomicAdd(scratch[to + i], cells[i]);
			}
		}
	}
}
