// Runs of quantised weights for linear_one.comp: see runs.glsl. An invocation takes whole ones, or where there are few of them half or a fourth
// of one, of which it reads all.
#include "runs.glsl"

const uint TOGETHER = STEPS % 4 == 0 ? 4 : STEPS; // eights of an invocation that lie together

bool whole(uint s) { return (s / TOGETHER + 1) * gl_WorkGroupSize.x * TOGETHER <= EIGHTS; }
bool inside(uint s) { return (s / TOGETHER * gl_WorkGroupSize.x + gl_LocalInvocationID.x) * TOGETHER < EIGHTS; }
uint first(uint s) { return min((s / TOGETHER * gl_WorkGroupSize.x + gl_LocalInvocationID.x) * TOGETHER, EIGHTS - TOGETHER); }
uint run(uint s) { return first(s) / 4; }
uint place(uint s) { return (TOGETHER == 4 ? 0 : first(s) & 3u) + s % TOGETHER; } // of the eight in its run

#define ORIGIN x[p.x >> 2].x
#define LOW(b, base, s) b[((base) >> 2) + low_of(run(s)) / 4 + place(s)]
#define HIGH(b, base, s) b[((base) >> 2) + (low_of(run(s)) + HALVES_APART) / 4 + place(s)]

#define RAW RUN
uint row_at(uint i) { return i; }
RAW load_run(uint at, uint s) {
	uint k = low_of(run(s)); // which LOAD has many times
	return LOAD(w, at, k);
}

// product adds four bytes of either half times those of x, without the scales, to the sums of the halves.
vec2 product(uvec2 bytes, vec4 low, vec4 high, vec2 sums) {
	vec4 a = numbers_of(bytes.x, PUT), b = numbers_of(bytes.y, PUT);
	[[unroll]] for (uint i = 0; i < 4; i++) {
		sums.x += low[i] * a[i];
		sums.y += high[i] * b[i];
	}
	return sums;
}
