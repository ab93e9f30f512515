#version 450
// One fault, or none, by a constant: faults_test.go says which reports each must give.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_memory_scope_semantics : require

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint CASE = 0;

layout(push_constant) uniform Push {
	float big;
	uint two;
} p;
layout(binding = 0) restrict buffer Y { uint y[]; }; // 64 words for each workgroup, of which the first is written
layout(binding = 1) restrict readonly buffer X { uint x[]; }; // 64 words

shared uint s[64];

void main() {
	uint i = gl_LocalInvocationID.x, at = 64 * gl_WorkGroupID.x + i;
	switch (CASE) {
	case 0: // neighbours read each other
		s[i] = x[i];
		barrier();
		y[at] = s[i ^ 1];
		break;
	case 1: // … and there is no barrier
		s[i] = x[i];
		y[at] = s[i ^ 1];
		break;
	case 2: // … but one for the subgroup
		s[i] = x[i];
		subgroupBarrier();
		y[at] = s[i ^ 1];
		break;
	case 3: // … and other subgroups
		s[i] = x[i];
		subgroupBarrier();
		y[at] = s[63 - i];
		break;
	case 4: // two write the same place
		y[64 * gl_WorkGroupID.x + i / 2] = 7;
		break;
	case 5: // workgroups write the same place
		y[i] = 7;
		break;
	case 6: // nothing has written it
		y[at] = s[i];
		break;
	case 7: // an invocation's own variable
		uint own[4];
		own[i & p.two] = i;
		y[at] = own[i & 3];
		break;
	case 8: // past the end of a buffer
		y[at] = x[i + 1];
		break;
	case 9: // past the end of shared memory
		s[i + p.two] = i;
		break;
	case 10: // half of a workgroup, and of a subgroup of 64
		if (i < 33) {
			barrier();
		}
		break;
	case 11:
		if (i < 3) {
			y[at] = subgroupAdd(i);
		}
		break;
	case 12:
		y[at] = 1u << (i + p.two);
		break;
	case 13:
		y[at] = uint(int(p.big * float(i)));
		break;
	case 14:
		y[at] = 100 / (i % p.two);
		break;
	case 15: // barrier() orders no writes to buffers
		y[at] = x[i];
		barrier();
		s[i] = y[at ^ 1];
		break;
	case 16: // this one does
		y[at] = x[i];
		controlBarrier(gl_ScopeWorkgroup, gl_ScopeWorkgroup, gl_StorageSemanticsBuffer, gl_SemanticsAcquireRelease);
		s[i] = y[at ^ 1];
		break;
	case 17: // a read before a write is ordered by any
		if (i < 2) {
			s[i] = y[64 * gl_WorkGroupID.x];
		}
		barrier();
		if (i == 3) {
			y[64 * gl_WorkGroupID.x] = 5;
		}
		break;
	case 18: // … and by none is not
		if (i < 2) {
			s[i] = y[64 * gl_WorkGroupID.x];
		}
		if (i == 3) {
			y[64 * gl_WorkGroupID.x] = 5;
		}
		break;
	case 19: // atomics may meet
		atomicOr(y[64 * gl_WorkGroupID.x], 1u << (i & 31));
		break;
	case 20: // but not what is none
		atomicOr(y[64 * gl_WorkGroupID.x], 1u << (i & 31));
		if (i == 3) {
			y[64 * gl_WorkGroupID.x] = 5;
		}
		break;
	case 21: // rounds differ, results do not mix
		uint sum = 0, last = 0;
		for (uint k = 0; k <= i; k++) {
			sum += k;
			last = 2 * k;
			if (sum > 1000) {
				break;
			}
		}
		y[at] = sum + last;
		break;
	case 22: // what is uninitialised in a buffer
		s[i] = y[64 * gl_WorkGroupID.x + 1];
		break;
	}
}
