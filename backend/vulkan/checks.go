//go:build cgo

package vulkan

import (
	"fmt"
	"slices"

	"caldera/shaders"
)

// kernelCheck says how the pipelines of a shader are checked: by op and try, or by one of the other fields.
type kernelCheck struct {
	op     string                          // what is computed, in the error where no kernel for it is right
	try    func(t *trials, p pipelineSpec) // makes the trials of a pipeline
	chosen bool                            // it is checked by whoever chooses among kernels: see choice.go, attention_choice.go
	none   string                          // why it is not checked
}

// kernelChecks is the table, by the name of the shader. A dispatch of a shader that it does not have
// is an error, and so is one of a pipeline that should have been checked when it was chosen.
var kernelChecks map[string]kernelCheck

func init() { // it refers to functions that refer to it
	kernelChecks = map[string]kernelCheck{
		"activate":                  {op: "an activation", try: tryElements},
		"activate_backward":         {op: "the gradient of an activation", try: tryElements},
		"adamw":                     {op: "a step of AdamW", try: tryElements},
		"add":                       {op: "a sum", try: tryElements},
		"gated_activation":          {op: "a gated activation", try: tryElements},
		"gated_activation_backward": {op: "the gradient of a gated activation", try: tryElements},
		"round":                     {op: "rounding to f16", try: tryElements},
		"softcap":                   {op: "a soft-cap", try: tryElements},
		"softcap_backward":          {op: "the gradient of a soft-cap", try: tryElements},
		"scale":                     {op: "a product with a factor", try: tryElements},
		"dropout":                   {op: "dropout", try: tryElements},

		"copy":       {op: "a copy", try: tryCopy},
		"copy_half":  {op: "a copy to f16", try: tryCopy},
		"dequantize": {op: "a copy of blocks", try: tryCopyBlocks},
		"quantize":   {op: "a copy to blocks", try: tryCopyBlocks},

		"embedding":          {op: "an embedding", try: tryEmbedding},
		"embedding_chain":    {op: "the gradient of an embedding", try: tryChain},
		"embedding_backward": {op: "the gradient of an embedding", try: tryEmbeddingBackward},
		"rotary":             {op: "a rotation of heads", try: tryRotary},
		"store":              {op: "storing keys and values", try: tryStore},

		"expert_linear": {op: "a product with matrices of experts", try: tryExpertLinear},
		"expert_order":  {op: "which rows experts have", try: tryExpertOrder},
		"expert_sum":    {op: "the sum of what experts give", try: tryExpertSum},
		"route":         {op: "the choice of experts", try: tryRoute},

		"argmax":        {op: "the largest of a row", try: tryArgmax},
		"cross_entropy": {op: "a loss", try: tryCrossEntropy},
		"global_norm":   {op: "the norm of all gradients", try: tryGlobalNorm},
		"layernorm":     {op: "a layer norm", try: tryNorms},
		"rmsnorm":       {op: "a norm by the root mean square", try: tryNorms},
		"softmax":       {op: "a softmax", try: trySoftmax},
		"sum_rows":      {op: "a sum of rows", try: trySumRows},
		"sum_squares":   {op: "a sum of squares", try: trySumSquares},

		"layernorm_backward":         {op: "the gradient of a layer norm", try: tryNormBackward},
		"layernorm_backward_columns": {op: "the gradient of a layer norm", try: tryNormColumns},
		"rmsnorm_backward":           {op: "the gradient of a norm by the root mean square", try: tryNormBackward},
		"rmsnorm_backward_columns":   {op: "the gradient of a norm by the root mean square", try: tryNormColumns},
		"attention_backward":         {op: "the gradient of attention", try: tryAttentionBackward},

		"linear_sum":   {op: "a product whose inputs are shared", try: tryLinearSum},
		"sample":       {op: "a drawn token", try: trySample},
		"sample_count": {op: "a drawn token", try: trySample},
		"sample_max":   {op: "a drawn token", try: trySample},

		"attention":        {chosen: true},
		"attention_join":   {chosen: true},
		"attention_matrix": {chosen: true},
		"attention_one":    {chosen: true},
		"attention_spread": {chosen: true},
		"attention_tile":   {chosen: true},
		"linear":           {chosen: true},
		"linear_backward":  {chosen: true},
		"linear_lanes":     {chosen: true},
		"linear_matrix":    {chosen: true},
		"linear_one":       {chosen: true},
		"linear_rows":      {chosen: true},
		"linear_spread":    {chosen: true},
		"linear_texel":     {chosen: true},
		"linear_vec":       {chosen: true},
		"linear_vec_t":     {chosen: true},
		"selftest":         {chosen: true}, // see trusts

		"draw_bars":  {none: drawn},
		"draw_cells": {none: drawn},
		"draw_fill":  {none: drawn},
		"draw_text":  {none: drawn},
	}
}

// drawn is why drawing is not checked.
const drawn = "it draws the window's picture, of which nothing is computed: whoever looks at it sees a fault"

// admit lets a pipeline be dispatched: one that has passed its check, or that is checked now,
// or that is taken as right until the program that is being recorded is complete.
func (e *encoder) admit(pipe *pipeline, p pipelineSpec) error {
	if e.tried != nil {
		e.tried.used = e.tried.used || p.variant == e.tried.variant && p.spec == e.tried.spec
		return nil
	}
	check := kernelChecks[p.variant.Source]
	if check.none == "" {
		ok, err := e.passes(p)
		if err != nil {
			return err
		}
		if !ok {
			return e.b.refuse(check.op, p)
		}
	}
	v := e.b.checks.verdicts[pipelineKey{p.variant, p.spec}]
	pipe.right = check.none != "" || v != nil // else it is only taken as right
	return nil
}

// passes is like trusts, with the trials of the table.
func (e *encoder) passes(p pipelineSpec) (ok bool, err error) {
	check := kernelChecks[p.variant.Source]
	return e.trusts(p, func(t *trials) {
		if check.try == nil {
			t.add(trial{encode: func(*encoder) error {
				return fmt.Errorf("there is no check for it here: a kernel has to be checked where it is chosen")
			}})
			return
		}
		check.try(t, p)
	})
}

// inUnits returns the pipeline of a shader that reads elements in fours, if operands lie so, or else that
// which reads them one by one; and of how many elements its units are. If the first one is wrong on this
// device, the second one is taken. spec returns the constants for a unit.
func (e *encoder) inUnits(shader, macros string, fours bool, spec func(v *shaders.Variant, unit int) any) (p pipelineSpec, unit int, err error) {
	v := shaders.Find(shader, macros)
	plain := pipelineSpec{variant: v, spec: spec(v, 1)}
	if !fours {
		return plain, 1, nil // which dispatch checks
	}
	v = shaders.Find(shader, join(macros, "X4"))
	inFours := pipelineSpec{variant: v, spec: spec(v, 4)}
	i, err := e.pick([]pipelineSpec{inFours}, []pipelineSpec{plain})
	if i == 0 {
		return inFours, 4, err
	}
	return plain, 1, err
}

// pick returns which of several ways to compute an op is to be taken: the first one of which all
// pipelines are right on this device. While a pipeline is tried it is the one that has its shader.
func (e *encoder) pick(ways ...[]pipelineSpec) (int, error) {
	if e.tried != nil {
		is := func(p pipelineSpec) bool { return p.variant == e.tried.variant }
		return max(slices.IndexFunc(ways, func(way []pipelineSpec) bool { return slices.ContainsFunc(way, is) }), 0), nil
	}
	for i, way := range ways {
		right := true
		for _, p := range way {
			ok, err := e.passes(p)
			if err != nil {
				return 0, err
			}
			right = right && ok
		}
		if right {
			return i, nil
		}
	}
	return 0, e.b.refuse(kernelChecks[ways[0][0].variant.Source].op, slices.Concat(ways...)...)
}

// workgroup is the size of a workgroup of a shader that reduces rows of n elements: that of the
// pipeline which is tried, or else by rowLanes.
func (e *encoder) workgroup(v *shaders.Variant, n int) uint32 {
	if e.tried != nil && e.tried.variant == v {
		return lanesOf(e.tried.pipelineSpec)
	}
	return e.rowLanes(n)
}

// rowWorkgroup gives inUnits the workgroup for rows of n elements.
func (e *encoder) rowWorkgroup(n int) func(*shaders.Variant, int) any {
	return func(v *shaders.Variant, unit int) any { return shaders.Workgroup{Lanes: e.workgroup(v, n/unit)} }
}

// lanesOf is the size of a pipeline's workgroup along x.
func lanesOf(p pipelineSpec) uint32 { return shaders.Words(p.spec)[0] }

// unitOf is how many elements a pipeline reads at once.
func unitOf(p pipelineSpec) int {
	if p.variant.Has("X4") || p.variant.Has("TEXEL") {
		return 4
	}
	return 1
}

func join(macros, more string) string {
	if macros == "" {
		return more
	}
	return macros + " " + more
}
