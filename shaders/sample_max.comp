#version 450
// The first dispatch of sample, not an op of its own: the largest logit of each chunk of a
// row, without and with the penalty, and of each block of it, and whether one is not finite.
// A workgroup takes a chunk. It also clears the row's cells.
#extension GL_GOOGLE_include_directive : require
#define LANES 256
#include "sample.glsl"

layout(binding = 0) restrict writeonly buffer Scratch { uint scratch[]; };
layout(binding = 1) restrict readonly buffer X { uint x[]; };
layout(binding = 2) restrict readonly buffer Slots { uint slots[]; };
layout(binding = 3) restrict readonly buffer Settings { uint settings[]; };
layout(binding = 4) restrict readonly buffer Marks { uint marks[]; };
#include "sample_slot.glsl"

shared uint largest[256]; // of each invocation's logits of a block

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	// A group of up to eight neighbours takes a block, so that they read what is side by side.
	uint group = min(lanes, 8u), at_once = lanes / group;
	for (uint r = gl_WorkGroupID.y; r < p.rows; r += gl_NumWorkGroups.y) {
		uint to = p.scratch + r * p.scratch_stride, slot = slot_of(r);
		if (slot >= p.slot_count) {
			continue;
		}
		for (uint i = gl_GlobalInvocationID.x; i < CELLS; i += gl_NumWorkGroups.x * lanes) {
			scratch[to + i] = 0;
		}
		Sampling s = sampling(slot);
		for (uint chunk = gl_WorkGroupID.x; chunk < chunks(); chunk += gl_NumWorkGroups.x) {
			uvec4 found = uvec4(0, 0, NOBODY, NOBODY);
			uint end = min(p.n, (chunk + 1) * CHUNK);
			for (uint first = chunk * CHUNK; first < end; first += at_once * BLOCK) {
				uint from = first + lane / group * BLOCK, own = 0;
				for (uint i = from + lane % group; i < min(end, from + BLOCK); i += group) {
					uvec2 k = keys(r, slot, s, i);
					if (k.x != NONE) {
						found = joined(found, uvec4(k, i, finite_key(k.x) ? NOBODY : i));
						own = max(own, k.y);
					}
				}
				largest[lane] = own;
				barrier();
				if (lane % group == 0 && from < end) {
					for (uint i = 1; i < group; i++) {
						own = max(own, largest[lane + i]);
					}
					scratch[to + blocks_at() + from / BLOCK] = own;
				}
				barrier();
			}
			found = workgroup_join(found);
			if (lane < 4) {
				scratch[to + PARTS + chunk * PART + lane] = found[lane];
			}
		}
	}
}
