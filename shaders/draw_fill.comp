#version 450
// A rectangle of a picture in one colour. Not an op: it draws a window (backend/vulkan/draw.go).
layout(local_size_x = 64, local_size_x_id = 0) in;

layout(push_constant) uniform Push {
	uint dst, stride; // of the rectangle's first pixel, and between the rows of the picture
	uint width, height;
	uint color;
} p;
layout(binding = 0) restrict writeonly buffer Dst { uint dst[]; };

void main() {
	uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
	for (uint y = gl_WorkGroupID.y; y < p.height; y += gl_NumWorkGroups.y) {
		for (uint x = gl_GlobalInvocationID.x; x < p.width; x += step) {
			dst[p.dst + y * p.stride + x] = p.color;
		}
	}
}
