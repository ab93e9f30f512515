#version 450
// A matrix of values from 0 to 1 as cells of a picture. The colour is one of 257: that
// of round(255 · √value), or for NaN the last. Not an op: it draws a window
// (backend/vulkan/draw.go). Workgroups along y loop over the rows of pixels.
#extension GL_GOOGLE_include_directive : require
#include "math.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(push_constant) uniform Push {
	uint dst, stride; // of the first cell's first pixel, and between the rows of the picture
	uint rows, columns;
	uint cell_width, cell_height, gap; // the gap is on the right of a cell and below it
	uint values, values_row, values_column;
	uint colors;
} p;
layout(binding = 0) restrict writeonly buffer Dst { uint dst[]; };
layout(binding = 1) restrict readonly buffer Values { float values[]; };
layout(binding = 2) restrict readonly buffer Colors { uint colors[]; };

void main() {
	uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
	for (uint y = gl_WorkGroupID.y; y < p.rows * p.cell_height; y += gl_NumWorkGroups.y) {
		for (uint x = gl_GlobalInvocationID.x; x < p.columns * p.cell_width; x += step) {
			if (x % p.cell_width + p.gap >= p.cell_width || y % p.cell_height + p.gap >= p.cell_height) {
				continue;
			}
			float v = values[p.values + y / p.cell_height * p.values_row + x / p.cell_width * p.values_column];
			uint i = is_nan(v) ? 256 : uint(255 * sqrt(clamp(v, 0, 1)) + 0.5);
			dst[p.dst + y * p.stride + x] = colors[p.colors + i];
		}
	}
}
