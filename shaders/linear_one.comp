#version 450
// dst = x · wᵀ + bias for one row of x on a GPU, w stored as [out, in]: each element of w
// is read once. What comes before the product, a norm of x, and what follows it are computed
// in the same dispatch.
//
// A workgroup computes OUTS outputs. An invocation takes eight inputs at a time, and
// neighbours read neighbours. IN is a constant, so that compilers unroll all loops: an
// invocation asks for all that it reads before it waits for any of it, first for what comes after
// the product, then for x and the norm's gamma and beta, then for w.
//
// TO_Q8_A: x, behind the norm, becomes blocks of activations. ROUND_X: it gets the precision of f16.
//
// PLACES: the row is that of a token. Its first p.turned outputs are rotated as rotary.comp
// does, or those from p.stored on are written to a cache as store.comp does, or both.
//
// GATED: the first half of the outputs is a gate, which decides as in gated_activation.comp what
// of the second half passes. A workgroup computes as many of the one half as of the other.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "dtypes.glsl"
#include "math.glsl"
#include "activation.glsl"
#include "round.glsl"
#ifdef PLACES
#include "places.glsl"
#endif

layout(local_size_x = 32, local_size_x_id = 0) in;
layout(constant_id = 1) const bool ACCUMULATE = false; // see linear.glsl
layout(constant_id = 2) const uint ACTIVATION = 0;     // see activation.glsl
layout(constant_id = 3) const bool RESIDUAL = false;
layout(constant_id = 4) const uint OUTS = 4; // even, at most 8; more than 2 for CACHE_PAIRS with APART > 1, so that lanes beside each other have neighbours
layout(constant_id = 5) const uint IN = 768; // a multiple of 8
layout(constant_id = 6) const uint NORM = 0; // 1: layer norm, 2: by the root mean square
layout(constant_id = 7) const uint SUBGROUPS = 1; // of a workgroup
layout(constant_id = 8) const bool PUT = false;   // see q8_0.glsl
layout(constant_id = 9) const bool ROUND_X = false;
#ifdef PLACES
layout(constant_id = 10) const uint APART = 0; // how far apart the outputs of a pair are that is rotated; 0: none are
layout(constant_id = 11) const bool STORE = false;
layout(constant_id = 12) const bool TABLE = false;
const bool GATED = false;
#else
layout(constant_id = 10) const bool GATED = false; // by the function ACTIVATION
#endif

const uint ABSENT = 0xffffffffu; // stands in p.bias for no bias

layout(push_constant) uniform Push {
	uint dst, x;
	uint w, w_stride;
	uint bias, residual;
	uint out_;
	uint gamma, beta;
	float epsilon;
#ifdef PLACES
	uint seq, pos;                            // of the token, in at
	uint angles, angles_stride, positions;    // and the rows of angles
	uint head, turned;                        // outputs of a head, and how many are rotated
	uint stored;                              // the first output that is stored
	uint cache, cache_stride, cache_row;      // of sequences or blocks, and of positions
	uint sequences, context;                  // of the cache in dst, or in table
	uint table, table_stride;
	uint blocks, block_bits;                  // of the pool, and log₂ of the positions of a block
#else
	float limit, shift; // of a gate
#endif
} p;

#if defined(PAIRS)
#define ELEMENT uvec4
#define SOME vec4
#elif defined(X_BLOCKS)
#define ELEMENT uint
#define SOME uint
#elif defined(LOAD)
#define ELEMENT UNIT
#define SOME vec4
#elif defined(BLOCKS)
#define ELEMENT uint
#define SOME vec2
#else
#define ELEMENT vec4
#define SOME vec4
#endif
#ifdef DOT
#include "dot.glsl"
#endif

layout(binding = 0) restrict buffer Dst { float dst[]; };
layout(binding = 1) restrict readonly buffer X { SOME x[]; };
layout(binding = 2) restrict readonly buffer W { ELEMENT w[]; };
layout(binding = 3) restrict readonly buffer Bias { float bias[]; };
layout(binding = 4) restrict readonly buffer Residual { float residual[]; };
#ifdef X_BLOCKS // of which there is no norm
#define PLACE 5
#else
layout(binding = 5) restrict readonly buffer Gamma { SOME gamma[]; };
layout(binding = 6) restrict readonly buffer Beta { SOME beta[]; };
#define PLACE 7
#endif
#ifdef PLACES
layout(binding = PLACE) restrict readonly buffer At { uint at[]; };
layout(binding = PLACE + 1) restrict readonly buffer Angles { float angles[]; };
layout(binding = PLACE + 2) restrict buffer Cache { uint cache[]; };
layout(binding = PLACE + 3) restrict readonly buffer Table { uint table[]; };
#endif

const uint EIGHTS = IN / 8;
const uint LEAST = (EIGHTS + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
#ifdef LOAD
const uint STEPS = LEAST <= 2 ? LEAST : (LEAST + 3) / 4 * 4;
#else
const uint STEPS = LEAST; // eights of an invocation: at most 8
#endif

// RAW is an eight, eight elements of w, as they lie: the s-th of an invocation, of the row that
// begins at at, which row_at gives. load_eight reads it, and product multiplies it with those of
// x, which LOW and HIGH read. Past the end it is the last one. inside reports whether it is not past the
// end; whole: no invocation is past the end in step s.
#if defined(LOAD)
#include "run_eights.glsl"
#elif defined(BLOCKS)
const uint TOGETHER = 2 - STEPS % 2; // eights that lie side by side and have one scale
#include "block_eights.glsl"
#else
bool whole(uint s) { return (s + 1) * gl_WorkGroupSize.x <= EIGHTS; }
bool inside(uint s) { return s * gl_WorkGroupSize.x + gl_LocalInvocationID.x < EIGHTS; }
uint eight(uint s) {
	uint c = s * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
	return whole(s) ? c : min(c, EIGHTS - 1);
}
#define ORIGIN x[p.x >> 2].x
#define LOW(b, base, s) b[((base) >> 2) + 2 * eight(s)]
#define HIGH(b, base, s) b[((base) >> 2) + 2 * eight(s) + 1]
#if defined(PAIRS)
#define RAW uvec4
uint row_at(uint i) { return i >> 3; }
RAW load_eight(uint at, uint s) { return w[at + eight(s)]; }
float product(RAW v, vec4 low, vec4 high, uint s) {
	return dot(low, vec4(PAIR(v.x), PAIR(v.y))) + dot(high, vec4(PAIR(v.z), PAIR(v.w)));
}
#else
struct RAW { vec4 low, high; };
uint row_at(uint i) { return i >> 2; }
RAW load_eight(uint at, uint s) { return RAW(w[at + eight(s) * 2], w[at + eight(s) * 2 + 1]); }
float product(RAW v, vec4 low, vec4 high, uint s) { return dot(low, v.low) + dot(high, v.high); }
#endif
#endif

shared float partial_mean[256]; // of each invocation, those of a subgroup alike
shared vec2 partial_squares[256];
shared float partial[8 * 64];    // of each output those of the subgroups, and no device has subgroups of less than four
shared float results[8]; // that lanes have of one another
#ifdef CACHE_PAIRS
#define SHARED true
#elif defined(PLACES)
#define SHARED (APART > 0)
#else
#define SHARED GATED
#endif

// Sums over the workgroup of the norm's statistics, which all invocations get. There is no
// branch in them, behind which compilers would put the reading of w.
float mean_sum(float v) {
	v = subgroupAdd(v);
	if (SUBGROUPS > 1) {
		partial_mean[gl_LocalInvocationID.x] = v;
		barrier();
		v = 0;
		[[unroll]] for (uint i = 0; i < SUBGROUPS; i++) {
			v += partial_mean[i * (gl_WorkGroupSize.x / SUBGROUPS)];
		}
	}
	return v;
}

vec2 squares_sum(vec2 v) {
	v = vec2(subgroupAdd(v.x), subgroupAdd(v.y));
	if (SUBGROUPS > 1) {
		partial_squares[gl_LocalInvocationID.x] = v;
		barrier();
		v = vec2(0);
		[[unroll]] for (uint i = 0; i < SUBGROUPS; i++) {
			v += partial_squares[i * (gl_WorkGroupSize.x / SUBGROUPS)];
		}
	}
	return v;
}

// output is the o-th output of the workgroup. Where pairs are rotated that are apart, the
// first half of a workgroup's outputs has the first ones of pairs, the second half the others.
// So it is with gates and what they let pass.
uint output_of(uint o) {
	if (GATED) {
		return gl_WorkGroupID.x * (OUTS / 2) + o % (OUTS / 2) + o / (OUTS / 2) * (p.out_ / 2);
	}
#ifdef PLACES
	if (APART > 1) {
		uint pair = gl_WorkGroupID.x * (OUTS / 2) + o % (OUTS / 2);
		return pair / APART * 2 * APART + pair % APART + o / (OUTS / 2) * APART;
	}
#endif
	return gl_WorkGroupID.x * OUTS + o;
}

// What is past the end counts as 0, also where w is infinite. These are no branches, as ?:
// may be.
float kept(float v, uint s) { return whole(s) ? v : mix(0.0, v, inside(s)); }
vec2 kept(vec2 v, uint s) { return whole(s) ? v : mix(vec2(0), v, bvec2(inside(s))); }
vec4 kept(vec4 v, uint s) { return whole(s) ? v : mix(vec4(0), v, bvec4(inside(s))); }
#if defined(LOAD)
#elif defined(BLOCKS)
RAW kept(RAW v, uint s) { return RAW(v.numbers, whole(s) ? v.scale : mix(0, v.scale, inside(s))); } // the numbers are finite
#elif defined(PAIRS)
RAW kept(RAW v, uint s) { return whole(s) ? v : mix(uvec4(0), v, bvec4(inside(s))); }
#else
RAW kept(RAW v, uint s) { return RAW(kept(v.low, s), kept(v.high, s)); }
#endif

void main() {
	uint lane = gl_LocalInvocationID.x;

	// Outputs past the end are computed like the last one, and not written.
	uint mine = output_of(min(lane, OUTS - 1)), near = min(mine, p.out_ - 1);
	float before = bias[mix(p.bias + near, 0, p.bias == ABSENT)], behind = 0; // zeros are bound where there is none: no branch
	if (ACCUMULATE) {
		before += dst[p.dst + near];
	}
	if (RESIDUAL) {
		behind = residual[p.residual + near];
	}
	uint at_w[8];
	float acc[8];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		at_w[o] = row_at(p.w) + min(output_of(o), p.out_ - 1) * row_at(p.w_stride);
		acc[o] = 0;
	}
	RAW b[32];
#ifdef DOT
	uvec3 bytes[8];
#endif
#ifdef X_BLOCKS
	[[unroll]] for (uint s = 0; s < STEPS; s++) {
		bytes[s] = x_eight(s);
	}
#else
	vec4 a[16], g[16], h[16];
	[[unroll]] for (uint s = 0; s < STEPS; s++) {
		a[2 * s] = LOW(x, p.x, s);
		a[2 * s + 1] = HIGH(x, p.x, s);
	}
	if (NORM != 0) {
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			g[2 * s] = LOW(gamma, p.gamma, s);
			g[2 * s + 1] = HIGH(gamma, p.gamma, s);
			if (NORM == 1) {
				h[2 * s] = LOW(beta, p.beta, s);
				h[2 * s + 1] = HIGH(beta, p.beta, s);
			}
		}
	}
#endif
#ifdef LOAD
	[[unroll]] for (uint s = 0; s < STEPS; s += TOGETHER) {
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			b[s / TOGETHER * OUTS + o] = load_run(at_w[o], s);
		}
	}
#else
	[[unroll]] for (uint s = 0; s < STEPS; s++) {
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			b[s * OUTS + o] = load_eight(at_w[o], s);
		}
	}
#endif

#ifndef X_BLOCKS
	if (NORM == 1) { // as layernorm.comp
		float origin = ORIGIN, sum = 0;
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			vec4 d = (a[2 * s] - origin) + (a[2 * s + 1] - origin);
			sum += kept((d.x + d.y) + (d.z + d.w), s);
		}
		float mean = origin + mean_sum(sum) / float(IN);
		vec2 sums = vec2(0);
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			precise vec4 d = a[2 * s] - mean, e = a[2 * s + 1] - mean;
			vec4 f = d + e;
			sums += kept(vec2((f.x + f.y) + (f.z + f.w), dot(d, d) + dot(e, e)), s);
			a[2 * s] = d;
			a[2 * s + 1] = e;
		}
		sums = squares_sum(sums) / float(IN);
		float scale = 1.0 / sqrt(max(sums.y - sums.x * sums.x, 0.0) + p.epsilon);
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			precise vec4 d = a[2 * s] - sums.x, e = a[2 * s + 1] - sums.x;
			a[2 * s] = d * scale * g[2 * s] + h[2 * s];
			a[2 * s + 1] = e * scale * g[2 * s + 1] + h[2 * s + 1];
		}
	} else if (NORM == 2) { // as rmsnorm.comp
		float sum = 0;
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			sum += kept(dot(a[2 * s], a[2 * s]) + dot(a[2 * s + 1], a[2 * s + 1]), s);
		}
		float scale = inverse_root(mean_sum(sum) / float(IN) + p.epsilon);
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			a[2 * s] = a[2 * s] * scale * g[2 * s];
			a[2 * s + 1] = a[2 * s + 1] * scale * g[2 * s + 1];
		}
	}
#ifndef TO_BLOCKS
	if (ROUND_X) {
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			a[2 * s] = rounded(a[2 * s]);
			a[2 * s + 1] = rounded(a[2 * s + 1]);
		}
	}
#endif
#endif

#ifdef TO_BLOCKS
	[[unroll]] for (uint s = 0; s < STEPS; s += TOGETHER) {
		uint t = s + TOGETHER - 1;
		uint largest = max(max(largest_of(a[2 * s]), largest_of(a[2 * s + 1])), max(largest_of(a[2 * t]), largest_of(a[2 * t + 1])));
		float d = to_scale(largest), inverse = 1.0 / max(d, 5.9604644775390625e-8); // 2⁻²⁴, as d may be 0
		bytes[s] = uvec3(to_bytes(a[2 * s], d, inverse), to_bytes(a[2 * s + 1], d, inverse), floatBitsToUint(d));
		if (TOGETHER > 1) {
			bytes[t] = uvec3(to_bytes(a[2 * t], d, inverse), to_bytes(a[2 * t + 1], d, inverse), bytes[s].z);
		}
	}
#endif

#if defined(DOT)
	// Eights of a block are added up as integers.
	[[unroll]] for (uint s = 0; s < STEPS; s += TOGETHER) {
		uint t = s + TOGETHER - 1;
		int start = offset(bytes[s]) + (TOGETHER > 1 ? offset(bytes[t]) : 0);
		float scale = kept(x_scale(bytes[s]), s);
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			RAW first = kept(b[s * OUTS + o], s);
			int sum = product(first, bytes[s], start, s);
			if (TOGETHER > 1) {
				sum = product(b[t * OUTS + o], bytes[t], sum, t);
			}
			acc[o] += eight_scale(first) * scale * float(sum);
		}
	}
#elif defined(LOAD)
	[[unroll]] for (uint s = 0; s < STEPS; s += TOGETHER) {
		vec2 sums = vec2(0); // of x
		if (MINS) {
			vec4 low = a[2 * s], high = a[2 * s + 1];
			[[unroll]] for (uint t = 1; t < TOGETHER; t++) {
				low += a[2 * (s + t)];
				high += a[2 * (s + t) + 1];
			}
			sums = vec2((low.x + low.y) + (low.z + low.w), (high.x + high.y) + (high.z + high.w));
		}
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			RAW r = b[s / TOGETHER * OUTS + o];
			uvec4 low, high;
			BYTES(r, at_w[o], low_of(run(s)), low, high);
			vec2 products = vec2(0);
			[[unroll]] for (uint t = 0; t < TOGETHER; t++) { // from 0, else Mesa unrolls neither this loop nor those around it
				uint i = place(s) + t;
				products = product(uvec2(low[i], high[i]), a[2 * (s + t)], a[2 * (s + t) + 1], products);
			}
			vec4 scales = SCALES(r, at_w[o], low_of(run(s)));
			products *= scales.xy;
			if (MINS) {
				products += scales.zw * sums;
			}
			acc[o] += kept(products.x + products.y, s);
		}
	}
#elif defined(BLOCKS)
	[[unroll]] for (uint s = 0; s < STEPS; s += TOGETHER) {
		uint t = s + TOGETHER - 1;
		vec4 low = kept(a[2 * s], s), high = kept(a[2 * s + 1], s), low2 = kept(a[2 * t], t), high2 = kept(a[2 * t + 1], t);
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			RAW first = kept(b[s * OUTS + o], s);
			float sum = product(first, low, high, 0, s);
			if (TOGETHER > 1) {
				sum = product(b[t * OUTS + o], low2, high2, sum, t);
			}
			acc[o] += eight_scale(first) * sum;
		}
	}
#else
	[[unroll]] for (uint s = 0; s < STEPS; s++) {
		vec4 low = kept(a[2 * s], s), high = kept(a[2 * s + 1], s);
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			acc[o] += product(kept(b[s * OUTS + o], s), low, high, s);
		}
	}
#endif

	// One lane an output: half of the lanes go on with half of the sums, each with those of its
	// partner added, until each lane has one.
	const uint LANES = gl_WorkGroupSize.x / SUBGROUPS;
	[[unroll]] for (uint n = OUTS / 2; n > 0; n /= 2) {
		bool upper = (gl_SubgroupInvocationID & n) != 0;
		[[unroll]] for (uint o = 0; o < n; o++) {
			acc[o] = mix(acc[o], acc[o + n], upper) + subgroupShuffleXor(mix(acc[o + n], acc[o], upper), n);
		}
	}
	float v = acc[0];
	[[unroll]] for (uint n = OUTS; n < LANES; n *= 2) {
		v += subgroupShuffleXor(v, n);
	}
	if (SUBGROUPS > 1) {
		if (gl_SubgroupInvocationID < OUTS) {
			partial[gl_SubgroupInvocationID * 64 + gl_SubgroupID] = v;
		}
		barrier();
		if (lane < OUTS) {
			v = 0;
			for (uint i = 0; i < SUBGROUPS; i++) {
				v += partial[lane * 64 + i];
			}
		}
	}
	v = GATED ? v + before : activation(ACTIVATION, v + before) + behind;
#ifdef PLACES
	uint seq = at[p.seq], pos = at[p.pos];
#endif
	if (SHARED) {
		if (lane < OUTS) {
			results[lane] = v;
		}
		barrier();
	}
#ifdef PLACES
	if (lane < OUTS && APART > 0 && mine < p.turned) {
		uint other = lane ^ (APART > 1 ? OUTS / 2 : 1), size = p.head, i = mine % size;
		bool second = APART > 1 ? lane >= OUTS / 2 : (lane & 1) != 0;
		uint pair = APART > 1 ? i % APART : i / 2;
		if (int(seq) < 0 || pos >= p.positions) {
			v = seq == PADDING ? 0.0 : nan();
		} else {
			uint angle = p.angles + pos * p.angles_stride + pair;
			float c = angles[angle], s = angles[angle + size / 2];
			v = v * c + (second ? s : -s) * results[other];
		}
	}
	if (mine < p.out_ && lane < OUTS) {
		dst[p.dst + mine] = v;
	}
#ifdef CACHE_PAIRS
	if (APART > 0) {
		barrier();
		if (lane < OUTS) {
			results[lane] = v;
		}
		barrier();
	}
#endif
	if (STORE && lane < OUTS && mine < p.out_ && mine >= p.stored && seq < p.sequences && pos < p.context) {
		if (TABLE) {
			seq = table[p.table + seq * p.table_stride + (pos >> p.block_bits)];
			pos &= (1u << p.block_bits) - 1;
			if (seq >= p.blocks) {
				return;
			}
		}
		uint to = p.cache + seq * p.cache_stride + pos * p.cache_row + mine - p.stored;
#ifdef CACHE_PAIRS
		if ((lane & 1) == 0) {
			cache[to >> 1] = CACHE_ROUND(floatBitsToUint(v)) | CACHE_ROUND(floatBitsToUint(results[lane + 1])) << 16;
		}
#else
		cache[to] = floatBitsToUint(v);
#endif
	}
#else
	uint outs = GATED ? OUTS / 2 : OUTS, outputs = GATED ? p.out_ / 2 : p.out_;
	if (lane < outs && mine < outputs) {
		if (GATED) {
			v = activation(ACTIVATION, at_most(v, p.limit)) * (within(results[lane + outs], p.limit) + p.shift);
		}
		dst[p.dst + mine] = v;
	}
#endif
}
