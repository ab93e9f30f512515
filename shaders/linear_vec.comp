#version 450
// dst = x · wᵀ + bias for few rows of x, w stored as [out, in]: each element of
// w is read once, and serves all ROWS rows.
//
// A workgroup computes OUTS outputs; its invocations share the inputs, so that
// neighbours read neighbours, and their sums are added up at the end.
//
// ROUND_X: x gets the precision of f16.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "linear.glsl"
#include "round.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint ROWS = 1; // at most 4
layout(constant_id = 5) const uint OUTS = 4; // at most 8
layout(constant_id = 6) const bool ROUND_X = false;

const uint SUMS = ROWS * OUTS;

#ifdef SUBGROUP
shared float partial[256]; // of SUMS for each subgroup, and no device has subgroups of less than four
#else
shared float partial[1024]; // of SUMS for each invocation
#endif

void main() {
	uint lane = gl_LocalInvocationID.x, out0 = gl_WorkGroupID.x * OUTS, row0 = gl_WorkGroupID.y * ROWS;

	// Outputs and rows past the end are computed like the last one, and not written.
	uint at_w[8], at_x[4];
	[[unroll]] for (uint o = 0; o < OUTS; o++) {
		at_w[o] = p.w + min(out0 + o, p.out_ - 1) * p.w_stride;
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		at_x[r] = p.x + min(row0 + r, p.rows - 1) * p.x_stride;
	}
	VEC acc[32];
	[[unroll]] for (uint i = 0; i < SUMS; i++) {
		acc[i] = VEC(0);
	}
	for (uint k = lane * WIDTH; k < p.in_; k += gl_WorkGroupSize.x * WIDTH) {
		VEC a[4];
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			a[r] = READ_X_AT(x, at_x[r], k);
			if (ROUND_X) {
				a[r] = rounded(a[r]);
			}
		}
		[[unroll]] for (uint o = 0; o < OUTS; o++) {
			VEC b = READ_AT(w, at_w[o], k);
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				acc[r * OUTS + o] += a[r] * b;
			}
		}
	}

#ifdef SUBGROUP
	float sums[32];
	[[unroll]] for (uint i = 0; i < SUMS; i++) {
		sums[i] = subgroupAdd(sum(acc[i]));
	}
	if (gl_NumSubgroups > 1) {
		if (subgroupElect()) {
			[[unroll]] for (uint i = 0; i < SUMS; i++) {
				partial[i * gl_NumSubgroups + gl_SubgroupID] = sums[i];
			}
		}
		barrier();
		for (uint i = lane; i < SUMS; i += gl_WorkGroupSize.x) {
			float v = 0;
			for (uint j = 0; j < gl_NumSubgroups; j++) {
				v += partial[i * gl_NumSubgroups + j];
			}
			finish(row0 + i / OUTS, out0 + i % OUTS, v);
		}
	} else {
		// Each lane finishes sums of its own.
		for (uint from = 0; from < SUMS; from += gl_WorkGroupSize.x) {
			float v = 0;
			[[unroll]] for (uint i = 0; i < SUMS; i++) {
				v = i == from + lane ? sums[i] : v;
			}
			if (from + lane < SUMS) {
				finish(row0 + (from + lane) / OUTS, out0 + (from + lane) % OUTS, v);
			}
		}
	}
#else
	[[unroll]] for (uint i = 0; i < SUMS; i++) {
		partial[i * gl_WorkGroupSize.x + lane] = sum(acc[i]);
	}
	barrier();
	for (uint n = gl_WorkGroupSize.x / 2; n > 8; n /= 2) { // what is left is for the last step
		for (uint i = 0; i < SUMS; i++) {
			if (lane < n) {
				partial[i * gl_WorkGroupSize.x + lane] += partial[i * gl_WorkGroupSize.x + lane + n];
			}
		}
		barrier();
	}
	uint parts = min(gl_WorkGroupSize.x, 16);
	for (uint i = lane; i < SUMS; i += gl_WorkGroupSize.x) {
		float v = 0;
		for (uint j = 0; j < parts; j++) {
			v += partial[i * gl_WorkGroupSize.x + j];
		}
		finish(row0 + i / OUTS, out0 + i % OUTS, v);
	}
#endif
}
