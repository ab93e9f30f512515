#version 450
// Which rows are whose, for expert_linear.comp: the rows in the order of their experts, and tiles of them. A tile is up to
// p.tile_rows rows of one expert, three words: the expert, where in the list its rows begin, and how many it has. Tiles that
// are not needed have none. Ids that are no expert's count as those of one more.
//
// One workgroup is all of it. An invocation has an expert, and looks through all ids twice: to count, and to write its rows
// down. So the list is the same each time, and no count is shared.
layout(local_size_x = 64, local_size_x_id = 0) in; // at most 128

layout(push_constant) uniform Push {
	uint tile, list;                             // where tiles and the list begin
	uint tiles, tile_rows;
	uint rows, n1, n2;                           // n2: experts of a token
	uint ids, ids_stride_batch, ids_stride_time;
	uint experts;
} p;
layout(binding = 0) restrict writeonly buffer Order { uint order[]; };
layout(binding = 1) restrict readonly buffer IDs { uint ids[]; };

shared uint window[128]; // ids, one for each invocation
shared uint counts[128]; // rows of each invocation's expert

uint expert_of(uint r) {
	uint id = ids[p.ids + r / (p.n1 * p.n2) * p.ids_stride_batch + r / p.n2 % p.n1 * p.ids_stride_time + r % p.n2];
	return min(id, p.experts); // unsigned: negative ones are large
}

void main() {
	uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	uint rows = 0, tiles = 0; // of the experts before
	for (uint first = 0; first <= p.experts; first += lanes) {
		uint expert = first + lane, n = 0;
		for (uint from = 0; from < p.rows; from += lanes) {
			window[lane] = from + lane < p.rows ? expert_of(from + lane) : 0;
			barrier();
			uint end = min(lanes, p.rows - from);
			for (uint i = 0; i < end; i++) {
				n += window[i] == expert ? 1 : 0;
			}
			barrier();
		}
		counts[lane] = n;
		barrier();
		uint to = rows, tile = tiles;
		for (uint i = 0; i < lanes; i++) {
			uint count = counts[i], needed = (count + p.tile_rows - 1) / p.tile_rows;
			if (i < lane) {
				to += count;
				tile += needed;
			}
			rows += count;
			tiles += needed;
		}
		for (uint i = 0; i < n; i += p.tile_rows) {
			uint at = p.tile + 3 * tile++;
			order[at] = expert;
			order[at + 1] = to + i;
			order[at + 2] = min(n - i, p.tile_rows);
		}
		for (uint from = 0; from < p.rows; from += lanes) {
			window[lane] = from + lane < p.rows ? expert_of(from + lane) : 0;
			barrier();
			uint end = min(lanes, p.rows - from);
			for (uint i = 0; i < end; i++) {
				if (window[i] == expert) {
					order[p.list + to++] = from + i;
				}
			}
			barrier();
		}
	}
	for (uint i = 3 * tiles + lane; i < 3 * p.tiles; i += lanes) {
		order[p.tile + i] = 0;
	}
}
