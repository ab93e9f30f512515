// Writing 16-bit elements, two of which share a 32-bit word. If the other element of a
// word belongs to another invocation or dispatch, an element is written with atomics that
// do not change the other half.
//
// Needs a buffer uint dst[].

void store_half(uint i, uint half_bits) {
	uint shift = (i & 1u) << 4;
	atomicAnd(dst[i >> 1], ~(0xffffu << shift));
	atomicOr(dst[i >> 1], half_bits << shift);
}

// store_pair writes elements i and i+1; i is even.
void store_pair(uint i, uint first, uint second) { dst[i >> 1] = first | second << 16; }
