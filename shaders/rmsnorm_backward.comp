#version 450
// The gradient dx of an RMS norm, with g = dy · gamma:
//
//	dx = s · (g − n · mean(g · n)),  n = x · s
//
// A workgroup computes a row, and stores its s for rmsnorm_backward_columns.comp.
// X4: all operands except stats are read and written in fours.
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64, local_size_x_id = 0) in;
#include "math.glsl"
#include "reduce.glsl"

#ifdef X4
#define T vec4
#define WIDTH 4
#else
#define T float
#define WIDTH 1
#endif

layout(push_constant) uniform Push {
	uint dx, dx_stride;
	uint x, x_stride;
	uint dy, dy_stride;
	uint stats, stats_stride;
	uint gamma;
	uint rows, n;
	float epsilon;
} p;
layout(binding = 0) restrict writeonly buffer DX { T dx[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };
layout(binding = 2) restrict readonly buffer DY { T dy[]; };
layout(binding = 3) restrict readonly buffer Gamma { T gamma[]; };
layout(binding = 4) restrict writeonly buffer Stats { float stats[]; };

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	float count = float(p.n * WIDTH);
	for (uint r = gl_WorkGroupID.x; r < p.rows; r += gl_NumWorkGroups.x) {
		uint from = p.x + r * p.x_stride, up = p.dy + r * p.dy_stride, to = p.dx + r * p.dx_stride;
		vec2 sums = vec2(0); // of x² and of g · x
		for (uint i = lane; i < p.n; i += lanes) {
			T v = x[from + i];
			sums += vec2(dot(v, v), dot(dy[up + i] * gamma[p.gamma + i], v));
		}
		sums = workgroup_sum(sums) / count;
		float scale = inverse_root(sums.x + p.epsilon);
		float mean = sums.y * scale; // of g · n
		for (uint i = lane; i < p.n; i += lanes) {
			dx[to + i] = scale * (dy[up + i] * gamma[p.gamma + i] - x[from + i] * scale * mean);
		}
		if (lane == 0) {
			stats[p.stats + r * p.stats_stride] = scale;
		}
	}
}
