// What the shaders of linear share: dst = x · wᵀ + bias, then an epilogue
// while the sums are at hand. Offsets and strides are in elements.
//
// w is stored as [out, in], or (TRANSPOSED) as [in, out]; w_stride is the
// distance of its rows, respectively of its columns.
//
// Workgroups along z share the inputs: each takes a part of them, and has a
// result of its own, part_stride after that of the one before.

#include "load.glsl"
#include "math.glsl"

layout(push_constant) uniform Push {
	uint dst, dst_stride;
	uint x, x_stride;
	uint w, w_stride;
	uint bias;
	uint residual, residual_stride;
	uint rows, in_, out_;
	uint part, part_stride;
} p;

// Values of EPILOGUE. ACCUMULATE goes with any: dst already holds what an
// earlier part of w, too large for one binding, gave.
const uint NONE = 0, GELU = 1, ADD = 2;
// ABSENT stands in p.bias for no bias. Whether there is one is no constant: the
// same pipeline serves both.
const uint ABSENT = 0xffffffffu;
layout(constant_id = 1) const uint EPILOGUE = NONE;
layout(constant_id = 2) const bool ACCUMULATE = false;

layout(binding = 0) restrict buffer Dst { float dst[]; };
#ifdef TEXEL
layout(binding = 1) uniform textureBuffer x;
layout(binding = 2) uniform textureBuffer w;
#else
layout(binding = 1) restrict readonly buffer X { X_ELEMENT x[]; };
layout(binding = 2) restrict readonly buffer W { ELEMENT w[]; };
#endif
layout(binding = 3) restrict readonly buffer Bias { float bias[]; };
layout(binding = 4) restrict readonly buffer Residual { float residual[]; };

// finish writes the sum for row r of x and output o, where they exist.
void finish(uint r, uint o, float v) {
	if (r >= p.rows || o >= p.out_) {
		return;
	}
	uint to = p.dst + gl_WorkGroupID.z * p.part_stride + r * p.dst_stride + o;
	if (ACCUMULATE) {
		v += dst[to];
	}
	if (p.bias != ABSENT) {
		v += bias[p.bias + o];
	}
	if (EPILOGUE == GELU) {
		v = gelu(v);
	} else if (EPILOGUE == ADD) {
		v += residual[p.residual + r * p.residual_stride + o];
	}
	dst[to] = v;
}

void finish(uint r, uint o, vec4 v) {
	finish(r, o, v.x);
	finish(r, o + 1, v.y);
	finish(r, o + 2, v.z);
	finish(r, o + 3, v.w);
}
