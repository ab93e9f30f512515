#version 450
// Links the vectors that belong to the same row of a table into chains. It is no op of
// its own, but the first dispatch of embedding_backward. For vector r of [batch, time]
// it writes
//
//	chain[2r]      index[b,t], the row of the table; 0xffffffff for padding
//	chain[2r + 1]  the next vector of the same row, or batch·time if there is none;
//	               with FOLLOWS set if there is one before
//
// An invocation searches for the nearest vector of the same row in both directions:
// few steps if rows repeat often, batch·time steps if they never do.
#extension GL_GOOGLE_include_directive : require
#include "chain.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(push_constant) uniform Push {
	uint chain;
	uint index, index_batch, index_time;
	uint seq, seq_batch; // ABSENT: there are none
	uint batch, time;
} p;
layout(binding = 0) restrict writeonly buffer Chain { uint chain[]; };
layout(binding = 1) restrict readonly buffer Index { uint index[]; };
layout(binding = 2) restrict readonly buffer Seq { uint seq[]; };
const uint ABSENT = 0xffffffffu;

// A row that is negative is large, and so in no table.
uint row(uint r) {
	uint b = r / p.time, t = r % p.time;
	if (p.seq != ABSENT && int(seq[p.seq + b * p.seq_batch + t]) < 0) {
		return 0xffffffffu;
	}
	return index[p.index + b * p.index_batch + t * p.index_time];
}

void main() {
	uint n = p.batch * p.time;
	for (uint r = gl_GlobalInvocationID.x; r < n; r += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
		uint own = row(r), before = r, next = r + 1;
		while (before > 0 && row(before - 1) != own) {
			before--;
		}
		while (next < n && row(next) != own) {
			next++;
		}
		chain[p.chain + 2 * r] = own;
		chain[p.chain + 2 * r + 1] = next | (before > 0 ? FOLLOWS : 0u);
	}
}
