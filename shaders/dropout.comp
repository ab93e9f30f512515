#version 450
// dst = x · scale, or 0 if the random word of the element is below the threshold. The
// word depends on the element's index in the tensor, in row-major order, which may
// need more than 32 bits. Four elements share a counter.
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"
#include "elementwise.glsl"
#include "philox.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, x;
	uvec4 fours, rest; // index of a row's first element: 4·fours + rest; with X4 rest is 0
	uint rows, n1, n2, n;
	uint seed, seed_stride, stream;
	uint threshold;
	float scale;
} p;
layout(binding = 0) restrict writeonly buffer Dst { T dst[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };
layout(binding = 2) restrict readonly buffer Seed { uint seed[]; };

void main() {
	uvec2 key = uvec2(seed[p.seed], seed[p.seed + p.seed_stride]);
	uvec2 count = uvec2(seed[p.seed + 2 * p.seed_stride], seed[p.seed + 3 * p.seed_stride]);
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dst, r, p.n1, p.n2), from = row(p.x, r, p.n1, p.n2);
		uint fours = row(p.fours, r, p.n1, p.n2), rest = row(p.rest, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
#ifdef X4
			uvec4 random = philox(key, uvec4(fours + i, p.stream, count));
			dst[to + i] = mix(x[from + i] * p.scale, vec4(0), lessThan(random, uvec4(p.threshold)));
#else
			uint random = philox(key, uvec4(fours + ((rest + i) >> 2), p.stream, count))[(rest + i) & 3u];
			dst[to + i] = random < p.threshold ? 0.0 : x[from + i] * p.scale;
#endif
		}
	}
}
