#version 450
// dst = x · wᵀ + bias on a driver that computes on the CPU, w stored as [out, in].
//
// A workgroup is one subgroup. Its lanes share the inputs, four each at a time or a block, so that they
// read neighbours, and its sums, of ROWS rows and OUTS outputs, stay in registers. They are added
// up at the end. Nothing is shared before: shared memory and barriers cost such a driver more
// than they save, while loads through the texture unit it does for all lanes at once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "linear.glsl"

layout(local_size_x = 8, local_size_x_id = 0) in;
layout(constant_id = 4) const uint ROWS = 8;  // at most 8
layout(constant_id = 5) const uint OUTS = 16; // at most 16, even
layout(constant_id = 6) const uint STEPS = 2; // at most 2: the fours of each row that a lane takes at once; rows are a whole number of these of all lanes

#if defined(GROUP)
#define N 8u // fours that a lane takes at once: a group of a block
#define B(j, i) b##j.numbers[i]
#define SCALED(b, v) v
#elif defined(BLOCKS)
// texels are those in which the block lies that begins at 16-bit word h.
Texels texels(uint h) {
	Texels t;
	[[unroll]] for (uint i = 0; i < 16; i++) {
		t.words[i] = 0;
	}
	[[unroll]] for (uint i = 0; i < TEXELS; i++) {
		uvec4 u = texelFetch(w, int((h >> 3) + i));
		t.words[4 * i] = u.x;
		t.words[4 * i + 1] = u.y;
		t.words[4 * i + 2] = u.z;
		t.words[4 * i + 3] = u.w;
	}
	return t;
}
#define N 8u // fours that a lane takes at once: a block
#define B(j, i) b##j.numbers[i]
#define SCALED(b, v) (b.scale * v)
#else
#define N STEPS
#define B(j, i) b[N * (o + j) + i]
#define SCALED(b, v) v
#endif

// HALVE(n) leaves n sums of 2n, for drivers that unroll no loop over powers of two.
#define HALVE(n) \
	if (lanes > n) { \
		[[unroll]] for (uint j = 0; j < n; j++) { \
			bool high = (lane & n) != 0; \
			float keep = high ? acc[i + j + n] : acc[i + j], give = high ? acc[i + j] : acc[i + j + n]; \
			acc[i + j] = keep + subgroupShuffleXor(give, n); \
		} \
	}

// Workgroups along x are neighbours in the rows, so that those that run one
// after another find their part of w in the cache.
void main() {
	uint lane = gl_SubgroupInvocationID, row0 = gl_WorkGroupID.x * ROWS, out0 = gl_WorkGroupID.y * OUTS;
	uint lanes = gl_WorkGroupSize.x, end = p.in_;

	// Outputs and rows past the end are computed like the last one, and not written.
	uint at_x[8], at_w[16];
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		at_x[r] = p.x + min(row0 + r, p.rows - 1) * p.x_stride;
	}
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		at_w[o] = p.w + min(out0 + o, p.out_ - 1) * p.w_stride;
	}
	float acc[128]; // [row][output]
	[[unroll]] for (uint i = 0; i < ROWS * OUTS; i++) {
		acc[i] = 0;
	}
#ifdef BLOCKS
	uint first = lane * 32, apart = 4;
#else
	uint first = lane * 4, apart = lanes * 4;
#endif
	for (uint k = first; k < end; k += lanes * 4 * N) {
		vec4 a[64]; // [row][four]
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			[[unroll]] for (uint i = 0; i < N; i++) {
				a[N * r + i] = READ_X(x, at_x[r] + k + i * apart);
			}
		}
		// All is asked for before any of it is waited for: w comes from memory.
#if defined(GROUP) // which is read where it is unpacked
#elif defined(BLOCKS)
		Texels t[16];
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			t[o] = texels(BLOCK(at_w[o], k));
		}
#else
		vec4 b[32]; // [output][four]
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			[[unroll]] for (uint i = 0; i < N; i++) {
				b[N * o + i] = READ_AT(w, at_w[o], k + i * apart);
			}
		}
#endif
		[[unroll]] for (uint o = 0; o < OUTS; o += 2) { // two outputs share what is read of x
#if defined(GROUP)
			Group b0 = GROUP(w, at_w[o], k), b1 = GROUP(w, at_w[o + 1], k);
#elif defined(BLOCKS)
			Block b0 = UNPACK(BLOCK(at_w[o], k), t[o]), b1 = UNPACK(BLOCK(at_w[o + 1], k), t[o + 1]);
#endif
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				float u = 0, v = 0;
				[[unroll]] for (uint i = 0; i < N; i++) {
					u += dot(a[N * r + i], B(0, i));
					v += dot(a[N * r + i], B(1, i));
				}
				acc[OUTS * r + o] += SCALED(b0, u);
				acc[OUTS * r + o + 1] += SCALED(b1, v);
			}
		}
	}
	// As many sums as there are lanes: each lane keeps half of them, and gives the other half
	// to a lane that keeps these, until it has one, of all lanes' parts.
	[[unroll]] for (uint i = 0; i < ROWS * OUTS; i += lanes) {
		HALVE(8)
		HALVE(4)
		HALVE(2)
		HALVE(1)
		finish(row0 + i / OUTS, out0 + i % OUTS + lane, acc[i]);
	}
}
