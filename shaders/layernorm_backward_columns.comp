#version 450
// The gradients of gamma and beta of a layer norm: sums over all rows.
//
//	dgamma += Σ dy · n,  dbeta += Σ dy
//
// A workgroup sums as many columns as it has lanes along x. Its lanes along y share the
// rows, and their sums are added in order. If there are few columns, one workgroup for
// each block of columns would not fill a GPU. Then workgroups along y share the rows
// too: each writes its sums to partial (STAGE 1), and a second dispatch adds these up
// (STAGE 2).
// X4: columns are read and written in fours.
layout(local_size_x = 32, local_size_y = 8, local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 2) const uint STAGE = 0; // 0: both stages in one

#ifdef X4
#define T vec4
#else
#define T float
#endif

layout(push_constant) uniform Push {
	uint dgamma, dbeta;
	uint x, x_stride;
	uint dy, dy_stride;
	uint stats, stats_stride;
	uint partial;
	uint rows, n;
	uint slice; // rows of a workgroup
} p;
layout(binding = 0) restrict buffer DGamma { T dgamma[]; };
layout(binding = 1) restrict buffer DBeta { T dbeta[]; };
layout(binding = 2) restrict readonly buffer X { T x[]; };
layout(binding = 3) restrict readonly buffer DY { T dy[]; };
layout(binding = 4) restrict readonly buffer Stats { float stats[]; }; // mean and s of each row
layout(binding = 5) restrict buffer Partial { T partial[]; };          // of each slice n sums of dy · n, then n of dy

shared T gammas[256]; // sums of each invocation
shared T betas[256];

void main() {
	const uint COLUMNS = gl_WorkGroupSize.x, LANES = gl_WorkGroupSize.y;
	uint column = gl_LocalInvocationID.x, lane = gl_LocalInvocationID.y, mine = lane * COLUMNS + column;
	uint first = gl_WorkGroupID.y * p.slice, end = min(first + p.slice, p.rows);
	for (uint block = gl_WorkGroupID.x * COLUMNS; block < p.n; block += gl_NumWorkGroups.x * COLUMNS) {
		uint c = block + column;
		T gamma = T(0), beta = T(0);
		if (c < p.n) {
			for (uint r = first + lane; r < end; r += LANES) {
				if (STAGE == 2) {
					gamma += partial[p.partial + 2 * r * p.n + c];
					beta += partial[p.partial + (2 * r + 1) * p.n + c];
				} else {
					uint of = p.stats + r * p.stats_stride;
					T up = dy[p.dy + r * p.dy_stride + c];
					gamma += up * ((x[p.x + r * p.x_stride + c] - stats[of]) * stats[of + 1]);
					beta += up;
				}
			}
		}
		if (LANES > 1) {
			gammas[mine] = gamma;
			betas[mine] = beta;
			barrier();
			if (lane == 0) {
				for (uint i = 1; i < LANES; i++) {
					gamma += gammas[i * COLUMNS + column];
					beta += betas[i * COLUMNS + column];
				}
			}
			barrier();
		}
		if (lane > 0 || c >= p.n) {
			continue;
		}
		if (STAGE == 1) {
			partial[p.partial + 2 * gl_WorkGroupID.y * p.n + c] = gamma;
			partial[p.partial + (2 * gl_WorkGroupID.y + 1) * p.n + c] = beta;
		} else {
			dgamma[p.dgamma + c] += gamma;
			dbeta[p.dbeta + c] += beta;
		}
	}
}
