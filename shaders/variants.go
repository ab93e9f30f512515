// Package shaders has the compute shaders of the Vulkan backend: their GLSL, the SPIR-V
// that is compiled from it and embedded, and the table of all variants.
//
// To add an op, add its file NAME.comp, which may include files of include/; the structs
// of its push constants and specialization constants in params.go; and a row for each of
// its variants in the table below, or in dtypes.go if it has one for each dtype. Then run
// go generate (make generate-code). No other place lists shaders: the generator, the tests
// and the pipelines read the table.
package shaders

import (
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:generate go run gen.go

// Variant is a shader that is compiled with certain macros, which say how its operands are
// stored. Other differences between pipelines, such as the size of a workgroup, are
// specialization constants.
type Variant struct {
	Source   string    // the file's name without .comp: "linear_vec"
	Defines  []string  // "F16", "X4"
	Bindings []Binding // all of descriptor set 0: Bindings[i] has binding number i
	Push     any       // zero value of the push constants' struct in params.go, nil if there are none
	Spec     any       // zero value of the specialization constants' struct in params.go
	Matrix   bool      // it multiplies cooperative matrices: see matrixRow
}

// Dots reports whether it has integer dot products, which tools for Metal do not know.
func (v *Variant) Dots() bool { return v.Has("DOT") }

// Has reports whether it is compiled with a macro.
func (v *Variant) Has(macro string) bool { return slices.Contains(v.Defines, macro) }

// Name returns the variant's unique name, which is that of its file in spv/:
// "linear_vec.f16.x4".
func (v *Variant) Name() string {
	return strings.ToLower(strings.Join(append([]string{v.Source}, v.Defines...), "."))
}

// SPIRV returns the compiled code.
func (v *Variant) SPIRV() []byte {
	code, err := compiled.ReadFile("spv/" + v.Name() + ".spv")
	if err != nil {
		panic("shaders: " + err.Error() + " (run go generate ./shaders)")
	}
	return code
}

// Set returns a hash that differs for sets of shaders whose code differs: that of the list
// of all, in which are their own.
func Set() [sha256.Size]byte {
	list, err := compiled.ReadFile("spv/MANIFEST")
	if err != nil {
		panic("shaders: " + err.Error() + " (run go generate ./shaders)")
	}
	return sha256.Sum256(list)
}

// PushSize returns the number of bytes of push constants.
func (v *Variant) PushSize() int {
	if v.Push == nil {
		return 0
	}
	return binary.Size(v.Push)
}

//go:embed spv
var compiled embed.FS

// Binding is a buffer of a shader.
type Binding struct {
	Name     string
	Texel    bool // a uniform texel buffer, else a storage buffer
	ReadOnly bool
}

func in(name string) Binding    { return Binding{Name: name, ReadOnly: true} }
func out(name string) Binding   { return Binding{Name: name} }
func texel(name string) Binding { return Binding{Name: name, Texel: true, ReadOnly: true} }

// Find returns the variant of a shader with the given macros, which are separated by
// spaces. It panics if the table has none.
func Find(source, defines string) *Variant {
	if v, ok := Lookup(source, defines); ok {
		return v
	}
	panic(fmt.Sprintf("shaders: no variant of %s with %q", source, defines))
}

// Lookup is Find for variants that there may not be.
func Lookup(source, defines string) (v *Variant, ok bool) {
	v, ok = byMacros()[[2]string{source, defines}]
	return v, ok
}

// byMacros are the variants by source and macros.
var byMacros = sync.OnceValue(func() map[[2]string]*Variant {
	all := map[[2]string]*Variant{}
	for i := range Variants {
		all[[2]string{Variants[i].Source, strings.Join(Variants[i].Defines, " ")}] = &Variants[i]
	}
	return all
})

// Bindings that variants share.
var (
	activateBackward       = []Binding{out("dx"), in("x"), in("dy")}
	adamW                  = []Binding{out("w"), out("m"), out("v"), in("g"), in("step"), in("scale")}
	attention              = []Binding{out("dst"), in("q"), in("k"), in("v"), in("at"), out("probs"), out("state"), in("sinks")}
	attentionBackward      = []Binding{out("dst"), in("q"), in("k"), in("v"), in("dy"), out("stats"), out("dv"), in("sinks")}
	attentionBackwardTexel = []Binding{out("dst"), texel("q"), texel("k"), texel("v"), texel("dy"), out("stats"), out("dv"), in("sinks")}
	attentionJoin          = []Binding{out("dst"), in("x"), in("at")}
	attentionSpread        = []Binding{out("dst"), texel("q"), texel("k"), texel("v"), in("at")}
	attentionTable         = []Binding{out("dst"), in("q"), in("k"), in("v"), in("at"), out("probs"), in("table"), in("sinks")}
	attentionTexel         = []Binding{out("dst"), texel("q"), texel("k"), texel("v"), in("at"), out("probs"), out("state"), in("sinks")}
	attentionTexelTable    = []Binding{out("dst"), texel("q"), texel("k"), texel("v"), in("at"), out("probs"), in("table"), in("sinks")}
	attentionWide          = []Binding{out("dst"), in("q"), in("k"), in("v"), in("at"), in("table"), in("sinks")}
	dropout                = []Binding{out("dst"), in("x"), in("seed")}
	embedding              = []Binding{out("dst"), in("tokens"), in("positions"), in("ids"), in("at")}
	embeddingBackward      = []Binding{out("table"), in("dy"), in("chain")}
	expertLinear           = []Binding{out("dst"), in("x"), in("w"), in("bias"), in("ids")}
	expertSum              = []Binding{out("dst"), in("x"), in("weights")}
	gatedActivation        = []Binding{out("dst"), in("gate"), in("up")}
	gatedBackward          = []Binding{out("dgate"), out("dup"), in("gate"), in("up"), in("dy")}
	layernorm              = []Binding{out("dst"), in("x"), in("gamma"), in("beta")}
	layernormTexel         = []Binding{out("dst"), texel("x"), texel("gamma"), texel("beta")}
	layernormBackward      = []Binding{out("dx"), in("x"), in("dy"), in("gamma"), out("stats")}
	layernormColumns       = []Binding{out("dgamma"), out("dbeta"), in("x"), in("dy"), in("stats"), out("partial")}
	linear                 = []Binding{out("dst"), in("x"), in("w"), in("bias"), in("residual")}
	linearBackward         = []Binding{out("dst"), in("x"), in("w")}
	linearBackwardTexel    = []Binding{out("dst"), texel("x"), texel("w")}
	linearOne              = []Binding{out("dst"), in("x"), in("w"), in("bias"), in("residual"), in("gamma"), in("beta")}
	linearSum              = []Binding{out("dst"), in("x"), in("bias"), in("residual")}
	linearXTexel           = []Binding{out("dst"), texel("x"), in("w"), in("bias"), in("residual")}
	linearTexel            = []Binding{out("dst"), texel("x"), texel("w"), in("bias"), in("residual")}
	oneOperand             = []Binding{out("dst"), in("x")}
	places                 = []Binding{in("at"), in("angles"), out("cache"), in("table")}
	rmsNorm                = []Binding{out("dst"), in("x"), in("gamma")}
	rmsNormColumns         = []Binding{out("dgamma"), in("x"), in("dy"), in("stats"), out("partial")}
	rotary                 = []Binding{out("dst"), in("x"), in("angles"), in("at")}
	samplePart             = []Binding{out("scratch"), in("x"), in("slots"), in("settings"), in("marks")}
	scale                  = []Binding{out("dst"), in("x"), in("by")}
	store                  = []Binding{out("dst"), in("x"), in("at"), in("table")}
	twoOperands            = []Binding{out("dst"), in("a"), in("b")}
)

// Variants is the table of all shaders. The macros, in the order of a row's list:
//
//	F16 …     the large operand (weights, keys and values) holds that type, else f32: see dtypes.go
//	X_F16     activations hold f16 too, else f32
//	TO_Q8_A   activations are f32, and become blocks of that type in the shader
//	NORM      a norm of x comes before the product
//	X4        elements are read in fours: offsets and strides are multiples of four
//	TEXEL     operands are read through the texture unit, in fours; it also converts from f16
//	X_TEXEL   only activations are
//	WORDS     weights are read through the texture unit as whole numbers, which the shader unpacks
//	TABLE     a table has where blocks of keys and values are
//	PLACES    rows are of tokens, for which at says where they stand
//	CACHE_F16 … a cache holds that type, else f32
//	DOT       bytes are multiplied with integer dot products
//	SUBGROUP  sums are formed with subgroup arithmetic, else in shared memory
//
// Macros of a single shader are explained in its file.
//
// The lengths of arrays are numbers, large enough for every use. Metal does not allow a
// specialization constant there, and MoltenVK before 1.3 (2025) used the constant's default.
var Variants = append([]Variant{
	row("activate", "", oneOperand, RowsPush{}),
	row("activate", "X4", oneOperand, RowsPush{}),

	row("activate_backward", "", activateBackward, ActivateBackwardPush{}),
	row("activate_backward", "X4", activateBackward, ActivateBackwardPush{}),

	row("adamw", "", adamW, AdamWPush{}),
	row("adamw", "X4", adamW, AdamWPush{}),

	row("add", "", twoOperands, AddPush{}),
	row("add", "X4", twoOperands, AddPush{}),

	row("argmax", "", oneOperand, RowsPush{}),

	row("attention", "TEXEL", attentionTexel, AttentionPush{}),
	row("attention", "TEXEL TABLE", attentionTexelTable, AttentionPush{}),

	row("attention_backward", "", attentionBackward, AttentionBackwardPush{}),
	row("attention_backward", "X4", attentionBackward, AttentionBackwardPush{}),
	row("attention_backward", "TEXEL", attentionBackwardTexel, AttentionBackwardPush{}),

	row("attention_spread", "SUBGROUP", attentionSpread, AttentionPush{}),
	row("attention_join", "SUBGROUP", attentionJoin, AttentionJoinPush{}), // not an op: see its file

	matrixRow("attention_matrix", "F16 SUBGROUP", attentionWide, AttentionWidePush{}),

	row("copy_half", "X4", oneOperand, RowsPush{}), // not an op: see its file

	row("cross_entropy", "", []Binding{out("loss"), out("x"), in("targets"), in("loss_scale")}, CrossEntropyPush{}),

	row("draw_bars", "", []Binding{out("dst"), in("values"), in("ids")}, DrawBarsPush{}), // not ops: see their files
	row("draw_cells", "", []Binding{out("dst"), in("values"), in("colors")}, DrawCellsPush{}),
	row("draw_fill", "", []Binding{out("dst")}, DrawFillPush{}),
	row("draw_text", "", []Binding{out("dst"), in("runs"), in("codes"), in("ids"), in("values"), in("atlas")}, DrawTextPush{}),

	row("dropout", "", dropout, DropoutPush{}),
	row("dropout", "X4", dropout, DropoutPush{}),

	row("embedding_backward", "", embeddingBackward, EmbeddingBackwardPush{}),
	row("embedding_backward", "X4", embeddingBackward, EmbeddingBackwardPush{}),
	row("embedding_chain", "", []Binding{out("chain"), in("index"), in("seq")}, EmbeddingChainPush{}), // not an op: see its file

	row("expert_order", "", []Binding{out("order"), in("ids")}, ExpertOrderPush{}), // not an op: see its file
	row("expert_sum", "", expertSum, ExpertSumPush{}),

	row("gated_activation", "", gatedActivation, GatedActivationPush{}),
	row("gated_activation", "X4", gatedActivation, GatedActivationPush{}),

	row("gated_activation_backward", "", gatedBackward, GatedActivationBackwardPush{}),
	row("gated_activation_backward", "X4", gatedBackward, GatedActivationBackwardPush{}),

	row("global_norm", "", oneOperand, GlobalNormPush{}),

	row("layernorm", "", layernorm, LayerNormPush{}),
	row("layernorm", "TEXEL", layernormTexel, LayerNormPush{}),

	row("layernorm_backward", "", layernormBackward, LayerNormBackwardPush{}),
	row("layernorm_backward", "X4", layernormBackward, LayerNormBackwardPush{}),
	row("layernorm_backward_columns", "", layernormColumns, LayerNormBackwardColumnsPush{}),
	row("layernorm_backward_columns", "X4", layernormColumns, LayerNormBackwardColumnsPush{}),

	row("linear_lanes", "TEXEL SUBGROUP", linearTexel, LinearPush{}),
	row("linear_spread", "TEXEL SUBGROUP", linearTexel, LinearPush{}),

	row("linear_texel", "TEXEL", linearTexel, LinearPush{}),
	matrixRow("linear_matrix", "F16 X_F16", linear, LinearPush{}),
	row("linear_sum", "", linearSum, LinearPush{}), // not an op: see its file

	row("linear_vec", "TEXEL", linearTexel, LinearPush{}),

	row("linear_vec_t", "TEXEL", linearTexel, LinearPush{}),

	// The gradient of w, where linear.comp does not serve.
	row("linear_backward", "", linearBackward, LinearPush{}),
	row("linear_backward", "X4", linearBackward, LinearPush{}),
	row("linear_backward", "F16 X_F16", linearBackward, LinearPush{}),
	row("linear_backward", "F16 X_F16 X4", linearBackward, LinearPush{}),
	row("linear_backward", "TEXEL", linearBackwardTexel, LinearPush{}),

	row("quantize", "", oneOperand, RowsPush{}), // not an op: see its file

	row("rmsnorm", "", rmsNorm, RMSNormPush{}),
	row("rmsnorm", "X4", rmsNorm, RMSNormPush{}),

	row("rmsnorm_backward", "", layernormBackward, LayerNormBackwardPush{}),
	row("rmsnorm_backward", "X4", layernormBackward, LayerNormBackwardPush{}),
	row("rmsnorm_backward_columns", "", rmsNormColumns, RMSNormBackwardColumnsPush{}),
	row("rmsnorm_backward_columns", "X4", rmsNormColumns, RMSNormBackwardColumnsPush{}),

	row("route", "", []Binding{out("ids"), out("weights"), in("x")}, RoutePush{}),

	row("rotary", "", rotary, RotaryPush{}),
	row("rotary", "X4", rotary, RotaryPush{}),

	row("round", "", oneOperand, RowsPush{}),
	row("round", "X4", oneOperand, RowsPush{}),

	row("sample", "", []Binding{out("dst"), out("next"), in("x"), in("slots"), in("settings"), out("marks"), out("recent"), in("scratch")}, SamplePush{}),
	row("sample_count", "", samplePart, SamplePush{}), // not ops: see their files
	row("sample_max", "", samplePart, SamplePush{}),

	row("scale", "", scale, ScalePush{}),
	row("scale", "X4", scale, ScalePush{}),

	row("selftest", "", []Binding{out("dst")}, nil), // not an op: see its file

	row("softcap", "", oneOperand, SoftCapPush{}),
	row("softcap", "X4", oneOperand, SoftCapPush{}),

	row("softcap_backward", "", activateBackward, SoftCapBackwardPush{}),
	row("softcap_backward", "X4", activateBackward, SoftCapBackwardPush{}),

	row("softmax", "", oneOperand, RowsPush{}),

	row("sum_rows", "", oneOperand, SumRowsPush{}), // not an op: see its file
	row("sum_rows", "X4", oneOperand, SumRowsPush{}),
	row("sum_rows", "F16", oneOperand, SumRowsPush{}),
	row("sum_rows", "F16 X4", oneOperand, SumRowsPush{}),

	row("sum_squares", "", oneOperand, RowsPush{}),
	row("sum_squares", "X4", oneOperand, RowsPush{}),
}, dtypeRows()...)

func row(source, defines string, bindings []Binding, push any) Variant {
	spec, ok := specs[source]
	if !ok {
		spec = Workgroup{}
	}
	if source == "linear_rows" && slices.Contains(strings.Fields(defines), "NORM") {
		spec = LinearRowsNormSpec{}
	}
	if source == "linear_one" && slices.Contains(strings.Fields(defines), "PLACES") {
		spec = LinearOnePlacesSpec{}
	}
	return Variant{Source: source, Defines: strings.Fields(defines), Bindings: bindings, Push: push, Spec: spec}
}

// matrixRow is a row of a shader that multiplies cooperative matrices. It needs a newer
// compiler than the others (scripts/glslc.sh), is not translated to Metal, because MoltenVK
// has no cooperative matrices, and runs with full subgroups.
func matrixRow(source, defines string, bindings []Binding, push any) Variant {
	v := row(source, defines, bindings, push)
	v.Matrix = true
	return v
}
