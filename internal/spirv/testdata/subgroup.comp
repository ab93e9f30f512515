#version 450
// What lanes of a subgroup tell each other: subgroup_test.go has the same in Go.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_shuffle : require

layout(local_size_x = 100) in;
layout(binding = 0) restrict buffer Y { uint y[]; };
layout(binding = 1) restrict buffer Total { uint total; };

void main() {
	uint i = gl_LocalInvocationIndex, at = 10 * i;
	y[at] = subgroupAdd(i);
	y[at + 1] = uint(subgroupAdd(float(i) * 0.5));
	y[at + 2] = subgroupMax(i * 7 % 10);
	y[at + 3] = uint(subgroupMax(-float(i)) + 200);
	y[at + 4] = subgroupElect() ? 1 : 0;
	y[at + 5] = subgroupBroadcast(i, 1);
	uvec4 odd = subgroupBallot((i & 1u) == 1u);
	y[at + 6] = odd.x ^ odd.y ^ odd.z ^ odd.w;
	y[at + 7] = subgroupShuffle(i, gl_SubgroupInvocationID ^ 1);
	y[at + 8] = subgroupShuffleXor(i, 2);
	y[at + 9] = gl_SubgroupSize * 10000 + gl_NumSubgroups * 100 + gl_SubgroupID;
	atomicAdd(total, i);
}
