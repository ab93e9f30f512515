// What follows a product in tiles, four outputs at a time: rows of dst and residual begin at
// multiples of four numbers, and so does the bias. Offsets and strides are in elements. See
// linear.glsl, which has the same push constants and specialization constants. BIAS is a macro:
// the binding of the bias, before that of the residual.

#include "math.glsl"
#include "activation.glsl"

layout(push_constant) uniform Push {
	uint dst, dst_stride;
	uint x, x_stride;
	uint w, w_stride;
	uint bias;
	uint residual, residual_stride;
	uint rows, in_, out_;
	uint part, part_stride;
} p;

layout(constant_id = 1) const bool ACCUMULATE = false;
layout(constant_id = 2) const uint ACTIVATION = 0; // see activation.glsl
layout(constant_id = 3) const bool RESIDUAL = false;
const uint ABSENT = 0xffffffffu; // in p.bias: there is none

layout(binding = 0) restrict buffer Dst { vec4 dst[]; };
layout(binding = BIAS) restrict readonly buffer Bias { vec4 bias[]; };
layout(binding = BIAS + 1) restrict readonly buffer Residual { vec4 residual[]; };

// finish writes the sums for row r and outputs o … o+3, as far as these exist, to the results
// of a part of the inputs.
void finish(uint part, uint r, uint o, vec4 v) {
	if (r < p.rows && o < p.out_) {
		uint at = (p.dst + part * p.part_stride + r * p.dst_stride + o) >> 2;
		if (ACCUMULATE) {
			v += dst[at];
		}
		if (p.bias != ABSENT) {
			v += bias[(p.bias + o) >> 2];
		}
		v = activation(ACTIVATION, v);
		if (RESIDUAL) {
			v += residual[(p.residual + r * p.residual_stride + o) >> 2];
		}
		uint n = p.out_ - o;
		if (n >= 4) {
			dst[at] = v;
		} else { // what lies behind the last output is not ours
			dst[at].x = v.x;
			if (n > 1) {
				dst[at].y = v.y;
			}
			if (n > 2) {
				dst[at].z = v.z;
			}
		}
	}
}
