// Groups of 32 elements of blocks, for linear_lanes.comp: NAME_group(w, at, k) has elements k … k+31 of the row that
// begins at at, k a multiple of 32, out of a buffer that is read as texels of 16 bytes. See bytes.glsl.
struct Group {
	vec4 numbers[8];
};

uvec4 texel_of(utextureBuffer w, uint i) { return texelFetch(w, int(i)); }

// half_of is 16-bit word h.
uint half_of(utextureBuffer w, uint h) {
	uvec4 t = texel_of(w, h >> 3);
	uint word = mix(mix(t.x, t.y, (h & 2u) != 0), mix(t.z, t.w, (h & 2u) != 0), (h & 4u) != 0);
	return word >> ((h & 1u) << 4) & 0xffffu;
}

// run_of is 16-bit words from h on, so many, in up to three texels. None behind them is read.
Texels run_of(utextureBuffer w, uint h, const uint halves, const uint texels) {
	Texels t;
	uint last = (h + halves - 1) >> 3;
	[[unroll]] for (uint i = 0; i < 16; i++) {
		t.words[i] = 0;
	}
	[[unroll]] for (uint i = 0; i < texels; i++) {
		uvec4 u = texel_of(w, min((h >> 3) + i, last));
		t.words[4 * i] = u.x;
		t.words[4 * i + 1] = u.y;
		t.words[4 * i + 2] = u.z;
		t.words[4 * i + 3] = u.w;
	}
	t = shifted(h, t);
	[[unroll]] for (uint i = 0; i < 12; i++) {
		t.words[i] = mix(t.words[i], t.words[i] >> 16 | t.words[i + 1] << 16, (h & 1u) != 0);
	}
	return t;
}

// nibble_group is 32 numbers of four bits in four words, and fifth bits, of a word: scale · (q − less) + more.
Group nibble_group(Texels t, const uint first, uint high, float scale, int less, float more) {
	Group g;
	[[unroll]] for (uint i = 0; i < 8; i++) {
		uvec4 q = nibbles_of(t.words[first + (i & 3u)], i & 4u) | bits_of(high >> (4 * i)) << 4;
		g.numbers[i] = scale * vec4(ivec4(q) - less) + more;
	}
	return g;
}

Group iq4_group(Texels t, const uint first, float scale) {
	Group g;
	[[unroll]] for (uint i = 0; i < 8; i++) {
		g.numbers[i] = scale * iq4_numbers(nibbles_of(t.words[first + (i & 3u)], i & 4u));
	}
	return g;
}
