#version 450
// The gradient dx of a layer norm, with g = dy · gamma:
//
//	dx = s · (g − mean(g) − n · mean(g · n)),  n = (x − mean) · s
//
// A workgroup computes a row, and stores its mean and s for
// layernorm_backward_columns.comp. They are computed as in layernorm.comp.
// X4: all operands except stats are read and written in fours.
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64, local_size_x_id = 0) in;
#include "reduce.glsl"

#ifdef X4
#define T vec4
#define WIDTH 4
#define FIRST(v) (v).x
#else
#define T float
#define WIDTH 1
#define FIRST(v) (v)
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

		float origin = FIRST(x[from]);
		vec2 sums = vec2(0);
		for (uint i = lane; i < p.n; i += lanes) {
			sums.x += dot(x[from + i] - origin, T(1));
		}
		float mean = origin + workgroup_sum(sums).x / count;

		sums = vec2(0);
		for (uint i = lane; i < p.n; i += lanes) {
			precise T d = x[from + i] - mean;
			sums += vec2(dot(d, T(1)), dot(d, d));
		}
		sums = workgroup_sum(sums) / count;
		float missed = sums.x;
		float scale = 1 / sqrt(max(sums.y - missed * missed, 0) + p.epsilon);

		sums = vec2(0); // of g and g · n
		for (uint i = lane; i < p.n; i += lanes) {
			precise T centred = (x[from + i] - mean) - missed;
			T g = dy[up + i] * gamma[p.gamma + i];
			sums += vec2(dot(g, T(1)), dot(g, centred * scale));
		}
		sums = workgroup_sum(sums) / count;

		for (uint i = lane; i < p.n; i += lanes) {
			precise T centred = (x[from + i] - mean) - missed;
			T g = dy[up + i] * gamma[p.gamma + i];
			dx[to + i] = scale * (g - sums.x - centred * scale * sums.y);
		}
		if (lane == 0) {
			stats[p.stats + r * p.stats_stride] = mean + missed;
			stats[p.stats + r * p.stats_stride + 1] = scale;
		}
	}
}
