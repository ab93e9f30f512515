#version 450
// loss = −log softmax(x)[target]. x is replaced by the gradient of the loss,
// (softmax(x) − onehot(target)) · scale · loss_scale. A workgroup computes a row. A
// target outside of the row gives zeros.
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64, local_size_x_id = 0) in;
#include "math.glsl"
#include "reduce.glsl"

layout(constant_id = 1) const bool LOSS_SCALE = false;

layout(push_constant) uniform Push {
	uint loss;
	uint x, x_stride;
	uint targets, targets_stride;
	uint rows, n;
	float scale;
	uint loss_scale;
} p;
layout(binding = 0) restrict writeonly buffer Loss { float loss[]; };
layout(binding = 1) restrict buffer X { float x[]; };
layout(binding = 2) restrict readonly buffer Targets { uint targets[]; };
layout(binding = 3) restrict readonly buffer LossScale { float loss_scale[]; };

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	float scale = LOSS_SCALE ? p.scale * loss_scale[p.loss_scale] : p.scale;
	for (uint r = gl_WorkGroupID.x; r < p.rows; r += gl_NumWorkGroups.x) {
		uint from = p.x + r * p.x_stride;
		uint target = targets[p.targets + r * p.targets_stride]; // unsigned: a negative target is large
		if (target >= p.n) {
			for (uint i = lane; i < p.n; i += lanes) {
				x[from + i] = 0;
			}
			if (lane == 0) {
				loss[p.loss + r] = 0;
			}
			continue; // in all invocations of the workgroup: they have the same r
		}
		float score = x[from + target];

		float largest = uintBitsToFloat(0xff800000u);
		for (uint i = lane; i < p.n; i += lanes) {
			largest = max(largest, x[from + i]);
		}
		largest = workgroup_max(largest);

		vec2 total = vec2(0);
		for (uint i = lane; i < p.n; i += lanes) {
			total.x += exp_(x[from + i] - largest);
		}
		total = workgroup_sum(total); // has a barrier: all invocations have read score, so x may be written

		// As in softmax.comp.
		bool none = is_nan(total.x) || is_infinite(largest);
		for (uint i = lane; i < p.n; i += lanes) {
			float q = exp_(x[from + i] - largest) / total.x;
			if (i == target) {
				q -= 1.0;
			}
			x[from + i] = none ? nan() : q * scale;
		}
		if (lane == 0) {
			loss[p.loss + r] = none ? nan() : log(total.x) + (largest - score);
		}
	}
}
