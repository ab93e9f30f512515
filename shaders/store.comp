#version 450
// Writes each row of x to the row of a cache that is its token's place. What is outside of
// the cache is not written. A dispatch handles a piece of the cache: some sequences, and
// some positions of each.
//
// TABLE: the cache is a pool of blocks of positions, and table has the number of each block
// of a sequence.
//
// Workgroups along y loop over the rows of x, invocations along x over a row. Each
// writes one element, or two of 16 bits: a word.
#extension GL_GOOGLE_include_directive : require
#include "dtypes.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 1) const bool TABLE = false;

layout(push_constant) uniform Push {
	uvec4 dst, x; // strides of sequence or block, or of batch, in z, of rows in w
	uint batch, time, width;
	uint seq, pos, at_batch;        // of the first token of at, and from batch to batch
	uint first_seq, sequences;      // of the cache in dst, or in table
	uint first, rows;               // positions of a sequence in dst
	uint table, table_stride;
	uint blocks, block_bits;        // of the pool, and log₂ of the positions of a block
} p;
layout(binding = 0) restrict buffer Dst { uint dst[]; };
layout(binding = 1) restrict readonly buffer X { uint x[]; };
#ifdef PAIRS
#include "pair_store.glsl"
#endif
layout(binding = 2) restrict readonly buffer At { uint at[]; };
layout(binding = 3) restrict readonly buffer Table { uint table[]; };

void main() {
	uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.y; r < p.batch * p.time; r += gl_NumWorkGroups.y) {
		uint b = r / p.time, t = r % p.time;
		// Modulo 2³²: what is below 0 is large, and so outside.
		uint n = b * p.at_batch + t, own = at[p.seq + n] - p.first_seq, place = at[p.pos + n] - p.first;
		if (own >= p.sequences || place >= p.rows) {
			continue;
		}
		if (TABLE) {
			own = table[p.table + own * p.table_stride + (place >> p.block_bits)];
			place &= (1u << p.block_bits) - 1;
			if (own >= p.blocks) {
				continue;
			}
		}
		uint to = p.dst.x + own * p.dst.z + place * p.dst.w, from = p.x.x + b * p.x.z + t * p.x.w;
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
