#version 450
// dst[r] = x[r] · w[ids[r]]ᵀ + bias[ids[r]]: vectors times matrices of experts. A dispatch has the
// matrices of some experts bound, and computes the rows whose ids are theirs. The first one also writes NaN
// where an id is no expert's.
//
// A workgroup along y is a row (ROWS 1), or a tile of up to ROWS rows of one expert, which expert_order.comp has
// found: each number of w is read once for all of them, and nothing of experts that nobody chose. As in linear_rows.comp
// invocations along x share the inputs, so that neighbours read neighbours, and those along y have OUTS outputs each. An
// invocation keeps ROWS · OUTS sums in registers, which are added up in shared memory at the end. It asks for the next
// numbers of w before it multiplies those that it has.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "load.glsl"
#include "math.glsl"
#include "rows.glsl"

layout(local_size_x = 32, local_size_y = 2, local_size_x_id = 0, local_size_y_id = 1) in; // at most these
layout(constant_id = 2) const uint ROWS = 1; // at most 16
layout(constant_id = 3) const uint OUTS = 4; // at most 4, and 32 sums

layout(push_constant) uniform Push {
	uvec4 dst, x;                                // rows of a token's experts follow one another
	uint rows, n1, n2;                           // n2: experts of a token
	uint ids, ids_stride_batch, ids_stride_time; // ids: of tiles, where there are any
	uint tiles, list;                            // how many, and where the list of their rows begins
	uint w, w_stride, w_expert;                  // of rows, and of experts
	uint bias, bias_stride;
	uint in_, out_;
	uint first, piece, experts;                  // the first expert that is bound, how many are, and there are
	uint mark_missing;
} p;
layout(binding = 0) restrict buffer Dst { float dst[]; };
layout(binding = 1) restrict readonly buffer X { X_ELEMENT x[]; };
layout(binding = 2) restrict readonly buffer W { ELEMENT w[]; };
layout(binding = 3) restrict readonly buffer Bias { float bias[]; };
layout(binding = 4) restrict readonly buffer IDs { uint ids[]; }; // or what expert_order.comp has written

const uint ABSENT = 0xffffffffu; // in p.bias: there is none
const uint SUMS = ROWS * OUTS;

#define MOST 16 // sums that are added up at once
shared float partial[2 * MOST * (32 + 1)]; // [y][sum][x], rows longer than x, so that reads meet no bank conflicts

struct Tile { uint expert, begins, n; };

Tile tile_of(uint i) {
	if (ROWS > 1) {
		return Tile(ids[p.ids + 3 * i], ids[p.ids + 3 * i + 1], min(ids[p.ids + 3 * i + 2], ROWS));
	}
	return Tile(ids[p.ids + i / (p.n1 * p.n2) * p.ids_stride_batch + i / p.n2 % p.n1 * p.ids_stride_time + i % p.n2], i, 1);
}

// row_of is row i of a tile. Those past the end are like the last one. On a device that computes the list wrongly it is some row all the same.
uint row_of(Tile t, uint i) {
	uint at = min(t.begins + min(i, t.n - 1), p.rows - 1);
	return ROWS > 1 ? min(ids[p.list + at], p.rows - 1) : at;
}

#if defined(FOURS)
float product(vec4 a, vec4 b) { return dot(a, b); }
#else
float product(float a, float b) { return a * b; }
#endif

// add_up adds up MOST sums, or what is left of them, and writes them.
void add_up(float acc[32], const uint from, Tile t, uint first) {
	uint lanes = gl_WorkGroupSize.x, pitch = lanes + 1, n = min(SUMS - from, MOST);
	[[unroll]] for (uint i = 0; i < MOST; i++) {
		if (from + i < SUMS) {
			partial[(gl_LocalInvocationID.y * MOST + i) * pitch + gl_LocalInvocationID.x] = acc[from + i];
		}
	}
	barrier();
	for (uint i = gl_LocalInvocationIndex; i < gl_WorkGroupSize.y * n; i += lanes * gl_WorkGroupSize.y) {
		uint y = i / n, sum = from + i % n, r = sum / OUTS, o = first + y * OUTS + sum % OUTS;
		float v = 0;
		[[unroll]] for (uint j = 0; j < gl_WorkGroupSize.x; j++) {
			v += partial[(y * MOST + i % n) * pitch + j];
		}
		if (r < t.n && o < p.out_) {
			if (p.bias != ABSENT) {
				v += bias[p.bias + t.expert * p.bias_stride + o];
			}
			dst[row(p.dst, row_of(t, r), p.n1, p.n2) + o] = v;
		}
	}
	barrier();
}

// multiply computes the outputs of a workgroup, from the first one on.
void multiply(Tile t, uint first) {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x, out0 = first + gl_LocalInvocationID.y * OUTS;
	// Outputs past the end are computed like the last one, and not written.
	uint at_w[4], at_x[16];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		at_w[o] = p.w + (t.expert - p.first) * p.w_expert + min(out0 + o, p.out_ - 1) * p.w_stride;
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		at_x[r] = row(p.x, row_of(t, r), p.n1, p.n2);
	}
	float acc[32];
	[[unroll]] for (uint i = 0; i < SUMS; i++) {
		acc[i] = 0;
	}
#if defined(MXFP4) && defined(X4) // whole blocks
	uint c = lane, blocks = p.in_ / 32;
	mxfp4_whole b[4];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		b[o] = mxfp4_load(w, at_w[o], min(c, blocks - 1));
	}
	while (c < blocks) {
		uvec4 numbers[4];
		float scale[4];
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			numbers[o] = mxfp4_words(b[o]);
			scale[o] = mxfp4_scale(b[o]);
		}
		uint k = 32 * c;
		c += lanes;
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			b[o] = mxfp4_load(w, at_w[o], min(c, blocks - 1));
		}
		float sums[32]; // of the block
		[[unroll]] for (uint i = 0; i < SUMS; i++) {
			sums[i] = 0;
		}
		[[unroll]] for (uint i = 0; i < 4; i++) {
			vec4 low[4], high[4];
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				mxfp4_floats(numbers[o][i], low[o], high[o]);
			}
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				vec4 u = READ_X_AT(x, at_x[r], k + 4 * i), v = READ_X_AT(x, at_x[r], k + 16 + 4 * i);
				[[unroll]] for (uint o = 0; o < OUTS; o++) {
					sums[r * OUTS + o] += dot(u, low[o]) + dot(v, high[o]);
				}
			}
		}
		[[unroll]] for (uint i = 0; i < SUMS; i++) {
			acc[i] += scale[i % OUTS] * (MXFP4_FACTOR * sums[i]);
		}
	}
#else
	uint k = lane * WIDTH;
	VEC b[4];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		b[o] = READ_AT(w, at_w[o], min(k, p.in_ - WIDTH));
	}
	while (k < p.in_) {
		VEC now[4];
		uint next = k + lanes * WIDTH;
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			now[o] = b[o];
			b[o] = READ_AT(w, at_w[o], min(next, p.in_ - WIDTH));
		}
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			VEC a = READ_X_AT(x, at_x[r], k);
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				acc[r * OUTS + o] += product(a, now[o]);
			}
		}
		k = next;
	}
#endif
	add_up(acc, 0, t, first);
	if (SUMS > MOST) { // in two steps, so that more workgroups fit shared memory
		add_up(acc, MOST, t, first);
	}
}

void main() {
	uint outs = gl_WorkGroupSize.y * OUTS;
	for (uint i = gl_WorkGroupID.y; i < p.tiles; i += gl_NumWorkGroups.y) {
		Tile t = tile_of(i);
		if (t.n == 0) {
			return; // and so are those behind it
		}
		if (t.expert >= p.experts) { // unsigned: negative ids are large
			for (uint r = 0; r < t.n && p.mark_missing != 0; r++) {
				uint to = row(p.dst, row_of(t, r), p.n1, p.n2), lanes = gl_WorkGroupSize.x * gl_WorkGroupSize.y;
				for (uint o = gl_WorkGroupID.x * lanes + gl_LocalInvocationIndex; o < p.out_; o += gl_NumWorkGroups.x * lanes) {
					dst[to + o] = nan();
				}
			}
		} else if (p.first <= t.expert && t.expert < p.first + p.piece) {
			for (uint first = gl_WorkGroupID.x * outs; first < p.out_; first += gl_NumWorkGroups.x * outs) {
				multiply(t, first);
			}
		}
	}
}
