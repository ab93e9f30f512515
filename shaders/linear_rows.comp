#version 450
// dst = x · wᵀ + bias for a few rows of x on a GPU, w stored as [out, in]: each
// element of w is read once, and serves ROWS rows.
//
// Invocations along x share the inputs, so that neighbours read neighbours; those
// along y have OUTS outputs each, and read the same of x. An invocation keeps
// ROWS · OUTS sums in registers, which are added up in shared memory at the end.
// That takes fewer instructions than subgroup arithmetic, which adds each sum on its own.
//
// NORM: x is normalised first, at most four rows of it, by all invocations for all outputs. The first
// weights are asked for before that.
//
// ROUND_X: x, behind the norm, gets the precision of f16.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef NORM
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#define RUNS
#include "linear.glsl"
#include "round.glsl"
#ifdef LOAD
#include "runs.glsl"
#endif
#ifdef DOT
#include "dot.glsl"
#endif

layout(local_size_x = 32, local_size_y = 2, local_size_x_id = 0, local_size_y_id = 6) in;
layout(constant_id = 4) const uint ROWS = 16; // at most 16
layout(constant_id = 5) const uint OUTS = 2;  // at most 2
layout(constant_id = 7) const bool PUT = false; // see q8_0.glsl
layout(constant_id = 8) const bool ROUND_X = false;

const uint SUMS = ROWS * OUTS;

// [y][sum][x], rows longer than x, so that reads meet no bank conflicts
#ifdef NORM
#define MOST 8 // sums that are added up at once
shared float partial[8 * MOST * (32 + 1)];
#include "norm_rows.glsl"
#else
#define MOST 16
shared float partial[2 * MOST * (32 + 1)];
#endif

#if defined(LOAD)
RUN load_run(uint at, uint run) {
	uint k = low_of(run); // which LOAD has many times
	return LOAD(w, at, k);
}

vec4 x_four(uint r, uint at, uint k) {
#ifdef NORM
	return NORMED(r, k);
#else
	vec4 v = READ_X_AT(x, at, k);
	return ROUND_X ? rounded(v) : v;
#endif
}
#elif defined(BLOCKS)
// Eights of w: eight elements that lie in EIGHT_WORDS words, which may begin in the middle of
// one. Eight c of a row has four elements from low_of(c) on, and four more from high_of(c) on.
#if EIGHT_WORDS > 1
uint low_of(uint c) { return c * 8; }
uint high_of(uint c) { return c * 8 + 4; }
#else
uint low_of(uint c) { return (c >> 2) * 32 + (c & 3u) * 4; }
uint high_of(uint c) { return low_of(c) + 16; }
#endif

EIGHT load_eight(uint at, uint c, out float scale) {
	uint block = at + (c >> 2) * (8 * EIGHT_WORDS + 1), begins = block + 1 + (c & 3u) * (2 * EIGHT_WORDS);
	uint word = begins >> 1, odd = begins & 1u;
	scale = unpackHalf2x16(w[block >> 1] >> ((block & 1u) << 4)).x;
	// A word that has no number is not read: it may be outside of w.
#if EIGHT_WORDS > 1
	uint a = w[word], b = w[word + 1], d = w[word + 1 + odd];
	return odd != 0 ? uvec2(a >> 16 | b << 16, b >> 16 | d << 16) : uvec2(a, b);
#else
	uint a = w[word], b = w[word + odd];
	return odd != 0 ? a >> 16 | b << 16 : a;
#endif
}
#elif defined(FOURS)
float product(vec4 a, vec4 b) { return dot(a, b); }
#else
float product(float a, float b) { return a * b; }
#endif

// add_up adds up MOST sums, or what is left of them, and finishes them.
void add_up(float acc[32], const uint from, uint row0, uint first) {
	uint lanes = gl_WorkGroupSize.x, pitch = lanes + 1, n = min(SUMS - from, MOST);
	[[unroll]] for (uint i = 0; i < MOST; i++) {
		if (from + i < SUMS) {
			partial[(gl_LocalInvocationID.y * MOST + i) * pitch + gl_LocalInvocationID.x] = acc[from + i];
		}
	}
	barrier();
	for (uint i = gl_LocalInvocationIndex; i < gl_WorkGroupSize.y * n; i += lanes * gl_WorkGroupSize.y) {
		uint y = i / n, sum = from + i % n;
		float v = 0;
		[[unroll]] for (uint j = 0; j < gl_WorkGroupSize.x; j++) {
			v += partial[(y * MOST + i % n) * pitch + j];
		}
		finish(row0 + sum / OUTS, first + y * OUTS + sum % OUTS, v);
	}
}

// Workgroups along x are neighbours in the rows, so that those that run at the same
// time read the same of w.
void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x, row0 = gl_WorkGroupID.x * ROWS;
	uint first = gl_WorkGroupID.y * gl_WorkGroupSize.y * OUTS, out0 = first + gl_LocalInvocationID.y * OUTS;

	// Outputs and rows past the end are computed like the last one, and not written.
	uint at_w[2], at_x[16];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		at_w[o] = p.w + min(out0 + o, p.out_ - 1) * p.w_stride;
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		at_x[r] = p.x + min(row0 + r, p.rows - 1) * p.x_stride;
	}
	float acc[32];
	[[unroll]] for (uint i = 0; i < SUMS; i++) {
		acc[i] = 0;
	}
#if defined(DOT)
	for (uint c = lane; c < p.in_ / 8; c += lanes) {
		uvec2 b[2];
		float scale[2];
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			b[o] = BYTES(load_eight(at_w[o], c, scale[o]));
			if (OFFSET > 0) { // from each of the bytes, whose first bits are 0
				b[o] = ((b[o] | 0x80808080u) - OFFSET * 0x01010101u) ^ 0x80808080u;
			}
		}
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			uint block = (at_x[r] >> 1) + (c >> 2) * 9;
			uint low = x[block + 1 + (low_of(c) & 31u) / 4], high = x[block + 1 + (high_of(c) & 31u) / 4];
			float by = unpackHalf2x16(x[block]).x; // see dot.glsl
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				acc[r * OUTS + o] += by * scale[o] * float(dot4(b[o].x, low) + dot4(b[o].y, high));
			}
		}
	}
#elif defined(LOAD)
	uint c = lane, runs = p.in_ / 32;
	RUN b[2];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		b[o] = load_run(at_w[o], min(c, runs - 1));
	}
#ifdef NORM
	normalise(row0);
#endif
	while (c < runs) {
		uint k = low_of(c);
		vec4 scales[2];
		uvec4 first[2], second[2]; // bytes
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			scales[o] = SCALES(b[o], at_w[o], k);
			BYTES(b[o], at_w[o], k, first[o], second[o]);
		}
		[[unroll]] for (uint i = 0; i < 4; i++) {
			vec4 low[2], high[2];
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				low[o] = numbers_of(first[o][i], PUT) * scales[o].x;
				high[o] = numbers_of(second[o][i], PUT) * scales[o].y;
				if (MINS) {
					low[o] += scales[o].z;
					high[o] += scales[o].w;
				}
			}
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				vec4 u = x_four(r, at_x[r], k + 4 * i), v = x_four(r, at_x[r], k + HALVES_APART + 4 * i);
				[[unroll]] for (uint o = 0; o < OUTS; o++) {
					acc[r * OUTS + o] += dot(u, low[o]) + dot(v, high[o]);
				}
			}
		}
		c += lanes;
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			b[o] = load_run(at_w[o], min(c, runs - 1));
		}
	}
#elif defined(NORM) && defined(BLOCKS)
	uint c = lane, eights = p.in_ / 8;
	EIGHT b[2];
	float scale[2];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		b[o] = load_eight(at_w[o], min(c, eights - 1), scale[o]);
	}
	normalise(row0);
	while (c < eights) {
		vec4 low[2], high[2];
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			FLOATS(b[o], PUT, low[o], high[o]);
		}
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			vec4 u = NORMED(r, low_of(c)), v = NORMED(r, high_of(c));
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				acc[r * OUTS + o] += scale[o] * (dot(u, low[o]) + dot(v, high[o]));
			}
		}
		c += lanes;
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			b[o] = load_eight(at_w[o], min(c, eights - 1), scale[o]);
		}
	}
#elif defined(NORM)
	uint k = lane * WIDTH;
	VEC b[2];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		b[o] = READ_AT(w, at_w[o], min(k, p.in_ - WIDTH));
	}
	normalise(row0);
	while (k < p.in_) {
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			VEC a = NORMED(r, k);
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				acc[r * OUTS + o] += product(a, b[o]);
			}
		}
		k += lanes * WIDTH;
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			b[o] = READ_AT(w, at_w[o], min(k, p.in_ - WIDTH));
		}
	}
#elif defined(BLOCKS)
	for (uint c = lane; c < p.in_ / 8; c += lanes) {
		vec4 low[2], high[2];
		float scale[2];
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			FLOATS(load_eight(at_w[o], c, scale[o]), PUT, low[o], high[o]);
		}
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			vec4 a = READ_X_AT(x, at_x[r], low_of(c)), b = READ_X_AT(x, at_x[r], high_of(c));
			if (ROUND_X) {
				a = rounded(a);
				b = rounded(b);
			}
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				acc[r * OUTS + o] += scale[o] * (dot(a, low[o]) + dot(b, high[o]));
			}
		}
	}
#else
	for (uint k = lane * WIDTH; k < p.in_; k += lanes * WIDTH) {
		VEC b[2];
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			b[o] = READ_AT(w, at_w[o], k);
		}
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			VEC a = READ_X_AT(x, at_x[r], k);
			if (ROUND_X) {
				a = rounded(a);
			}
			[[unroll]] for (uint o = 0; o < OUTS; o++) {
				acc[r * OUTS + o] += product(a, b[o]);
			}
		}
	}
#endif

	add_up(acc, 0, row0, first);
#ifndef NORM
	if (SUMS > MOST) { // in two steps, so that more workgroups fit shared memory
		barrier();
		add_up(acc, MOST, row0, first);
	}
#endif
}
