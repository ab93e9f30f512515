#version 450
// The gradient of gamma of an RMS norm: a sum over all rows.
//
//	dgamma += Σ dy · x · s
//
// Workgroups, lanes and stages share the work as in
// layernorm_backward_columns.comp.
// X4: columns are read and written in fours.
layout(local_size_x = 32, local_size_y = 8, local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 2) const uint STAGE = 0; // 0: both stages in one

#ifdef X4
#define T vec4
#else
#define T float
#endif

layout(push_constant) uniform Push {
	uint dgamma;
	uint x, x_stride;
	uint dy, dy_stride;
	uint stats, stats_stride;
	uint partial;
	uint rows, n;
	uint slice; // rows of a workgroup
} p;
layout(binding = 0) restrict buffer DGamma { T dgamma[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };
layout(binding = 2) restrict readonly buffer DY { T dy[]; };
layout(binding = 3) restrict readonly buffer Stats { float stats[]; }; // s of each row
layout(binding = 4) restrict buffer Partial { T partial[]; };          // of each slice n sums

shared T sums[256]; // of each invocation

void main() {
	const uint COLUMNS = gl_WorkGroupSize.x, LANES = gl_WorkGroupSize.y;
	uint column = gl_LocalInvocationID.x, lane = gl_LocalInvocationID.y, mine = lane * COLUMNS + column;
	uint first = gl_WorkGroupID.y * p.slice, end = min(first + p.slice, p.rows);
	for (uint block = gl_WorkGroupID.x * COLUMNS; block < p.n; block += gl_NumWorkGroups.x * COLUMNS) {
		uint c = block + column;
		T sum = T(0);
		if (c < p.n) {
			for (uint r = first + lane; r < end; r += LANES) {
				if (STAGE == 2) {
					sum += partial[p.partial + r * p.n + c];
				} else {
					sum += dy[p.dy + r * p.dy_stride + c] * (x[p.x + r * p.x_stride + c] * stats[p.stats + r * p.stats_stride]);
				}
			}
		}
		if (LANES > 1) {
			sums[mine] = sum;
			barrier();
			if (lane == 0) {
				for (uint i = 1; i < LANES; i++) {
					sum += sums[i * COLUMNS + column];
				}
			}
			barrier();
		}
		if (lane > 0 || c >= p.n) {
			continue;
		}
		if (STAGE == 1) {
			partial[p.partial + gl_WorkGroupID.y * p.n + c] = sum;
		} else {
			dgamma[p.dgamma + c] += sum;
		}
	}
}
