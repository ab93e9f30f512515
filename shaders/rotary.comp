#version 450
// Rotates the pairs (a, b) of each head by the angles of the row's position:
//
//	dst = (a · cos − b · sin, b · cos + a · sin)
//
// Elements of a head that are in no pair are copied. A dispatch handles the positions
// that are in its piece of the table. The first one also writes NaN if a position is
// outside of the whole table, and 0 for padding.
//
// Workgroups along y loop over the rows, invocations along x over the pairs and the
// elements to copy.
//
// X4: bases, strides, sizes and numbers of pairs are in fours. Pair i is at i · step and
// i · step + apart. If pairs are neighbours, these two fours contain four pairs.
#extension GL_GOOGLE_include_directive : require
#include "math.glsl"
#include "places.glsl"
#include "elementwise.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, x; // strides of batch in z, of time in w
	uint batch, time, heads, size, pairs;
	uint step, apart;
	uint angles, angles_stride, first_position, piece_positions, context;
	uint seq, pos, at_batch; // of the first token of at, and from batch to batch
	uint mark_missing;
	float direction; // sines are multiplied by it
} p;
layout(binding = 0) restrict writeonly buffer Dst { T dst[]; };
layout(binding = 1) restrict readonly buffer X { T x[]; };
layout(binding = 2) restrict readonly buffer Angles { T angles[]; };
layout(binding = 3) restrict readonly buffer At { uint at[]; };

void main() {
	FOR_ROWS(r, p.batch * p.time) {
		uint b = r / p.time, t = r % p.time;
		uint to = p.dst.x + b * p.dst.z + t * p.dst.w, from = p.x.x + b * p.x.z + t * p.x.w;
		// Unsigned, modulo 2³²: negative ones are large, and so outside.
		uint n = b * p.at_batch + t, sequence = at[p.seq + n], place = at[p.pos + n];
		if (int(sequence) < 0 || place >= p.context) {
			if (p.mark_missing != 0) {
				FOR_ROW(i, p.heads * p.size) {
					dst[to + i] = T(sequence == PADDING ? 0.0 : nan());
				}
			}
			continue;
		}
		if (place - p.first_position >= p.piece_positions) {
			continue; // another dispatch handles it
		}
		uint angle = p.angles + (place - p.first_position) * p.angles_stride;
		uint items = p.size - p.pairs; // of a head: pairs, and elements to copy
		FOR_ROW(k, p.heads * items) {
			uint head = k / items * p.size, i = k % items;
			if (i >= p.pairs) {
				dst[to + head + p.pairs + i] = x[from + head + p.pairs + i];
				continue;
			}
			uint first = head + i * p.step, second = first + p.apart;
			T c = angles[angle + i], s = angles[angle + p.pairs + i] * p.direction;
			T u = x[from + first], v = x[from + second];
#ifdef X4
			if (p.step == 2) {
				T a = T(u.xz, v.xz), b = T(u.yw, v.yw);
				T turned_a = a * c - b * s, turned_b = b * c + a * s;
				dst[to + first] = T(turned_a.x, turned_b.x, turned_a.y, turned_b.y);
				dst[to + second] = T(turned_a.z, turned_b.z, turned_a.w, turned_b.w);
				continue;
			}
#endif
			dst[to + first] = u * c - v * s;
			dst[to + second] = v * c + u * s;
		}
	}
}
