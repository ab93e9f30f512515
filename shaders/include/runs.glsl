// Weights in blocks for linear_one.comp and linear_rows.comp, of types that define LOAD. A run is 32 elements: 16 from k on, and 16
// more from k + HALVES_APART on, k where low_of says. NAME_LOAD(b, at, k) reads what there is of a run in the row that begins at at, numbers and scales; neighbours
// read neighbours. An eight is a fourth of a run: four elements of its first half and four of its second one.
//
//	NAME_bytes(run, at, k, low, high)  the numbers of both halves, as bytes from which OFFSET is to be subtracted
//	NAME_scales(run, at, k)            what the numbers of either half are multiplied with, and with MINS what is added then

uint low_of(uint run) { return run / (HALVES_APART / 16) * (2 * HALVES_APART) + run % (HALVES_APART / 16) * 16; }

// Four bytes, less OFFSET. put: a byte is put into the last bits of the f32 2²³, or where it begins at bit 8 into those of 2¹⁵, which
// is subtracted: see q8_0.glsl.
vec4 numbers_of(uint bytes, bool put) {
	if (put) {
		uvec2 parts = uvec2(bytes, bytes >> 16);
		precise vec2 at0 = uintBitsToFloat(parts & 0xffu | 0x4b000000u) - (8388608.0 + OFFSET);
		precise vec2 at8 = uintBitsToFloat(parts & 0xff00u | 0x47000000u) - (32768.0 + OFFSET);
		return vec4(at0.x, at8.x, at0.y, at8.y);
	}
	vec4 v = vec4(bytes_of(bytes));
	return OFFSET == 0 ? v : v - OFFSET;
}
