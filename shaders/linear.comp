#version 450
// dst = x · wᵀ + bias for many rows of x: the product in tiles, for GPUs. The
// gradient of w is such a product too, of operands that lie the other way round.
//
// A workgroup of 256 computes 64·SIZE rows by 64·SIZE outputs. It brings a
// slice of x and of w, DEPTH inputs long, into shared memory, from where each
// invocation multiplies 4·SIZE rows with 4·SIZE outputs in registers: 8·SIZE
// loads for 16·SIZE² products.
//
// ROUND_X: x gets the precision of f16 on its way to shared memory.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linear.glsl"
#include "round.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 4) const bool TRANSPOSED = false;
layout(constant_id = 5) const uint SIZE = 1; // or 2
layout(constant_id = 6) const bool X_TRANSPOSED = false; // x is stored as [in, rows], and x_stride is that of its columns
layout(constant_id = 7) const bool ROUND_X = false; // not where X_TRANSPOSED

const uint DEPTH = 16;
const uint TILE = 64 * SIZE;
const uint PITCH = TILE + 4; // off the power of two, so that writes meet fewer bank conflicts

// Indexed [input][row or output], four neighbours together; room for SIZE 2.
shared vec4 xs[DEPTH * (128 + 4) / 4];
shared vec4 ws[DEPTH * (128 + 4) / 4];

void set_x(uint k, uint r, float v) { xs[(k * PITCH + r) >> 2][r & 3] = v; }
void set_w(uint k, uint o, float v) { ws[(k * PITCH + o) >> 2][o & 3] = v; }

#if defined(FOURS)
void set_x4(uint k, uint r, vec4 v) {
	set_x(k, r, v.x);
	set_x(k + 1, r, v.y);
	set_x(k + 2, r, v.z);
	set_x(k + 3, r, v.w);
}
void set_w4(uint k, uint o, vec4 v) {
	set_w(k, o, v.x);
	set_w(k + 1, o, v.y);
	set_w(k + 2, o, v.z);
	set_w(k + 3, o, v.w);
}
#else
#define set_x4 set_x
#define set_w4 set_w
#endif

// fill brings the slice from input k0 on, of inputs before end. What lies
// outside counts as 0.
void fill(uint row0, uint out0, uint k0, uint end) {
	const uint items = TILE * DEPTH / WIDTH, across = DEPTH / WIDTH, along = TILE / WIDTH;
	for (uint i = gl_LocalInvocationID.x; i < items; i += 256) {
		VEC v = VEC(0);
#if defined(READ_X)
		if (X_TRANSPOSED) { // neighbours are rows
			uint k = i / along, r = i % along * WIDTH;
			if (row0 + r < p.rows && k0 + k < end) {
				v = READ_X(x, p.x + (k0 + k) * p.x_stride + row0 + r);
			}
#if defined(FOURS)
			xs[(k * PITCH + r) >> 2] = v;
#else
			set_x(k, r, v);
#endif
		} else
#endif
		{ // neighbours are inputs
			uint r = i / across, k = i % across * WIDTH;
			if (row0 + r < p.rows && k0 + k < end) {
				v = READ_X_AT(x, p.x + (row0 + r) * p.x_stride, k0 + k);
				if (ROUND_X) {
					v = rounded(v);
				}
			}
			set_x4(k, r, v);
		}
	}
	for (uint i = gl_LocalInvocationID.x; i < items; i += 256) {
		VEC v = VEC(0);
#if defined(READ)
		if (TRANSPOSED) { // neighbours are outputs
			uint k = i / along, o = i % along * WIDTH;
			if (out0 + o < p.out_ && k0 + k < end) {
				v = READ(w, p.w + (k0 + k) * p.w_stride + out0 + o);
			}
#if defined(FOURS)
			ws[(k * PITCH + o) >> 2] = v;
#else
			set_w(k, o, v);
#endif
		} else
#endif
		{ // neighbours are inputs
			uint o = i / across, k = i % across * WIDTH;
			if (out0 + o < p.out_ && k0 + k < end) {
				v = READ_AT(w, p.w + (out0 + o) * p.w_stride, k0 + k);
			}
			set_w4(k, o, v);
		}
	}
}

void main() {
	uint row0 = gl_WorkGroupID.y * TILE, out0 = gl_WorkGroupID.x * TILE;
	// Of the tile, this invocation has rows 4·ly + 64·i and outputs 4·lx + 64·j.
	uint lx = gl_LocalInvocationID.x % 16, ly = gl_LocalInvocationID.x / 16;

	vec4 acc[16]; // [row][fours of outputs]
	[[unroll]] for (uint i = 0; i < 4 * SIZE * SIZE; i++) {
		acc[i] = vec4(0);
	}
	uint first = gl_WorkGroupID.z * p.part, end = min(first + p.part, p.in_);
	for (uint k0 = first; k0 < end; k0 += DEPTH) {
		fill(row0, out0, k0, end);
		barrier();
		[[unroll]] for (uint k = 0; k < DEPTH; k++) {
			vec4 b[2];
			[[unroll]] for (uint j = 0; j < SIZE; j++) {
				b[j] = ws[k * (PITCH / 4) + lx + 16 * j];
			}
			[[unroll]] for (uint i = 0; i < SIZE; i++) {
				vec4 a = xs[k * (PITCH / 4) + ly + 16 * i];
				[[unroll]] for (uint j = 0; j < SIZE; j++) {
					[[unroll]] for (uint q = 0; q < 4; q++) {
						acc[(4 * i + q) * SIZE + j] += a[q] * b[j];
					}
				}
			}
		}
		barrier();
	}
	[[unroll]] for (uint i = 0; i < SIZE; i++) {
		[[unroll]] for (uint q = 0; q < 4; q++) {
			[[unroll]] for (uint j = 0; j < SIZE; j++) {
				finish(row0 + 64 * i + 4 * ly + q, out0 + 64 * j + 4 * lx, acc[(4 * i + q) * SIZE + j]);
			}
		}
	}
}
