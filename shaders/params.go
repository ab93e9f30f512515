package shaders

import "reflect"

// Push constants, with the names that the shaders give them: at most 128 bytes, which
// every device allows, of 32-bit fields only. Bases, strides and lengths are in elements.
// With X4 they are in fours of elements, if the shader says so. For quantised operands
// they are in 16-bit words.

// View is the layout of a tensor's rows: a uvec4 in the shaders. In a tensor whose axes 1
// and 2 have lengths N1 and N2, row r begins at
//
//	Base + r/(N1·N2)·Strides[0] + r/N2%N1·Strides[1] + r%N2·Strides[2]
type View struct {
	Base    uint32
	Strides [3]uint32
}

// RowsPush is for activate.comp, argmax.comp, copy_half.comp, dequantize.comp, quantize.comp, softmax.comp and sum_squares.comp.
type RowsPush struct {
	Dst, X       View
	Rows, N1, N2 uint32
	N            uint32 // length of a row
}

// AddPush is for add.comp.
type AddPush struct {
	Dst, A, B    View
	Rows, N1, N2 uint32
	N            uint32 // length of a row
}

// LayerNormPush is for layernorm.comp.
type LayerNormPush struct {
	Dst, X       View
	Rows, N1, N2 uint32
	N            uint32 // length of a row
	Gamma, Beta  uint32 // bases
	Epsilon      float32
}

// RMSNormPush is for rmsnorm.comp.
type RMSNormPush struct {
	Dst, X       View
	Rows, N1, N2 uint32
	N            uint32 // length of a row
	Gamma        uint32
	Epsilon      float32
}

// RotaryPush is for rotary.comp.
type RotaryPush struct {
	Dst, X                                              View // Strides[1] is that of the batch, Strides[2] that of time
	Batch, Time, Heads, Size, Pairs                     uint32
	Step, Apart                                         uint32 // pair i is at i·Step, and Apart from there
	Angles, AnglesStride, FirstPosition, PiecePositions uint32
	Context                                             uint32 // length of the whole of angles
	Seq, Pos, AtBatch                                   uint32 // of the first token of at, and from batch to batch
	MarkMissing                                         uint32 // 1: write NaN where a position is outside of the table, 0 for padding
	Direction                                           float32
}

// SamplePush is for sample.comp, sample_count.comp and sample_max.comp.
type SamplePush struct {
	Dst, DstStride, Next         uint32
	X, XStride, Rows, N          uint32
	Slots, SlotCount             uint32
	Settings, SettingsStride     uint32
	Marks, MarksSlot, MarksSeen  uint32
	Recent, RecentStride, Window uint32
	Scratch, ScratchStride       uint32
}

// ScalePush is for scale.comp.
type ScalePush struct {
	Dst, X, By   View // By: a row of one factor for each row of x
	Rows, N1, N2 uint32
	N            uint32 // length of a row
}

// GatedActivationPush is for gated_activation.comp.
type GatedActivationPush struct {
	Dst, Gate, Up View
	Rows, N1, N2  uint32
	N             uint32 // length of a row
	Limit, Shift  float32
}

// GatedActivationBackwardPush is for gated_activation_backward.comp.
type GatedActivationBackwardPush struct {
	Dgate, Dup, Gate, Up, Dy View
	Rows, N1, N2             uint32
	N                        uint32 // length of a row
	Limit, Shift             float32
}

// CopyPush is for copy.comp.
type CopyPush struct {
	Shape, DstStrides, XStrides [4]uint32
	DstBase, XBase              uint32
	Rows                        uint32 // Shape[0]·Shape[1]·Shape[2]
	Items                       uint32 // invocations that a row takes
}

// StorePush is for store.comp.
type StorePush struct {
	Dst, X              View // Strides[1] is that of the batch, of sequences or of blocks, Strides[2] that of rows
	Batch, Time, Width  uint32
	Seq, Pos, AtBatch   uint32 // of the first token of at, and from batch to batch
	FirstSeq, Sequences uint32 // of the cache in dst, or in table
	First, Rows         uint32 // positions of a sequence in dst
	Table, TableStride  uint32
	Blocks, BlockBits   uint32 // of the pool, and log₂ of the positions of a block
}

// EmbeddingPush is for embedding.comp.
type EmbeddingPush struct {
	Dst                                                       View // Strides[1] is that of the batch, Strides[2] that of time
	Batch, Time, Width                                        uint32
	Tokens, TokensStride, FirstID, PieceIDs, Vocab            uint32 // piece of tokens that is bound, and the rows of the whole
	Positions, PositionsStride, FirstPosition, PiecePositions uint32
	Context                                                   uint32 // rows of the whole of positions; 0: there is no such table
	IDs, IDsStrideBatch, IDsStrideTime                        uint32
	Seq, Pos, AtBatch                                         uint32 // of the first token of at, and from batch to batch
	MarkMissing                                               uint32 // 1: write NaN where an id or a position is in no table, 0 for padding
}

// ExpertLinearPush is for expert_linear.comp.
type ExpertLinearPush struct {
	Dst, X                             View // Strides[0] is that of the batch, Strides[1] that of time, Strides[2] that of experts of a token
	Rows, N1, N2                       uint32
	IDs, IDsStrideBatch, IDsStrideTime uint32 // IDs: of tiles, where there are any
	Tiles, List                        uint32 // how many tiles or rows, and where the list of their rows begins
	W, WStride, WExpert                uint32 // of rows, and of experts
	Bias, BiasStride                   uint32
	In, Out                            uint32
	First, Piece, Experts              uint32 // the first expert that is bound, how many are, and there are
	MarkMissing                        uint32 // 1: write NaN where an id is no expert's
}

// ExpertOrderPush is for expert_order.comp.
type ExpertOrderPush struct {
	Tile, List                         uint32 // where tiles and the list begin
	Tiles, TileRows                    uint32
	Rows, N1, N2                       uint32
	IDs, IDsStrideBatch, IDsStrideTime uint32
	Experts                            uint32
}

// ExpertSumPush is for expert_sum.comp.
type ExpertSumPush struct {
	Dst, X, Weights View // of tokens
	Rows, N1, N2    uint32
	N               uint32 // length of a row
	Chosen, XStride uint32 // vectors of a token, and how far they are apart
}

// RoutePush is for route.comp.
type RoutePush struct {
	IDs, Weights, X View
	Rows, N1, N2    uint32
	N               uint32 // experts
	Chosen          uint32
}

// Absent is the offset of a bias or of sinks that there are not, as in linear.glsl.
const Absent = 1<<32 - 1

// SumRowsPush is for sum_rows.comp.
type SumRowsPush struct {
	Dst        uint32
	X, XStride uint32
	Rows, N    uint32
}

// CrossEntropyPush is for cross_entropy.comp.
type CrossEntropyPush struct {
	Loss                   uint32
	X, XStride             uint32
	Targets, TargetsStride uint32
	Rows, N                uint32
	Scale                  float32
	LossScale              uint32
}

// EmbeddingChainPush is for embedding_chain.comp.
type EmbeddingChainPush struct {
	Chain                        uint32
	Index, IndexBatch, IndexTime uint32
	Seq, SeqBatch                uint32 // Absent: there are none
	Batch, Time                  uint32
}

// EmbeddingBackwardPush is for embedding_backward.comp.
type EmbeddingBackwardPush struct {
	Table, TableStride  uint32
	FirstRow, PieceRows uint32 // which rows of the table are bound
	Dy, DyBatch, DyTime uint32
	Chain               uint32
	Batch, Time         uint32
	Width               uint32
}

// DropoutPush is for dropout.comp.
type DropoutPush struct {
	Dst, X       View
	Fours, Rest  View // of the index of a row's first element: that is 4·fours + rest
	Rows, N1, N2 uint32
	N            uint32 // length of a row
	Seed         uint32
	SeedStride   uint32
	Stream       uint32
	Threshold    uint32
	Scale        float32
}

// AttentionPush is for attention.comp. Rows of sinks and state follow one another,
// the groups follow from the heads, and whether the keys are the last ones from
// their number: there is no field for these.
// AttentionWidePush is for attention_one.comp, attention_tile.comp and attention_matrix.comp.
// AttentionJoinPush is for attention_join.comp.
// ActivateBackwardPush is for activate_backward.comp.
type ActivateBackwardPush struct {
	Dx, X, Dy    View
	Rows, N1, N2 uint32
	N            uint32 // length of a row
}

// SoftCapPush is for softcap.comp.
type SoftCapPush struct {
	Dst, X       View
	Rows, N1, N2 uint32
	N            uint32 // length of a row
	Cap          float32
}

// SoftCapBackwardPush is for softcap_backward.comp.
type SoftCapBackwardPush struct {
	Dx, X, Dy    View
	Rows, N1, N2 uint32
	N            uint32 // length of a row
	Cap          float32
}

// GlobalNormPush is for global_norm.comp.
type GlobalNormPush struct {
	Dst, X, N uint32 // N: elements of x, a piece
	First     uint32 // 1: it is the first piece
	Last      uint32 // 1: it is the last
	Limit     float32
}

// AdamWPush is for adamw.comp.
type AdamWPush struct {
	W, M, V, G   View
	Rows, N1, N2 uint32
	N            uint32 // length of a row
	Step, Scale  uint32 // bases
	Beta1, Rest1 float32
	Beta2, Rest2 float32 // Rest is 1 − Beta
	Epsilon      float32
	Decay        float32
}

// LayerNormBackwardPush is for layernorm_backward.comp and rmsnorm_backward.comp.
type LayerNormBackwardPush struct {
	Dx, DxStride       uint32
	X, XStride         uint32
	Dy, DyStride       uint32
	Stats, StatsStride uint32
	Gamma              uint32
	Rows, N            uint32
	Epsilon            float32
}

// LayerNormBackwardColumnsPush is for layernorm_backward_columns.comp.
type LayerNormBackwardColumnsPush struct {
	Dgamma, Dbeta      uint32
	X, XStride         uint32
	Dy, DyStride       uint32
	Stats, StatsStride uint32
	Partial            uint32
	Rows, N            uint32
	Slice              uint32 // rows of a workgroup
}

// RMSNormBackwardColumnsPush is for rmsnorm_backward_columns.comp.
type RMSNormBackwardColumnsPush struct {
	Dgamma             uint32
	X, XStride         uint32
	Dy, DyStride       uint32
	Stats, StatsStride uint32
	Partial            uint32
	Rows, N            uint32
	Slice              uint32 // rows of a workgroup
}

// AttentionBackwardPush is for attention_backward.comp. Rows of stats and sinks follow
// one another, and have no strides. Whether results are added to those of an earlier
// dispatch follows from where queries and keys begin. No byte is left for more.
// DrawFillPush is for draw_fill.comp.
type DrawFillPush struct {
	Dst, Stride   uint32 // of the rectangle's first pixel, and between the rows of the picture
	Width, Height uint32
	Color         uint32
}

// DrawCellsPush is for draw_cells.comp.
type DrawCellsPush struct {
	Dst, Stride                     uint32
	Rows, Columns                   uint32
	CellWidth, CellHeight, Gap      uint32
	Values, ValuesRow, ValuesColumn uint32
	Colors                          uint32
}

// DrawBarsPush is for draw_bars.comp.
type DrawBarsPush struct {
	Dst, Stride                        uint32
	Rows, Width, Height, Pitch         uint32 // of a bar, and from one to the next
	Values, ValuesRow, ValuesColumn, N uint32 // N: length of a row of values
	IDs, IDsStride                     uint32
	Color, Track                       uint32
}

// DrawTextPush is for draw_text.comp.
type DrawTextPush struct {
	Dst, Stride, Width, Height             uint32 // of the picture
	Runs, Count                            uint32
	Codes, CodesRow, CodesRows             uint32
	IDs, IDsStride                         uint32
	Values, ValuesRow, ValuesColumn, N     uint32 // N: length of a row of values
	Atlas, Glyphs, GlyphWidth, GlyphHeight uint32
}

// Specialization constants, with which a shader is compiled: uint32 or bool, in the order of
// constant_id, from 0 on. They have the shader's names: QUERIES is Queries. Lanes and
// LanesY are the size of the workgroup along x and y, which has no name in the shader.

// Workgroup is for shaders that have no other constants.
type Workgroup struct {
	Lanes uint32
}

// Workgroup2D is for sum_rows.comp.
type Workgroup2D struct {
	Lanes, LanesY uint32
}

// ActivateSpec is for activate.comp and activate_backward.comp.
type ActivateSpec struct {
	Lanes, Func uint32 // Func: a backend.Activation
}

// StoreSpec is for store.comp.
type StoreSpec struct {
	Lanes uint32
	Table bool
}

// AdamWSpec is for adamw.comp.
type AdamWSpec struct {
	Lanes  uint32
	Scaled bool
}

// CrossEntropySpec is for cross_entropy.comp.
type CrossEntropySpec struct {
	Lanes     uint32
	LossScale bool
}

// AttentionSpec is for attention.comp.
// AttentionSpreadSpec is for attention_spread.comp.
// AttentionWideSpec is what attention_one.comp, attention_tile.comp and attention_matrix.comp share.
// AttentionOneSpec is for attention_one.comp.
// AttentionTileSpec is for attention_tile.comp.
// AttentionMatrixSpec is for attention_matrix.comp.
// AttentionJoinSpec is for attention_join.comp.
// AttentionBackwardSpec is for attention_backward.comp.
// DrawTextSpec is for draw_text.comp.
type DrawTextSpec struct {
	Lanes, Source uint32
}

// GatedActivationSpec is for gated_activation.comp and gated_activation_backward.comp.
type GatedActivationSpec struct {
	Lanes, Func uint32
}

// LayerNormBackwardColumnsSpec is for layernorm_backward_columns.comp and
// rmsnorm_backward_columns.comp.
type LayerNormBackwardColumnsSpec struct {
	Lanes, LanesY, Stage uint32
}

// ExpertLinearSpec is for expert_linear.comp: how many invocations a workgroup has along x and y, how many rows a
// workgroup computes at once, and how many outputs an invocation.
type ExpertLinearSpec struct{ Lanes, LanesY, Rows, Outs uint32 }

// specs are the constants of shaders that have more than the size of a workgroup.
var specs = map[string]any{
	"activate":                   ActivateSpec{},
	"activate_backward":          ActivateSpec{},
	"adamw":                      AdamWSpec{},
	"attention":                  AttentionSpec{},
	"attention_backward":         AttentionBackwardSpec{},
	"attention_join":             AttentionJoinSpec{},
	"attention_matrix":           AttentionMatrixSpec{},
	"attention_one":              AttentionOneSpec{},
	"attention_spread":           AttentionSpreadSpec{},
	"attention_tile":             AttentionTileSpec{},
	"cross_entropy":              CrossEntropySpec{},
	"draw_text":                  DrawTextSpec{},
	"expert_linear":              ExpertLinearSpec{},
	"gated_activation":           GatedActivationSpec{},
	"gated_activation_backward":  GatedActivationSpec{},
	"layernorm_backward_columns": LayerNormBackwardColumnsSpec{},
	"rmsnorm_backward_columns":   LayerNormBackwardColumnsSpec{},
	"linear":                     LinearTileSpec{},
	"linear_backward":            LinearBackwardSpec{},
	"linear_lanes":               LinearLanesSpec{},
	"linear_matrix":              LinearMatrixSpec{},
	"linear_one":                 LinearOneGateSpec{}, // see row
	"linear_rows":                LinearRowsSpec{},
	"linear_spread":              LinearSpreadSpec{},
	"linear_sum":                 LinearEpilogue{},
	"linear_texel":               LinearTexelSpec{},
	"linear_vec":                 LinearVecSpec{},
	"linear_vec_t":               LinearVecTSpec{},
	"store":                      StoreSpec{},
	"sum_rows":                   Workgroup2D{},
}

// Words returns the values of specialization constants: that with constant_id i at index
// i. It returns none if spec is nil.
func Words(spec any) (words []uint32) {
	if spec == nil {
		return nil
	}
	v := reflect.ValueOf(spec)
	for _, f := range reflect.VisibleFields(v.Type()) {
		switch x := v.FieldByIndex(f.Index).Interface().(type) {
		case uint32:
			words = append(words, x)
		case bool:
			word := uint32(0)
			if x {
				word = 1
			}
			words = append(words, word)
		}
	}
	return words
}
