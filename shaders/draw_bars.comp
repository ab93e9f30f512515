#version 450
// Bars of a picture, one below the other: bar r is as long as value ids[r] of row r says,
// of 0 to 1. A bar whose id is outside of its row, or whose value is NaN, is empty. Not an
// op: it draws a window (backend/vulkan/draw.go). Workgroups along y loop over the rows of
// pixels.
layout(local_size_x = 64, local_size_x_id = 0) in;

layout(push_constant) uniform Push {
	uint dst, stride; // of the first bar's first pixel, and between the rows of the picture
	uint rows, width, height, pitch; // of a bar, and from one to the next
	uint values, values_row, values_column, n; // n: length of a row of values
	uint ids, ids_stride;
	uint color, track; // of the bar, and of what is left of its width
} p;
layout(binding = 0) restrict writeonly buffer Dst { uint dst[]; };
layout(binding = 1) restrict readonly buffer Values { float values[]; };
layout(binding = 2) restrict readonly buffer Ids { uint ids[]; };

void main() {
	uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
	for (uint i = gl_WorkGroupID.y; i < p.rows * p.height; i += gl_NumWorkGroups.y) {
		uint r = i / p.height, y = r * p.pitch + i % p.height;
		uint id = ids[p.ids + r * p.ids_stride];
		float length = 0;
		if (id < p.n) {
			length = values[p.values + r * p.values_row + id * p.values_column] * float(p.width);
		}
		for (uint x = gl_GlobalInvocationID.x; x < p.width; x += step) {
			dst[p.dst + y * p.stride + x] = float(x) + 0.5 < length ? p.color : p.track;
		}
	}
}
