// Sums and maxima over a workgroup, whose size is a power of two. All invocations must
// call them, and all get the result.
//
// In a small workgroup each invocation reduces all parts itself, after one barrier:
// software drivers have few lanes, and barriers are slow there.

shared vec2 partial[256]; // the largest workgroup: see the note on arrays in variants.go

// workgroup_sum_once is for a sum behind which no other follows: what it reads may still be read when it returns.
vec2 workgroup_sum_once(vec2 v) {
	uint lane = gl_LocalInvocationID.x;
	partial[lane] = v;
	barrier();
	if (gl_WorkGroupSize.x <= 16) {
		v = vec2(0);
		for (uint i = 0; i < gl_WorkGroupSize.x; i++) {
			v += partial[i];
		}
	} else {
		for (uint n = gl_WorkGroupSize.x / 2; n > 0; n /= 2) {
			if (lane < n) {
				partial[lane] += partial[lane + n];
			}
			barrier();
		}
		v = partial[0];
	}
	return v;
}

vec2 workgroup_sum(vec2 v) {
	v = workgroup_sum_once(v);
	barrier();
	return v;
}

float workgroup_max(float v) {
	uint lane = gl_LocalInvocationID.x;
	partial[lane].x = v;
	barrier();
	if (gl_WorkGroupSize.x <= 16) {
		for (uint i = 0; i < gl_WorkGroupSize.x; i++) {
			v = max(v, partial[i].x);
		}
	} else {
		for (uint n = gl_WorkGroupSize.x / 2; n > 0; n /= 2) {
			if (lane < n) {
				partial[lane].x = max(partial[lane].x, partial[lane + n].x);
			}
			barrier();
		}
		v = partial[0].x;
	}
	barrier();
	return v;
}
