// What attention.comp and attention_spread.comp are told.
layout(push_constant) uniform Push {
	uint dst, dst_run, dst_time;
	uint q, q_run, q_time;
	uint k, k_seq, k_row; // k_seq, v_seq: from sequence to sequence, or from block to block
	uint v, v_seq, v_row;
	uint probs, probs_run, probs_head, probs_time;
	uint seq, pos;   // of the first token of q, and of the first of its run; runs follow one another
	uint first_time; // where q begins in a run; if not at 0, or not up to its end, there is one run
	uint time, context;
	uint shared_by;  // heads of a group
	uint first_head; // the one at which dst, q, probs and sinks begin
	float scale;
	uint first_key, keys; // where k and v begin in a sequence, and how many they are; TABLE: where table begins, and its stride
	uint state;           // TABLE: the blocks of the pool
	uint window;    // keys that a query sees at most
	float soft_cap; // 0: none
	uint sinks;     // ABSENT: there are none
	uint first_seq, sequences; // the first one of k and v, and how many there are; TABLE: log₂ of the positions of a block, …
} p;
