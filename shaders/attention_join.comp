#version 450
// Joins what attention_one.comp leaves of the parts of keys: dst = Σ eᵐ·x / Σ eᵐ·total, where m is a
// part's maximum. A workgroup serves a head of a query. Parts that the query does not reach are not read.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "math.glsl"
#include "places.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in; // subgroups
layout(constant_id = 1) const uint SIZE = 64; // of a head
layout(constant_id = 2) const uint PARTS = 64; // at most 64
layout(constant_id = 3) const uint SUBGROUP_SIZE = 32; // lanes, at least 4

layout(push_constant) uniform Push {
	uint dst, dst_run;
	uint x;        // of a part: maximum, total, two that are not used, sums
	uint seq, pos; // of the first query
	uint sequences, context;
	uint window, part_keys;
} p;

layout(binding = 0) restrict writeonly buffer Dst { float dst[]; };
layout(binding = 1) restrict readonly buffer X { float x[]; };
layout(binding = 2) restrict readonly buffer At { uint at[]; };

const uint EACH = (PARTS + SUBGROUP_SIZE - 1) / SUBGROUP_SIZE; // parts of a lane, at most 16
const float LEAST = -3.4028234663852886e38;

void main() {
	uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.y, run = gl_WorkGroupID.z;
	uint sequence = at[p.seq + run], position = at[p.pos + run];
	uint to = p.dst + run * p.dst_run + head * SIZE;
	if (sequence >= p.sequences || position >= p.context) {
		for (uint d = lane; d < SIZE; d += gl_WorkGroupSize.x) {
			dst[to + d] = sequence == PADDING ? 0.0 : nan();
		}
		return;
	}
	uint parts = (min(position + 1, p.window) + p.part_keys - 1) / p.part_keys;
	uint from = p.x + (run * gl_NumWorkGroups.y + head) * PARTS * (SIZE + 4);

	float largest[16], total[16], weight[16], most = LEAST, all = 0;
	[[unroll]] for (uint i = 0; i < EACH; i++) {
		uint part = i * SUBGROUP_SIZE + lane % SUBGROUP_SIZE, of = from + min(part, parts - 1) * (SIZE + 4);
		largest[i] = x[of];
		total[i] = x[of + 1];
	}
	[[unroll]] for (uint i = 0; i < EACH; i++) {
		most = max(most, largest[i]);
	}
	most = subgroupMax(most);
	[[unroll]] for (uint i = 0; i < EACH; i++) {
		weight[i] = i * SUBGROUP_SIZE + lane % SUBGROUP_SIZE < parts ? exp_(largest[i] - most) : 0.0;
		all += i * SUBGROUP_SIZE + lane % SUBGROUP_SIZE < parts ? weight[i] * total[i] : 0.0;
	}
	all = subgroupAdd(all);
	float factor = all > 0 ? 1 / all : nan();

	for (uint begin = 0; begin < SIZE; begin += gl_WorkGroupSize.x) {
		uint d = begin + lane;
		float sum = 0;
		[[unroll]] for (uint i = 0; i < EACH; i++) {
			for (uint j = 0; j < SUBGROUP_SIZE && i * SUBGROUP_SIZE + j < parts; j += 4) {
				float some[4];
				[[unroll]] for (uint n = 0; n < 4; n++) {
					some[n] = x[from + min(i * SUBGROUP_SIZE + j + n, parts - 1) * (SIZE + 4) + 4 + min(d, SIZE - 1)];
				}
				[[unroll]] for (uint n = 0; n < 4; n++) {
					float by = subgroupShuffle(weight[i], j + n);
					sum += i * SUBGROUP_SIZE + j + n < parts ? by * some[n] : 0.0;
				}
			}
		}
		if (d < SIZE) {
			dst[to + d] = sum * factor;
		}
	}
}
