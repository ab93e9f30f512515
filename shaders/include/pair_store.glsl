// Writing numbers of 16 bits into words that neighbours share. An element whose
// other half belongs to another invocation, or to another dispatch, is put into
// its word with atomics that leave the other half alone.
//
// Needs a buffer uint dst[].

void store_half(uint i, uint half_bits) {
	uint shift = (i & 1u) << 4;
	atomicAnd(dst[i >> 1], ~(0xffffu << shift));
	atomicOr(dst[i >> 1], half_bits << shift);
}

// store_pair writes elements i and i+1, i even.
void store_pair(uint i, uint first, uint second) { dst[i >> 1] = first | second << 16; }
