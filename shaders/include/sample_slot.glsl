// What the shaders of sample read of a slot. Needs buffers x, slots, settings and marks.

Sampling sampling(uint slot) {
	uint at = p.settings + slot * p.settings_stride;
	Sampling s;
	s.seed = uvec2(settings[at], settings[at + 1]);
	s.top_p = uvec2(settings[at + 2], settings[at + 3]);
	s.top_k = settings[at + 4];
	s.min_p = uintBitsToFloat(settings[at + 5]);
	s.scale = uintBitsToFloat(settings[at + 6]);
	s.greedy = settings[at + 7] != 0;
	s.penalty = uintBitsToFloat(settings[at + 8]);
	s.inverse = uintBitsToFloat(settings[at + 9]);
	s.window = min(int(settings[at + 10]), int(p.window));
	return s;
}

uint slot_of(uint r) { return slots[p.slots + r]; } // of one that is negative a large number

// keys are those of logit i of row r, without and with the penalty: NONE if its token may
// not be drawn.
uvec2 keys(uint r, uint slot, Sampling s, uint i) {
	uint at = p.marks + slot * p.marks_slot + i / 32, bit = 1u << (i & 31u);
	if ((marks[at] & bit) != 0) {
		return uvec2(NONE);
	}
	uint k = key(x[p.x + r * p.x_stride + i]);
	if (s.window == 0 || (marks[at + p.marks_seen] & bit) == 0 || !finite_key(k)) {
		return uvec2(k);
	}
	return uvec2(k, key(floatBitsToUint(product(value(k), k > ZERO ? s.inverse : s.penalty))));
}
