#version 450
// table[row of vector r] += dy[r], for all r. The vectors of a row are a chain, made by
// embedding_chain.comp. The invocation that has the first vector of a chain adds up the
// whole chain, in order. So there is no race, and the sums do not depend on timing. Rows
// outside of this dispatch's piece of the table are handled by another dispatch, or
// are outside of the whole table.
#extension GL_GOOGLE_include_directive : require
#include "chain.glsl"
#include "elementwise.glsl"

layout(push_constant) uniform Push {
	uint table, table_stride;
	uint first_row, piece_rows;
	uint dy, dy_batch, dy_time;
	uint chain;
	uint batch, time;
	uint width; // with X4 in fours, as are the bases and strides of table and dy
} p;
layout(binding = 0) restrict buffer Table { T table[]; };
layout(binding = 1) restrict readonly buffer DY { T dy[]; };
layout(binding = 2) restrict readonly buffer Chain { uint chain[]; };

void main() {
	uint n = p.batch * p.time;
	FOR_ROWS(r, n) {
		uint row = chain[p.chain + 2 * r] - p.first_row;
		if ((chain[p.chain + 2 * r + 1] & FOLLOWS) != 0u || row >= p.piece_rows) {
			continue;
		}
		FOR_ROW(i, p.width) {
			uint to = p.table + row * p.table_stride + i;
			T total = table[to];
			for (uint j = r; j < n; j = chain[p.chain + 2 * j + 1] & ~FOLLOWS) {
				total += dy[p.dy + j / p.time * p.dy_batch + j % p.time * p.dy_time + i];
			}
			table[to] = total;
		}
	}
}
