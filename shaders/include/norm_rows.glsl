// A norm of the few rows of a workgroup of linear_rows.comp, before its product: each row by as many
// invocations, which are whole subgroups. What it gives lies in shared memory.

layout(constant_id = 9) const uint KIND = 1;       // 1: layer norm, 2: by the root mean square
layout(constant_id = 10) const uint SUBLANES = 32; // lanes of a subgroup
layout(constant_id = 11) const uint STEPS = 4;     // fours of an invocation

layout(binding = 5) restrict readonly buffer Gamma { vec4 gamma[]; };
layout(binding = 6) restrict readonly buffer Beta { vec4 beta[]; };

shared vec4 normed[1024]; // [row][in / 4]
shared float partial_mean[256]; // of each invocation, those of a subgroup alike
shared vec2 partial_squares[256];

// Sums over the invocations of a row, of which first is the first one.
float mean_sum(uint first, const uint count, float v) {
	partial_mean[gl_LocalInvocationIndex] = subgroupAdd(v);
	barrier();
	v = 0;
	[[unroll]] for (uint i = 0; i < count; i += SUBLANES) {
		v += partial_mean[first + i];
	}
	return v;
}

vec2 squares_sum(uint first, const uint count, vec2 v) {
	partial_squares[gl_LocalInvocationIndex] = vec2(subgroupAdd(v.x), subgroupAdd(v.y));
	barrier();
	v = vec2(0);
	[[unroll]] for (uint i = 0; i < count; i += SUBLANES) {
		v += partial_squares[first + i];
	}
	return v;
}

void normalise(uint row0) {
	const uint COUNT = gl_WorkGroupSize.x * gl_WorkGroupSize.y / ROWS; // invocations of a row
	uint row = gl_LocalInvocationIndex / COUNT, lane = gl_LocalInvocationIndex % COUNT, fours = p.in_ / 4;
	uint at = (p.x + min(row0 + row, p.rows - 1) * p.x_stride) >> 2, first = row * COUNT;
	vec4 a[4], g[4], h[4];
	[[unroll]] for (uint s = 0; s < STEPS; s++) {
		uint i = min(lane + s * COUNT, fours - 1);
		a[s] = x[at + i];
		g[s] = gamma[(p.gamma >> 2) + i];
		h[s] = KIND == 1 ? beta[(p.beta >> 2) + i] : vec4(0);
	}
	if (KIND == 1) { // as layernorm.comp
		float origin = x[at].x, sum = 0;
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			vec4 d = a[s] - origin;
			sum += mix(0.0, (d.x + d.y) + (d.z + d.w), lane + s * COUNT < fours);
		}
		float mean = origin + mean_sum(first, COUNT, sum) / float(p.in_);
		vec2 sums = vec2(0);
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			precise vec4 d = a[s] - mean;
			sums += mix(vec2(0), vec2((d.x + d.y) + (d.z + d.w), dot(d, d)), bvec2(lane + s * COUNT < fours));
			a[s] = d;
		}
		sums = squares_sum(first, COUNT, sums) / float(p.in_);
		float scale = 1.0 / sqrt(max(sums.y - sums.x * sums.x, 0.0) + p.epsilon);
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			precise vec4 d = a[s] - sums.x;
			a[s] = d * scale * g[s] + h[s];
		}
	} else { // as rmsnorm.comp
		float sum = 0;
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			sum += mix(0.0, dot(a[s], a[s]), lane + s * COUNT < fours);
		}
		float scale = inverse_root(mean_sum(first, COUNT, sum) / float(p.in_) + p.epsilon);
		[[unroll]] for (uint s = 0; s < STEPS; s++) {
			a[s] = a[s] * scale * g[s];
		}
	}
	[[unroll]] for (uint s = 0; s < STEPS; s++) {
		uint i = lane + s * COUNT;
		if (i < fours) {
			normed[row * fours + i] = ROUND_X ? rounded(a[s]) : a[s];
		}
	}
	barrier();
}

// Elements k … k+3 of row r.
#define NORMED(r, k) normed[((r) * p.in_ + (k)) >> 2]
