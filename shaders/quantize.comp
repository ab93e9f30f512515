#version 450
// dst = x, from f32 to blocks of q8_a. It is no op of its own, but a case of copy. Each
// step is exact or rounds by integer code, so that every device gives the same bits: see
// backend/q8_a.go.
//
// Each invocation along x converts a block. Workgroups along y loop over the rows.
// dst's base and strides are in 16-bit words.
#extension GL_GOOGLE_include_directive : require
#include "pairs/f16.glsl"
#include "rows.glsl"
#include "elementwise.glsl"

layout(push_constant) uniform Push {
	uvec4 dst, x;
	uint rows, n1, n2, n; // n in blocks
} p;
layout(binding = 0) restrict writeonly buffer Dst { uint dst[]; };
layout(binding = 1) restrict readonly buffer X { uint x[]; };

void main() {
	FOR_ROWS(r, p.rows) {
		uint to = row(p.dst, r, p.n1, p.n2) >> 1, from = row(p.x, r, p.n1, p.n2);
		FOR_ROW(i, p.n) {
			uint block = to + 9 * i, first = from + 32 * i;
			uint largest = 0; // bits of magnitudes sort as the numbers do, with NaN above infinity
			for (uint j = 0; j < 32; j++) {
				largest = max(largest, x[first + j] & 0x7fffffffu);
			}
			precise float scale = uintBitsToFloat(largest) * uintBitsToFloat(0x3c010204u); // f32(1/127)
			uint half_bits = largest >= 0x7f800000u ? 0x7c00u : f16_round(floatBitsToUint(scale));
			bool valid = half_bits < 0x7c00u;
			float d = valid ? uintBitsToFloat(f16_widen(half_bits)) : 0.0;
			int sum = 0;
			for (uint k = 0; k < 8; k++) {
				uint word = 0;
				for (uint q = 0; q < 4; q++) {
					uint bits = x[first + 4 * k + q];
					float magnitude = uintBitsToFloat(bits & 0x7fffffffu);
					uint n = 0;
					for (uint step = 64; step > 0; step >>= 1) {
						precise float edge = d * (float(n + step) - 0.5);
						n = magnitude >= edge ? n + step : n;
					}
					n = d > 0.0 ? n : 0;
					int number = bits >> 31 != 0 ? -int(n) : int(n);
					sum += number;
					word |= (uint(number) & 0xffu) << (8 * q);
				}
				dst[block + 1 + k] = word;
			}
			dst[block] = (valid ? half_bits : 0x7e00u) | uint(sum) << 16;
		}
	}
}
