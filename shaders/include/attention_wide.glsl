// What attention_one.comp, attention_tile.comp and attention_matrix.comp share: their operands, and where the keys and
// values of a token's sequence are. K and v are read 16 bytes at a time, which are WIDE elements
// of any type of caches: offsets and strides are multiples of WIDE, those of q and dst of four.
#include "dtypes.glsl"
#include "math.glsl"
#include "places.glsl"

layout(push_constant) uniform Push {
	uint dst, dst_run, dst_time;
	uint q, q_run, q_time;
	uint k, k_seq, k_row; // k_seq, v_seq: from sequence to sequence, or from block to block
	uint v, v_seq, v_row;
	uint seq, pos;        // of the first token of a run; runs follow one another
	uint first_time;      // where q begins in a run; if not at 0, or not up to its end, there is one run
	uint time, context;
	uint shared_by;       // heads of a group
	float scale;
	uint window;          // keys that a query sees at most
	float soft_cap;       // 0: none
	uint sinks;           // ABSENT: there are none
	uint sequences;       // of the cache, or of table
	uint table, table_stride;
	uint blocks, block_bits; // of the pool, and log₂ of the positions of a block
	uint part_keys;          // of a part, where keys are split
} p;
const uint ABSENT = 0xffffffffu;

layout(binding = 0) restrict writeonly buffer Dst { vec4 dst[]; };
layout(binding = 1) restrict readonly buffer Q { vec4 q[]; };
layout(binding = 2) restrict readonly buffer K { uvec4 k[]; };
layout(binding = 3) restrict readonly buffer V { uvec4 v[]; };
layout(binding = 4) restrict readonly buffer At { uint at[]; };
layout(binding = 5) restrict readonly buffer Table { uint table[]; };
layout(binding = 6) restrict readonly buffer Sinks { float sinks[]; };

// FOURS is how many vectors of four are in 16 bytes, and four the f-th of them.
#ifdef PAIRS
const uint WIDE = 8;
vec4 four(uvec4 raw, uint f) { return f == 0 ? vec4(PAIR(raw.x), PAIR(raw.y)) : vec4(PAIR(raw.z), PAIR(raw.w)); }
#else
const uint WIDE = 4;
vec4 four(uvec4 raw, uint f) { return uintBitsToFloat(raw); }
#endif
const uint FOURS = WIDE / 4;
const float LEAST = -3.4028234663852886e38; // the least finite number: a difference of two −∞ would be NaN

// Where the row of position j of a sequence is, in 16 bytes: .x of keys, .y of values. lost reports a
// block that is none of the pool, which counts as NaN.
uvec2 rows_of(uint sequence, uint j, out bool lost) {
	lost = false;
	if (TABLE) {
		uint block = table[p.table + sequence * p.table_stride + (j >> p.block_bits)];
		lost = block >= p.blocks;
		sequence = lost ? 0 : block;
		j &= (1u << p.block_bits) - 1;
	}
	return uvec2(p.k + sequence * p.k_seq + j * p.k_row, p.v + sequence * p.v_seq + j * p.v_row) / WIDE;
}

// The score of a product of a query and a key.
float score(float product) {
	float x = product * p.scale;
	return EXTRAS && p.soft_cap > 0 ? p.soft_cap * tanh_(x / p.soft_cap) : x;
}
