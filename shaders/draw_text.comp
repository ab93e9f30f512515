#version 450
// Text in a picture: runs of glyphs of one size, upright or turned to be read upwards.
// Not an op: it draws a window (backend/vulkan/draw.go). SOURCE says where the glyphs of a
// run come from:
//
//	0  codes, from the run's first on
//	1  the row ids[first] of a table of codes: the text of a token
//	2  a value from 0 to 1, in percent: value ids[first] of row first. codes are those of
//	   the ten digits, of the point, the percent sign, the space and the question mark
//
// A workgroup along y handles a run, invocations along x its pixels.
#extension GL_GOOGLE_include_directive : require
#include "math.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 1) const uint SOURCE = 0;

layout(push_constant) uniform Push {
	uint dst, stride, width, height; // of the picture
	uint runs, count;
	uint codes, codes_row, codes_rows; // of a table: distance of its rows, and their number
	uint ids, ids_stride;
	uint values, values_row, values_column, n; // n: length of a row of values
	uint atlas, glyphs, glyph_width, glyph_height;
} p;
layout(binding = 0) restrict buffer Dst { uint dst[]; };
layout(binding = 1) restrict readonly buffer Runs { uint runs[]; }; // six words a run: x, y, colour, first, length, turned
layout(binding = 2) restrict readonly buffer Codes { uint codes[]; };
layout(binding = 3) restrict readonly buffer Ids { uint ids[]; };
layout(binding = 4) restrict readonly buffer Values { float values[]; };
layout(binding = 5) restrict readonly buffer Atlas { uint atlas[]; }; // coverage, a byte a pixel, four in a word

const uint point = 10, percent = 11, space = 12, unknown = 13;

// percentage is the code of character k of "100.0%".
uint percentage(float v, uint k) {
	uint tenths = uint(1000 * clamp(v, 0, 1) + 0.5);
	uint least = k == 0 ? 1000 : k == 1 ? 100 : 0; // below it a digit in front is left out
	if (k == 5) {
		return percent;
	}
	if (is_nan(v)) {
		return unknown;
	}
	if (k == 3) {
		return point;
	}
	if (tenths < least) {
		return space;
	}
	return tenths / (k == 0 ? 1000u : k == 1 ? 100u : k == 2 ? 10u : 1u) % 10u;
}

// glyph is the glyph at place k of a run.
uint glyph(uint first, uint k) {
	if (SOURCE == 0) {
		return codes[p.codes + first + k];
	}
	uint id = ids[p.ids + first * p.ids_stride];
	if (SOURCE == 1) {
		return id < p.codes_rows ? codes[p.codes + id * p.codes_row + k] : 0;
	}
	float v = id < p.n ? values[p.values + first * p.values_row + id * p.values_column] : nan();
	return codes[p.codes + percentage(v, k)];
}

// mixed is a channel of the picture under ink that covers it to a/255.
uint mixed(uint below, uint ink, uint shift, uint a) {
	uint b = below >> shift & 0xffu, c = ink >> shift & 0xffu;
	return (b * (255 - a) + c * a + 127) / 255 << shift;
}

void main() {
	uint area = p.glyph_width * p.glyph_height, words = (p.glyph_width + 3) / 4;
	uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
	for (uint r = gl_WorkGroupID.y; r < p.count; r += gl_NumWorkGroups.y) {
		uint run = p.runs + 6 * r;
		uint color = runs[run + 2], first = runs[run + 3], length = runs[run + 4];
		bool turned = runs[run + 5] != 0;
		for (uint i = gl_GlobalInvocationID.x; i < length * area; i += step) {
			uint k = i / area, x = i % p.glyph_width, y = i % area / p.glyph_width;
			// Unsigned, modulo 2³²: what is left of the picture or above it is outside too.
			uint along = k * p.glyph_width + x;
			uint px = runs[run] + (turned ? y : along), py = runs[run + 1] + (turned ? -along : y);
			if (px >= p.width || py >= p.height) {
				continue;
			}
			uint g = glyph(first, k);
			if (g >= p.glyphs) {
				continue;
			}
			uint a = atlas[p.atlas + (g * p.glyph_height + y) * words + x / 4] >> (x % 4 * 8) & 0xffu;
			if (a == 0) {
				continue;
			}
			uint at = p.dst + py * p.stride + px, below = dst[at];
			dst[at] = 0xff000000u | mixed(below, color, 16, a) | mixed(below, color, 8, a) | mixed(below, color, 0, a);
		}
	}
}
