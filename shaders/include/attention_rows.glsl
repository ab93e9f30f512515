// The rows of attention_matrix.comp: where each stands, and which keys it sees.

struct Row {
	uint t, head;
	uint begin, end; // keys that it sees
	bool padding;
};

Row row_at(uint row) {
	Row r;
	r.t = t0 + row / HEADS;
	r.head = head0 + row % HEADS;
	uint tokens = p.seq + run * p.time, position = position0 + row / HEADS;
	r.padding = sequence == PADDING || at[tokens + p.first_time + min(r.t, p.time - 1)] == PADDING;
	bool live = r.t < p.time && !r.padding && sequence < p.sequences && position < p.context;
	r.end = live ? position + 1 : 0;
	r.begin = EXTRAS && r.end > p.window ? r.end - p.window : 0;
	return r;
}

uint query_at(Row r) { return (p.q + run * p.q_run + min(r.t, p.time - 1) * p.q_time + r.head * SIZE) / 4; }

uint result_at(Row r) { return (p.dst + run * p.dst_run + r.t * p.dst_time + r.head * SIZE) / 4; }
