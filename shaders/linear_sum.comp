#version 450
// dst = the sum of the parts of a product, with what follows it. linear_matrix.comp has
// written them to x, each p.part_stride behind the one before it; there are p.part. It is no
// op of its own.
#extension GL_GOOGLE_include_directive : require
#define BIAS 2
#include "linear_fours.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(binding = 1) restrict readonly buffer X { vec4 x[]; };

void main() {
	uint fours = (p.out_ + 3) / 4;
	for (uint id = gl_GlobalInvocationID.x; id < p.rows * fours; id += gl_NumWorkGroups.x * gl_WorkGroupSize.x) {
		uint r = id / fours, o = id % fours * 4, at = (p.x + r * p.x_stride + o) >> 2;
		vec4 sum = x[at];
		for (uint i = 1; i < p.part; i++) {
			sum += x[at + i * (p.part_stride >> 2)];
		}
		finish(0, r, o, sum);
	}
}
