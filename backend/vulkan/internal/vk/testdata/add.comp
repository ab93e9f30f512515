#version 450
// c[i] = scale * a[i] + b[i], with a as a texel buffer.
// Compile: glslc --target-env=vulkan1.1 -O add.comp -o add.spv

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint scale = 1;

layout(binding = 0) uniform samplerBuffer a;
layout(binding = 1) readonly buffer B { float b[]; };
layout(binding = 2) writeonly buffer C { float c[]; };
layout(push_constant) uniform Push { uint n; };

void main() {
	uint i = gl_GlobalInvocationID.x;
	if (i < n) c[i] = float(scale) * texelFetch(a, int(i)).x + b[i];
}
