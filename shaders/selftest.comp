// Tests subgroup operations. The backend runs it before it uses a variant with subgroup
// operations.
//
// Each invocation i of workgroup g writes four words at 4·(g·size+i):
// gl_SubgroupSize, gl_SubgroupID, its lane, which its neighbour tells it, and the
// sum of i·i+1 over its subgroup.
#version 450
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;

layout(std430, set = 0, binding = 0) writeonly buffer Dst { uint dst[]; };

void main() {
  uint i = gl_LocalInvocationID.x;
  uint at = 4 * (gl_WorkGroupID.x * gl_WorkGroupSize.x + i);
  dst[at] = gl_SubgroupSize;
  dst[at + 1] = gl_SubgroupID;
  uint next = gl_SubgroupSize > 1 ? 1 : 0;
  dst[at + 2] = subgroupShuffleXor(gl_SubgroupInvocationID ^ next, next);
  dst[at + 3] = subgroupAdd(i * i + 1);
}
