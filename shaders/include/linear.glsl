// What the shaders of linear share: dst = x · wᵀ + bias, then an epilogue
// while the sums are at hand: residual + activation(…). Offsets and strides are
// in elements. A shader that defines NO_EPILOGUE has none, and no bias.
//
// w is stored as [out, in], or (TRANSPOSED) as [in, out]; w_stride is the
// distance of its rows, respectively of its columns.
//
// Workgroups along z share the inputs: each takes a part of them, and has a
// result of its own, part_stride after that of the one before.

#include "load.glsl"
#ifndef NO_EPILOGUE
#include "math.glsl"
#include "activation.glsl"
#endif

layout(push_constant) uniform Push {
	uint dst, dst_stride;
	uint x, x_stride;
	uint w, w_stride;
	uint bias;
	uint residual, residual_stride;
	uint rows, in_, out_;
	uint part, part_stride;
#ifdef NORM
	uint gamma, beta;
	float epsilon;
#endif
} p;

// dst already holds what an earlier part of w, too large for one binding, gave.
layout(constant_id = 1) const bool ACCUMULATE = false;
#ifndef NO_EPILOGUE
layout(constant_id = 2) const uint ACTIVATION = 0; // see activation.glsl
layout(constant_id = 3) const bool RESIDUAL = false;
// ABSENT stands in p.bias for no bias. Whether there is one is no constant: the
// same pipeline serves both.
const uint ABSENT = 0xffffffffu;
#endif

layout(binding = 0) restrict buffer Dst { float dst[]; };
#if defined(TEXEL) || defined(X_TEXEL)
layout(binding = 1) uniform textureBuffer x;
#else
layout(binding = 1) restrict readonly buffer X { X_ELEMENT x[]; };
#endif
#if defined(WORDS)
layout(binding = 2) uniform utextureBuffer w;
#elif defined(TEXEL)
layout(binding = 2) uniform textureBuffer w;
#else
layout(binding = 2) restrict readonly buffer W { ELEMENT w[]; };
#endif
#ifndef NO_EPILOGUE
layout(binding = 3) restrict readonly buffer Bias { float bias[]; };
layout(binding = 4) restrict readonly buffer Residual { float residual[]; };
#endif

// begun is the sum v for row r of x and output o, with what comes before the
// activation.
float begun(uint r, uint o, float v) {
	if (o < p.out_) {
		if (ACCUMULATE) {
			v += dst[p.dst + r * p.dst_stride + o];
		}
#ifndef NO_EPILOGUE
		if (p.bias != ABSENT) {
			v += bias[p.bias + o];
		}
#endif
	}
	return v;
}

// write writes it, with what comes behind the activation.
void write(uint r, uint o, float v) {
	if (o < p.out_) {
#ifndef NO_EPILOGUE
		if (RESIDUAL) {
			v += residual[p.residual + r * p.residual_stride + o];
		}
#endif
		dst[p.dst + gl_WorkGroupID.z * p.part_stride + r * p.dst_stride + o] = v;
	}
}

#ifdef NO_EPILOGUE
#define ACTIVATE(v) v
#else
#define ACTIVATE(v) activation(ACTIVATION, v)
#endif

// finish writes the sum for row r and output o, or those of o … o+3, where they
// exist.
void finish(uint r, uint o, float v) {
	if (r < p.rows) {
		write(r, o, ACTIVATE(begun(r, o, v)));
	}
}

void finish(uint r, uint o, vec4 v) {
	if (r < p.rows) {
		v = ACTIVATE(vec4(begun(r, o, v.x), begun(r, o + 1, v.y), begun(r, o + 2, v.z), begun(r, o + 3, v.w)));
		write(r, o, v.x);
		write(r, o + 1, v.y);
		write(r, o + 2, v.z);
		write(r, o + 3, v.w);
	}
}
