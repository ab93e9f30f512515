#version 450
// dst[b,t] = tokens[ids[b,t]] + positions[the token's]. A dispatch has a piece of each
// table bound. It handles the ids and positions whose rows are in these pieces. The
// first dispatch also writes NaN if an id or a position is outside of its whole table, and
// 0 for padding.
//
//	TOKENS_F16 …, POSITIONS_F16 …  the table has a dtype of pairs/, else f32
//	TOKENS_Q8_0 …                  tokens has a dtype of blocks/: its base and stride are in 16-bit words
//
// Workgroups along y loop over the rows, invocations along x over a row.
#extension GL_GOOGLE_include_directive : require
#include "dtypes.glsl"
#include "math.glsl"
#include "places.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(push_constant) uniform Push {
	uvec4 dst; // strides of batch in z, of time in w
	uint batch, time, width;
	uint tokens, tokens_stride, first_id, piece_ids, vocab;
	uint positions, positions_stride, first_position, piece_positions, context; // context 0: no such table
	uint ids, ids_stride_batch, ids_stride_time;
	uint seq, pos, at_batch; // of the first token of at, and from batch to batch
	uint mark_missing;
} p;
layout(binding = 0) restrict writeonly buffer Dst { float dst[]; };
#if defined(TOKENS_BLOCKS)
layout(binding = 1) restrict readonly buffer Tokens { uint tokens[]; };
float token(uint at, uint i) { return TOKENS_BLOCK_AT(tokens, at, i & ~3u)[i & 3u]; }
#elif defined(TOKENS_PAIRS)
layout(binding = 1) restrict readonly buffer Tokens { uint tokens[]; };
float token(uint at, uint i) { return uintBitsToFloat(TOKENS_WIDEN(tokens[(at + i) >> 1] >> (((at + i) & 1u) << 4) & 0xffffu)); }
#else
layout(binding = 1) restrict readonly buffer Tokens { float tokens[]; };
float token(uint at, uint i) { return tokens[at + i]; }
#endif
#if defined(POSITIONS_PAIRS)
layout(binding = 2) restrict readonly buffer Positions { uint positions[]; };
float position(uint i) { return uintBitsToFloat(POSITIONS_WIDEN(positions[i >> 1] >> ((i & 1u) << 4) & 0xffffu)); }
#else
layout(binding = 2) restrict readonly buffer Positions { float positions[]; };
float position(uint i) { return positions[i]; }
#endif
layout(binding = 3) restrict readonly buffer IDs { uint ids[]; };
layout(binding = 4) restrict readonly buffer At { uint at[]; };

void main() {
	uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.y; r < p.batch * p.time; r += gl_NumWorkGroups.y) {
		uint b = r / p.time, t = r % p.time;
		uint to = p.dst.x + b * p.dst.z + t * p.dst.w;
		// Unsigned, modulo 2³²: negative ones are large, and so outside.
		uint id = ids[p.ids + b * p.ids_stride_batch + t * p.ids_stride_time];
		uint n = b * p.at_batch + t;
		uint sequence = p.context == 0 ? 0 : at[p.seq + n], place = p.context == 0 ? 0 : at[p.pos + n];

		if (id >= p.vocab || int(sequence) < 0 || (p.context != 0 && place >= p.context)) {
			if (p.mark_missing != 0) {
				for (uint i = gl_GlobalInvocationID.x; i < p.width; i += step) {
					dst[to + i] = sequence == PADDING ? 0.0 : nan();
				}
			}
			continue;
		}
		uint token_row = id - p.first_id, position_row = place - p.first_position;
		if (token_row >= p.piece_ids || (p.context != 0 && position_row >= p.piece_positions)) {
			continue; // another dispatch handles it
		}
		uint from = p.tokens + token_row * p.tokens_stride;
		if (p.context == 0) {
			for (uint i = gl_GlobalInvocationID.x; i < p.width; i += step) {
				dst[to + i] = token(from, i);
			}
		} else {
			uint offset = p.positions + position_row * p.positions_stride;
			for (uint i = gl_GlobalInvocationID.x; i < p.width; i += step) {
				dst[to + i] = token(from, i) + position(offset + i);
			}
		}
	}
}
