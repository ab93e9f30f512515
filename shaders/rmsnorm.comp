#version 450
// dst = x / √(mean(x²) + ε) · gamma. A workgroup computes a row.
// X4: rows are read and written in fours.
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64, local_size_x_id = 0) in;
#include "math.glsl"
#include "reduce.glsl"
#include "rows.glsl"

#ifdef X4
#define T vec4
#define WIDTH 4
#else
#define T float
#define WIDTH 1
#endif

layout(push_constant) uniform Push {
	uvec4 dst, x;
	uint rows, n1, n2, n;
	uint gamma;
	float epsilon;
} p;
layout(binding = 0) restrict writeonly buffer Dst { T dst[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };
layout(binding = 2) restrict readonly buffer Gamma { T gamma[]; };

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.x; r < p.rows; r += gl_NumWorkGroups.x) {
		uint from = row(p.x, r, p.n1, p.n2), to = row(p.dst, r, p.n1, p.n2);
		vec2 squares = vec2(0);
		for (uint i = lane; i < p.n; i += lanes) {
			T v = x[from + i];
			squares.x += dot(v, v);
		}
		float scale = inverse_root(workgroup_sum(squares).x / float(p.n * WIDTH) + p.epsilon);
		for (uint i = lane; i < p.n; i += lanes) {
			dst[to + i] = x[from + i] * scale * gamma[p.gamma + i];
		}
	}
}
