// Numbers of x as bytes of blocks of activations, for linear_one.comp: the bits that
// backend/q8_a.go says, as quantize.comp gives them, in fewer instructions. Lanes that have
// eights of one block are neighbours: two, or four where a lane has one eight of it.

uint largest_of(vec4 v) {
	uvec4 m = floatBitsToUint(v) & 0x7fffffffu; // these sort as the magnitudes do, with NaN above infinity
	return max(max(m.x, m.y), max(m.z, m.w));
}

// The scale of a block, of which a lane has numbers up to largest.
float to_scale(uint largest) {
	largest = max(largest, subgroupShuffleXor(largest, 1));
	if (TOGETHER == 1) {
		largest = max(largest, subgroupShuffleXor(largest, 2));
	}
	precise float scale = uintBitsToFloat(largest) * uintBitsToFloat(0x3c010204u); // f32(1/127)
	uint bits = floatBitsToUint(scale);
	float normal = uintBitsToFloat((bits + 0xfffu + (bits >> 13 & 1u)) & 0xffffe000u); // 11 bits, ties to even
	precise float denormal = (scale + 0.5) - 0.5; // a multiple of 2⁻²⁴: those of f16 below 2⁻¹⁴
	float d = mix(normal, denormal, scale < 6.103515625e-5);
	return mix(nan(), d, largest < 0x7f800000u && d < 65536.0);
}

// Four numbers as bytes. inverse is 1/d, to a few units in the last place.
//
// Adding 1.5·2²³ to a quotient rounds it to an integer, n. The quotient is a little too small, so
// n is right or one too near to 0: by how much x is off, which is exact, it is known which, and
// then one that is a little too large is rounded. Integers are added up as the f32 they are
// the last bits of: with 128 more, so that bytes are not negative, which the last step takes off
// again. What the sum gets of the other bits of an f32 is subtracted from the last two before.
uint to_bytes(vec4 x, float d, float inverse) {
	const vec4 origin = vec4(12583040.0, 12583040.0, 12582976.0, 12582901.0); // 1.5·2²³ + 128, 128, 64, −11
	float below = inverse * 0.99993896484375, above = inverse * 1.0001220703125; // 1 − 2⁻¹⁴, 1 + 2⁻¹³
	x = clamp(x, vec4(-127.0 * d), vec4(127.0 * d)); // a denormal d may be too small
	precise vec4 n = fma(x, vec4(below), origin) - origin;
	precise vec4 off = fma(n, vec4(-d), x);
	bvec4 more = greaterThanEqual(abs(off), vec4(0.5 * d));
	precise vec4 r = fma(x, mix(vec4(below), vec4(above), more), origin);
	uvec4 b = floatBitsToUint(r);
	return (b.x + (b.y << 8) + ((b.z + (b.w << 8)) << 16)) ^ 0x80808080u;
}
