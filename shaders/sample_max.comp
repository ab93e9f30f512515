#version 450
// The first dispatch of sample, not an op of its own: the largest logit of each chunk of a
// row, without and with the penalty, and whether one is not finite. A workgroup takes a
// chunk. It also clears the row's cells.
#extension GL_GOOGLE_include_directive : require
#include "sample.glsl"

layout(binding = 0) restrict writeonly buffer Scratch { uint scratch[]; };
layout(binding = 1) restrict readonly buffer X { uint x[]; };
layout(binding = 2) restrict readonly buffer Slots { uint slots[]; };
layout(binding = 3) restrict readonly buffer Settings { uint settings[]; };
layout(binding = 4) restrict readonly buffer Marks { uint marks[]; };
#include "sample_slot.glsl"

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
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
			for (uint i = chunk * CHUNK + lane; i < min(p.n, (chunk + 1) * CHUNK); i += lanes) {
				uvec2 k = keys(r, slot, s, i);
				if (k.x != NONE) {
					found = joined(found, uvec4(k, i, finite_key(k.x) ? NOBODY : i));
				}
			}
			found = workgroup_join(found);
			if (lane < 4) {
				scratch[to + PARTS + chunk * PART + lane] = found[lane];
			}
		}
	}
}
