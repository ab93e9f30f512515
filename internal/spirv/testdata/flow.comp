#version 450
// What lanes compute that part and meet, by a constant: flow_test.go has the same in Go.
#extension GL_EXT_samplerless_texture_functions : require

layout(local_size_x = 64) in;
layout(constant_id = 0) const uint CASE = 0;

layout(binding = 0) restrict writeonly buffer Y { uint y[]; }; // 64 words
layout(binding = 1) restrict readonly buffer X { uint x[]; }; // 64 words: 100, 101, …
layout(binding = 2) uniform utextureBuffer texels; // the same

shared uint s[64];
shared uint least, most;

// early returns from several places.
uint early(uint i, uint v) {
	if (i % 5 == 1) {
		return v;
	}
	for (uint k = 0; k < 8; k++) {
		if (v + k == 104) {
			return 1000 + k;
		}
	}
	return i % 3 == 0 ? 7 : 8;
}

// an early return behind a jump to the end.
uint jump(uint i, uint v) {
	do {
		if (i % 2 == 1) {
			break;
		}
		if (v == 200) {
			break;
		}
		return 1;
	} while (false);
	return 2;
}

void main() {
	uint i = gl_LocalInvocationID.x, result = 0;
	s[i] = x[i];
	if (i == 0) {
		least = 0xffffffffu;
		most = 0;
	}
	barrier();
	switch (CASE) {
	case 0: // all lanes read the same place, but the first ones are not there
		if (i % 16 >= 3) {
			for (uint j = 0; j < 64; j++) {
				result += s[j] * (j + 1);
			}
		}
		break;
	case 1: // … of a buffer
		if (i % 16 >= 3) {
			for (uint j = 0; j < 64; j++) {
				result += x[j] * (j + 1);
			}
		}
		break;
	case 2: // … of texels
		if (i % 16 >= 3) {
			for (uint j = 0; j < 16; j++) {
				uvec4 v = texelFetch(texels, int(j));
				result += v.x + 2 * v.y + 3 * v.z + 5 * v.w;
			}
		}
		break;
	case 3: { // lanes that go on early leave the loop later, though all ask for the same
		uint last = 0, round = 0;
		for (uint j = x[0] - 100; j < 8; j++) {
			last = x[j];
			round++;
			if (last + i % 4 == 105) {
				continue;
			}
			if (last >= 104) {
				break;
			}
		}
		result = last * 100 + round;
		break;
	}
	case 4: // early returns
		for (uint j = 0; j < 3; j++) {
			result = result * 10 + early(i + j, x[i]);
		}
		break;
	case 5: { // carries, and halves of products
		uint c, h, l;
		uint sum = uaddCarry(x[i] * 0x01000000u, 0x80000000u, c);
		umulExtended(x[i] * 0x01000000u, i * 0x1000u, h, l);
		result = sum ^ c ^ h * 3u ^ l * 5u;
		break;
	}
	case 6: { // vectors of bools
		uvec2 v = uvec2(x[i], x[63 - i]);
		result = (any(equal(v, uvec2(110))) ? 1 : 0) + (all(lessThan(v, uvec2(150))) ? 2 : 0);
		break;
	}
	case 7: // atomics
		if (i % 3 == 1) {
			atomicMin(least, s[i]);
			atomicMax(most, s[i]);
		}
		barrier();
		result = least * 1000 + most;
		break;
	case 8: // jumps
		result = jump(i, x[0]) + 10 * jump(i / 2, x[1]);
		break;
	}
	y[i] = result;
}
