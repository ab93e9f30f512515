// How attention_matrix.comp computes rows in which something is not finite, or for which halves hold too little.

// plainly computes in f32, of the rows of this subgroup from the first one on, those whose bits are in which: lanes divide
// keys among them, and then the elements of values.
void plainly(uint first, uint which) {
	const uint ITEMS = (SIZE / 4 + SUBGROUP_SIZE - 1) / SUBGROUP_SIZE; // at most 4
	uint lane = gl_SubgroupInvocationID % SUBGROUP_SIZE;
	[[dont_unroll]] for (uint i = 0; i < ROWS; i++) {
		if ((which >> i & 1) == 0) {
			continue;
		}
		Row r = row_at(first + i);
		float largest = LEAST, total = 0;
		if (EXTRAS && p.sinks != ABSENT) {
			float sink = sinks[p.sinks + r.head];
			largest = max(largest, sink);
			total = exp_(sink - largest);
		}
		vec4 acc[4];
		[[unroll]] for (uint item = 0; item < ITEMS; item++) {
			acc[item] = vec4(0);
		}
		uint query = query_at(r);
		[[dont_unroll]] for (uint from = r.begin; from < r.end; from += SUBGROUP_SIZE) {
			bool seen = from + lane < r.end, lost;
			uint key = rows_of(sequence, min(from + lane, r.end - 1), lost).x + group * EIGHTS;
			vec4 products = vec4(0);
			[[dont_unroll]] for (uint d = 0; d < EIGHTS; d++) {
				uvec4 raw = k[key + d];
				products += q[query + 2 * d] * four(raw, 0);
				products += q[query + 2 * d + 1] * four(raw, 1);
			}
			float x = score((products.x + products.y) + (products.z + products.w)), before = largest;
			x = mix(x, nan(), lost);
			largest = max(largest, subgroupMax(mix(LEAST, x, seen)));
			float weight = mix(0.0, exp_(x - largest), seen), scaled = exp_(before - largest);
			total = total * scaled + subgroupAdd(weight);
			[[unroll]] for (uint item = 0; item < ITEMS; item++) {
				acc[item] *= scaled;
			}
			[[dont_unroll]] for (uint j = 0; j < SUBGROUP_SIZE; j++) {
				float w = subgroupShuffle(weight, j);
				if (from + j < r.end) {
					bool unknown; // whose score is NaN
					uint value = rows_of(sequence, from + j, unknown).y + group * EIGHTS;
					[[unroll]] for (uint item = 0; item < ITEMS; item++) {
						uint d = min(item * SUBGROUP_SIZE + lane, SIZE / 4 - 1);
						acc[item] += w * four(v[value + d / 2], d % 2);
					}
				}
			}
		}
		float factor = total > 0 ? 1 / total : nan(); // NaN too where no score is above −∞
		[[unroll]] for (uint item = 0; item < ITEMS; item++) {
			uint d = item * SUBGROUP_SIZE + lane;
			if (r.t < p.time && d < SIZE / 4) {
				dst[result_at(r) + d] = r.end > 0 ? acc[item] * factor : vec4(r.padding ? 0.0 : nan());
			}
		}
	}
}
