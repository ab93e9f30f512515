#version 450
// dst[r] = x[r] · w[ids[r]]ᵀ + bias[ids[r]]: vectors times matrices of experts. A dispatch has the
// matrices of some experts bound, and handles the rows whose ids are theirs. The first one also writes NaN
// where an id is no expert's.
//
// A workgroup computes OUTS outputs of an expert. It goes through all ids, collects up to ROWS rows that are
// of the expert, and multiplies: so of an expert that nobody chose nothing is read, and of others each number is read
// once for ROWS rows. Its invocations share the inputs, so that neighbours read neighbours, and their sums
// are added up at the end.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "load.glsl"
#include "math.glsl"
#include "rows.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in; // at most 64, a power of two
layout(constant_id = 1) const uint ROWS = 1; // at most 4
layout(constant_id = 2) const uint OUTS = 4; // at most 4

layout(push_constant) uniform Push {
	uvec4 dst, x;                                // rows of a token's experts follow one another
	uint rows, n1, n2;                           // n2: experts of a token
	uint ids, ids_stride_batch, ids_stride_time;
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
layout(binding = 4) restrict readonly buffer IDs { uint ids[]; };

const uint ABSENT = 0xffffffffu; // in p.bias: there is none
const uint SUMS = ROWS * OUTS;

shared uint window[64];     // ids, one for each invocation
shared uint found[4];       // rows of the expert
shared float partial[1024]; // SUMS for each invocation

uint id_of(uint r) { return ids[p.ids + r / (p.n1 * p.n2) * p.ids_stride_batch + r / p.n2 % p.n1 * p.ids_stride_time + r % p.n2]; }

// multiply computes outputs out0 … of n rows that were found.
void multiply(uint expert, uint out0, uint n) {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	// Outputs and rows past the end are computed like the last one, and not written.
	uint at_w[4], at_x[4];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		at_w[o] = p.w + (expert - p.first) * p.w_expert + min(out0 + o, p.out_ - 1) * p.w_stride;
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		at_x[r] = row(p.x, found[min(r, n - 1)], p.n1, p.n2);
	}
	VEC acc[16];
	[[unroll]] for (uint i = 0; i < SUMS; i++) {
		acc[i] = VEC(0);
	}
	for (uint k = lane * WIDTH; k < p.in_; k += lanes * WIDTH) {
		VEC a[4];
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			a[r] = READ_X_AT(x, at_x[r], k);
		}
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			VEC b = READ_AT(w, at_w[o], k);
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				acc[r * OUTS + o] += a[r] * b;
			}
		}
	}
	[[unroll]] for (uint i = 0; i < SUMS; i++) {
		partial[i * lanes + lane] = sum(acc[i]);
	}
	barrier();
	for (uint half_ = lanes / 2; half_ > 8; half_ /= 2) { // what is left is for the last step
		for (uint i = 0; i < SUMS; i++) {
			if (lane < half_) {
				partial[i * lanes + lane] += partial[i * lanes + lane + half_];
			}
		}
		barrier();
	}
	uint parts = min(lanes, 16);
	for (uint i = lane; i < SUMS; i += lanes) {
		uint r = i / OUTS, o = out0 + i % OUTS;
		if (r < n && o < p.out_) {
			float v = 0;
			for (uint j = 0; j < parts; j++) {
				v += partial[i * lanes + j];
			}
			if (p.bias != ABSENT) {
				v += bias[p.bias + expert * p.bias_stride + o];
			}
			dst[row(p.dst, found[r], p.n1, p.n2) + o] = v;
		}
	}
}

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	for (uint expert = p.first + gl_WorkGroupID.y; expert < p.first + p.piece; expert += gl_NumWorkGroups.y) {
		for (uint out0 = gl_WorkGroupID.x * OUTS; out0 < p.out_; out0 += gl_NumWorkGroups.x * OUTS) {
			uint n = 0; // rows found
			for (uint from = 0; from < p.rows; from += lanes) {
				uint own = from + lane < p.rows ? id_of(from + lane) : p.experts - 1;
				if (p.mark_missing != 0 && expert == p.first && own >= p.experts) { // unsigned: negative ones are large
					uint to = row(p.dst, from + lane, p.n1, p.n2);
					for (uint o = out0; o < min(out0 + OUTS, p.out_); o++) {
						dst[to + o] = nan();
					}
				}
				window[lane] = own;
				barrier();
				uint end = min(lanes, p.rows - from);
				for (uint i = 0; i < end; i++) {
					if (window[i] == expert) {
						if (lane == 0) {
							found[n] = from + i;
						}
						n++;
						if (n == ROWS) {
							barrier();
							multiply(expert, out0, n);
							barrier();
							n = 0;
						}
					}
				}
				barrier();
			}
			if (n > 0) {
				multiply(expert, out0, n);
			}
		}
	}
}
