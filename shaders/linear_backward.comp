#version 450
// dst += xᵀ · w, for devices on which linear.comp's shared memory does not pay
// or is not there: dst is [rows, out], x is stored as [in, rows] and w as
// [in, out]. The sums run over in, which are the vectors that linear saw.
//
// Each invocation computes 8 rows by 8 outputs in registers, and no two share
// anything: 16 numbers read for 64 products.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define NO_EPILOGUE
#include "linear.glsl"

layout(local_size_x = 8, local_size_x_id = 0) in;

const uint READS = 8 / WIDTH; // of each operand

VEC acc[8 * READS]; // [row][output]

// The products of N inputs from k on. Sums stay in registers for several, so
// that a CPU, which has too few for all of them, moves less.
#if defined(FOURS)
#define ROW(j, r) a[j * READS + r / 4][r % 4]
#else
#define ROW(j, r) a[j * READS + r]
#endif
#define PRODUCTS(N) \
	VEC a[N * READS], b[N * READS]; \
	[[unroll]] for (uint j = 0; j < N; j++) { \
		[[unroll]] for (uint i = 0; i < READS; i++) { \
			a[j * READS + i] = READ_X(x, at_x[i] + (k + j) * p.x_stride); \
			b[j * READS + i] = READ(w, at_w[i] + (k + j) * p.w_stride); \
		} \
	} \
	[[unroll]] for (uint r = 0; r < 8; r++) { \
		[[unroll]] for (uint o = 0; o < READS; o++) { \
			[[unroll]] for (uint j = 0; j < N; j++) { \
				acc[r * READS + o] += ROW(j, r) * b[j * READS + o]; \
			} \
		} \
	}

// Workgroups along x are neighbours in the rows, so that those that run one
// after another find their part of w in the cache.
void main() {
	uint row0 = gl_WorkGroupID.x * 8;
	// Neighbours read neighbours: an invocation's outputs are READS times WIDTH, across apart.
	uint across = gl_WorkGroupSize.x * WIDTH;
	uint out0 = gl_WorkGroupID.y * gl_WorkGroupSize.x * 8 + gl_LocalInvocationID.x * WIDTH;

	// What lies past the end is computed like the last, and not written. A
	// last four may reach past it.
	uint at_x[READS], at_w[READS];
	[[unroll]] for (uint i = 0; i < READS; i++) {
		at_x[i] = p.x + min(row0 + i * WIDTH, (p.rows - 1) / WIDTH * WIDTH);
		at_w[i] = p.w + min(out0 + i * across, (p.out_ - 1) / WIDTH * WIDTH);
	}
	[[unroll]] for (uint i = 0; i < 8 * READS; i++) {
		acc[i] = VEC(0);
	}
	uint k = 0;
	for (; k + 4 <= p.in_; k += 4) {
		PRODUCTS(4)
	}
	for (; k < p.in_; k++) {
		PRODUCTS(1)
	}
	[[unroll]] for (uint r = 0; r < 8; r++) {
		[[unroll]] for (uint o = 0; o < READS; o++) {
			finish(row0 + r, out0 + o * across, acc[r * READS + o]);
		}
	}
}
