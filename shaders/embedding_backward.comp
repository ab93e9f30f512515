#version 450
// table[row of vector r] += dy[r], for all r: the vectors of a row are a chain,
// which embedding_chain.comp has found. An invocation that has the first of
// one adds up all of it, in order, so nothing races, and no sum depends on
// what runs when. Rows outside of the window of the table are another dispatch's, or no one's.
#extension GL_GOOGLE_include_directive : require
#include "chain.glsl"
#include "elementwise.glsl"

layout(push_constant) uniform Push {
	uint table, table_stride;
	uint first_row, window_rows;
	uint dy, dy_batch, dy_time;
	uint chain;
	uint batch, time;
	uint width; // of X4, as base and strides of table and dy: in fours
} p;
layout(binding = 0) restrict buffer Table { T table[]; };
layout(binding = 1) restrict readonly buffer DY { T dy[]; };
layout(binding = 2) restrict readonly buffer Chain { uint chain[]; };

void main() {
	uint n = p.batch * p.time;
	FOR_ROWS(r, n) {
		uint row = chain[p.chain + 2 * r] - p.first_row;
		if ((chain[p.chain + 2 * r + 1] & FOLLOWS) != 0u || row >= p.window_rows) {
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
