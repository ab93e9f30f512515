package shaders

// Push constants and specialization constants of linear*.comp.

// LinearPush is for linear*.comp.
type LinearPush struct {
	Dst, DstStride           uint32
	X, XStride               uint32
	W, WStride               uint32 // of its rows, or where it is stored as [in, out] of its columns
	Bias                     uint32
	Residual, ResidualStride uint32
	Rows, In, Out            uint32
	Part, PartStride         uint32 // inputs of a workgroup along z, and the distance of their results
}

// LinearNormPush is for the variants of linear_rows.comp with NORM.
type LinearNormPush struct {
	LinearPush
	Gamma, Beta uint32
	Epsilon     float32
}

// LinearOnePush is what the push constants of linear_one.comp begin with.
type LinearOnePush struct {
	Dst, X      uint32
	W, WStride  uint32
	Bias        uint32
	Residual    uint32
	Out         uint32
	Gamma, Beta uint32
	Epsilon     float32
}

// LinearOneGatePush is for its variants without PLACES.
type LinearOneGatePush struct {
	LinearOnePush
	Limit, Shift float32 // of a gate
}

// LinearOnePlacesPush is for its variants with PLACES.
type LinearOnePlacesPush struct {
	LinearOnePush
	Seq, Pos                        uint32 // of the token, in at
	Angles, AnglesStride, Positions uint32 // and the rows of angles
	Head, Turned                    uint32 // outputs of a head, and how many are rotated
	Stored                          uint32 // the first output that is stored
	Cache, CacheStride, CacheRow    uint32 // of sequences or blocks, and of positions
	Sequences, Context              uint32 // of the cache, or of what is in table
	Table, TableStride              uint32
	Blocks, BlockBits               uint32 // of the pool, and log₂ of the positions of a block
}

// LinearEpilogue is what the constants of linear*.comp begin with: see linear.glsl.
type LinearEpilogue struct {
	Lanes      uint32 // not of linear.comp, whose workgroups have 256
	Accumulate bool
	Activation uint32 // a backend.Activation
	Residual   bool
}

// LinearBackwardSpec is for linear_backward.comp.
type LinearBackwardSpec struct {
	Lanes      uint32
	Accumulate bool
}

// LinearTileSpec is for linear.comp.
type LinearTileSpec struct {
	LinearSpec
	RoundX bool // x gets the precision of f16
}

// LinearSpec is what the constants of linear.comp and linear_matrix.comp begin with.
type LinearSpec struct {
	LinearEpilogue
	Transposed  bool
	Size        uint32
	XTransposed bool
}

// LinearMatrixSpec is for linear_matrix.comp.
type LinearMatrixSpec struct {
	LinearSpec
	M, N, K, Subgroup, Across uint32
}

// LinearTexelSpec is for linear_texel.comp.
type LinearTexelSpec struct {
	LinearEpilogue
	Transposed bool
	Rows, Outs uint32
}

// LinearLanesSpec is for linear_lanes.comp.
type LinearLanesSpec struct {
	LinearEpilogue
	Rows, Outs, Steps uint32
}

// LinearSpreadSpec is for linear_spread.comp.
type LinearSpreadSpec struct {
	LinearEpilogue
	Transposed, Permute         bool
	Rows, Outs, AtOnce, Readers uint32
}

// LinearVecSpec is for linear_vec.comp.
type LinearVecSpec struct {
	LinearEpilogue
	Rows, Outs uint32
	RoundX     bool // x gets the precision of f16
}

// LinearOneSpec is what the constants of linear_one.comp begin with.
type LinearOneSpec struct {
	LinearEpilogue
	Outs, In  uint32
	Norm      uint32 // 0: none, 1: layer norm, 2: by the root mean square
	Subgroups uint32 // of a workgroup
	Put       bool   // see include/blocks/q8_0.glsl
	RoundX    bool   // x, behind the norm, gets the precision of f16
}

// LinearOneGateSpec is for its variants without PLACES.
type LinearOneGateSpec struct {
	LinearOneSpec
	Gated bool // by the function Activation
}

// LinearOnePlacesSpec is for its variants with PLACES.
type LinearOnePlacesSpec struct {
	LinearOneSpec
	Apart uint32 // how far apart the outputs of a pair are that is rotated; 0: none are
	Store bool
	Table bool
}

// LinearRowsSpec is for linear_rows.comp.
type LinearRowsSpec struct {
	LinearVecTSpec
	Put    bool // see include/blocks/q8_0.glsl
	RoundX bool // x, behind a norm, gets the precision of f16
}

// LinearRowsNormSpec is for its variants with NORM: see include/norm_rows.glsl.
type LinearRowsNormSpec struct {
	LinearRowsSpec
	Kind     uint32 // 1: layer norm, 2: by the root mean square
	Sublanes uint32 // of a subgroup
	Steps    uint32 // fours of x that a lane takes for it
}

// LinearVecTSpec is for linear_vec_t.comp.
type LinearVecTSpec struct {
	LinearEpilogue
	Rows, Outs, LanesY uint32
}
