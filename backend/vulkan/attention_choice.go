//go:build cgo

package vulkan

import (
	"fmt"
	"math/bits"
	"slices"

	"caldera/backend"
	"caldera/shaders"
)

// Attention can be computed by several kernels, too, in several divisions of the work. The rule is the table below: the first
// kernel that can, in the first of its ways. Where a kernel has failed its check, the next one is taken; where
// another way was measured to be faster (tune.go), that one. The choice may depend on the number
// of runs; the bits that a token gets must not.

// attentionChoice is a way to compute attention: a shader, and what another way with the same one differs in.
type attentionChoice struct {
	source string
	parts  int    // of attention_one.comp: in how many parts keys are split
	keys   int    // that each part has
	rows   uint32 // of attention_tile.comp: queries that a lane takes
	way    attentionWay
}

// String names the choice as files of tuning and tests have it: "attention_one, parts of 256 keys". Two choices for one op have different names.
func (c *attentionChoice) String() string {
	name := c.source
	switch {
	case c.way.texel:
		name += " texel"
	case c.way.fours:
		name += " x4"
	case c.parts == 1:
		name += ", one part"
	case c.parts > 1: // by their length, so that it is a choice for other contexts too
		name += fmt.Sprintf(", parts of %d keys", c.keys)
	case c.rows > 0:
		name += fmt.Sprintf(", %d queries a lane", c.rows)
	}
	return name
}

// attentionPart is a part of an op: of the heads and the queries of each run from the first ones on.
type attentionPart struct {
	*backend.Attention
	op                   *backend.Attention // the whole
	firstHead, firstTime int
}

// attentionKernel is a row of the table.
type attentionKernel struct {
	source string

	// ways lists how it can compute a part on a device, that which the rule takes first. None: it cannot.
	ways func(e *encoder, part *attentionPart) []attentionChoice

	// pipelines are those that a choice takes.
	pipelines func(e *encoder, part *attentionPart, c *attentionChoice) []pipelineSpec

	// encode encodes the dispatches of a choice. ok is false if the kernel is wrong on this device.
	encode func(e *encoder, part *attentionPart, c *attentionChoice) (ok bool, err error)
}

// attentionKernels are all kernels for attention, in the order in which the rule asks them. The last one computes all of it on every
// device.
var attentionKernels = []attentionKernel{
	{"attention_one", waysOfOneQuery, pipelinesOfOneQuery, encodeOneQuery},
	{"attention_matrix", waysOfAttentionMatrix, pipelinesOfAttentionMatrix, encodeAttentionMatrix},
	{"attention_tile", waysOfTile, pipelinesOfTile, encodeTile},
	{"attention_spread", waysOfAttentionSpread, pipelinesOfAttentionSpread, encodeAttentionSpread},
	{"attention", waysOfPlain, pipelinesOfPlain, encodePlain},
}

// attentionKernelOf is the row of a choice.
func attentionKernelOf(c *attentionChoice) *attentionKernel {
	i := slices.IndexFunc(attentionKernels, func(k attentionKernel) bool { return k.source == c.source })
	return &attentionKernels[i]
}

// encodeAttentionPart encodes the dispatches for a part of an op: by the first choice of which the kernel is right.
func encodeAttentionPart(e *encoder, part *attentionPart) error {
	var wrong []string // another division of the work would be compiled from the same
	name := func() string { return attentionName(part.op) }
	for _, c := range tunedFirst(e.b.tuned.ways, name, e.attentionChoices(part), (*attentionChoice).String) {
		if slices.Contains(wrong, c.source) {
			continue
		}
		ok, err := attentionKernelOf(&c).encode(e, part, &c)
		if ok || err != nil {
			return err
		}
		wrong = append(wrong, c.source)
	}
	panic("vulkan: attention: the last kernel of the table takes all parts and is never passed over")
}

// attentionChoices lists all ways to compute a part, that which the rule takes first.
func (e *encoder) attentionChoices(part *attentionPart) (list []attentionChoice) {
	for _, k := range attentionKernels {
		list = append(list, k.ways(e, part)...)
	}
	return list
}

// attentionName says what the choice for an op, of which a run is a row of a batch, goes by.
func attentionName(op *backend.Attention) string {
	_, context := op.Cache()
	keys := int(attentionWindow(op.Window, context))
	queries := "1 query"
	if n := op.Q.Dim(2); n > 1 {
		queries = fmt.Sprintf("%d queries", n)
	}
	most := 1 << bits.Len(uint(keys-1)) // a class of contexts: parts have as many keys in all of them
	name := fmt.Sprintf("attention of %s, %d heads of %d, %d groups, up to %d keys of %v", queries, op.Heads, op.HeadSize(), op.Groups(), most, op.K.DType)
	if op.K.DType != op.V.DType {
		name += fmt.Sprintf(" and %v", op.V.DType)
	}
	for _, m := range []struct {
		is   bool
		name string
	}{
		{!op.Table.Absent(), "in blocks"}, {op.Window > 0, "in a window"}, {op.SoftCap > 0, "capped"},
		{!op.Sinks.Absent(), "with sinks"}, {!op.Probs.Absent(), "with probabilities"},
	} {
		if m.is {
			name += ", " + m.name
		}
	}
	return name
}

// waysOfOneQuery: a query a run, whose keys are split in parts.
func waysOfOneQuery(e *encoder, part *attentionPart) (list []attentionChoice) {
	if _, ok := e.wide(part); !ok || part.op.Q.Dim(2) > 1 {
		return nil
	}
	l := e.limits()
	spec, shares, ok := shapeOneQuery(l, part.Attention)
	if !ok {
		return nil
	}
	_, context := part.Cache()
	keys := int(attentionWindow(part.Window, context))
	add := func(parts, each int) {
		c := attentionChoice{source: "attention_one", parts: parts, keys: each}
		if parts <= min(mostParts, int(l.Groups[0])) && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	add(splitKeys(l, keys, part.Groups()*shares, int(spec.Lanes)))
	add(1, keys)
	for each := partKeys; each < keys; each *= 2 {
		add((keys+each-1)/each, each)
	}
	return list
}

// oneQuery is what a choice makes of a part.
func oneQuery(e *encoder, part *attentionPart, c *attentionChoice) (w wideAttention, spec shaders.AttentionOneSpec, shares int) {
	w, _ = e.wide(part)
	spec, shares, _ = shapeOneQuery(e.limits(), part.Attention)
	w.spec(&spec.AttentionWideSpec, part.Attention)
	w.parts, w.keys = c.parts, c.keys
	spec.Split = w.parts > 1
	return w, spec, shares
}

func pipelinesOfOneQuery(e *encoder, part *attentionPart, c *attentionChoice) []pipelineSpec {
	w, spec, _ := oneQuery(e, part, c)
	pipelines := []pipelineSpec{onePipeline(part.Attention, spec)}
	if spec.Split {
		pipelines = append(pipelines, w.joinPipeline(e.limits(), part.Attention))
	}
	return pipelines
}

func encodeOneQuery(e *encoder, part *attentionPart, c *attentionChoice) (ok bool, err error) {
	w, spec, shares := oneQuery(e, part, c)
	for _, p := range pipelinesOfOneQuery(e, part, c) {
		ok, err := e.trusts(p, func(t *trials) { tryOneQuery(t, part.Attention, w, spec) })
		if err != nil || !ok {
			return false, err
		}
	}
	return true, w.one(e, part.Attention, spec, shares)
}

// waysOfAttentionMatrix: several queries a run, in tiles on cooperative matrices.
func waysOfAttentionMatrix(e *encoder, part *attentionPart) []attentionChoice {
	if _, ok := e.wide(part); !ok {
		return nil
	}
	if _, ok := shapeMatrixAttention(e.limits(), part.Attention); !ok {
		return nil
	}
	return []attentionChoice{{source: "attention_matrix"}}
}

// attentionOnMatrices is what a choice makes of a part.
func attentionOnMatrices(e *encoder, part *attentionPart) (w wideAttention, spec shaders.AttentionMatrixSpec) {
	w, _ = e.wide(part)
	spec, _ = shapeMatrixAttention(e.limits(), part.Attention)
	w.spec(&spec.AttentionWideSpec, part.Attention)
	return w, spec
}

func pipelinesOfAttentionMatrix(e *encoder, part *attentionPart, _ *attentionChoice) []pipelineSpec {
	_, spec := attentionOnMatrices(e, part)
	return []pipelineSpec{attentionMatrixPipeline(part.Attention, spec)}
}

func encodeAttentionMatrix(e *encoder, part *attentionPart, _ *attentionChoice) (ok bool, err error) {
	w, spec := attentionOnMatrices(e, part)
	ok, err = e.trusts(attentionMatrixPipeline(part.Attention, spec), func(t *trials) { tryAttentionMatrix(t, part.Attention, w, spec) })
	if err != nil || !ok {
		return false, err
	}
	return true, w.matrix(e, part.Attention, spec)
}

// waysOfTile: several queries a run, in tiles.
func waysOfTile(e *encoder, part *attentionPart) (list []attentionChoice) {
	if _, ok := e.wide(part); !ok || part.op.Q.Dim(2) == 1 {
		return nil
	}
	rule, ok := shapeTile(e.limits(), part.Attention)
	if !ok {
		return nil
	}
	list = []attentionChoice{{source: "attention_tile", rows: rule.Rows}}
	if e.limits().twoQueries(part.HeadSize()) {
		list = append(list, attentionChoice{source: "attention_tile", rows: 3 - rule.Rows})
	}
	return list
}

// tileAttention is what a choice makes of a part.
func tileAttention(e *encoder, part *attentionPart, c *attentionChoice) (w wideAttention, spec shaders.AttentionTileSpec) {
	w, _ = e.wide(part)
	spec, _ = shapeTile(e.limits(), part.Attention)
	spec.Rows = c.rows
	w.spec(&spec.AttentionWideSpec, part.Attention)
	return w, spec
}

func pipelinesOfTile(e *encoder, part *attentionPart, c *attentionChoice) []pipelineSpec {
	_, spec := tileAttention(e, part, c)
	return []pipelineSpec{tilePipeline(part.Attention, spec)}
}

func encodeTile(e *encoder, part *attentionPart, c *attentionChoice) (ok bool, err error) {
	w, spec := tileAttention(e, part, c)
	ok, err = e.trusts(tilePipeline(part.Attention, spec), func(t *trials) { tryTile(t, part.Attention, w, spec) })
	if err != nil || !ok {
		return false, err
	}
	return true, w.tile(e, part.Attention, spec)
}

// waysOfPlain: attention.comp, which takes all.
func waysOfPlain(e *encoder, part *attentionPart) (list []attentionChoice) {
	for _, way := range attentionWays(e, part.Attention, part.op.HeadSize()) {
		list = append(list, attentionChoice{source: "attention", way: way})
	}
	return list
}

// runsOf is an op of which a run is a row of a batch: the runs of a row of the batch of op.
func runsOf(op *backend.Attention, b int) *backend.Attention {
	batch, time := op.Q.Dim(1), op.Q.Dim(2)
	n, run := op.Runs()
	rows := func(t backend.Tensor) backend.Tensor {
		t = t.Slice(1, b, b+1)
		t.Shape[1], t.Shape[2], t.Strides[1] = n/batch, run, run*t.Strides[2]
		return t
	}
	part := *op
	part.Run = 0
	part.Dst, part.Q, part.At = rows(op.Dst), rows(op.Q), op.At.Slice(3, b*time, (b+1)*time)
	if p := &part.Probs; !p.Absent() {
		*p = p.Slice(0, b, b+1)
		p.Shape[0], p.Shape[2], p.Strides[0] = n/batch, run, run*p.Strides[2]
	}
	return &part
}

// waysOfAttention is Ways for attention.
func (e *encoder) waysOfAttention(op *backend.Attention) (of string, ways []string) {
	if _, run := op.Runs(); run != op.Q.Dim(2) {
		op = runsOf(op, 0)
	}
	part := &attentionPart{op, op, 0, 0}
	var right []attentionChoice
	var wrong []string // see encodeAttentionPart
	for _, c := range e.attentionChoices(part) {
		switch {
		case slices.ContainsFunc(attentionKernelOf(&c).pipelines(e, part, &c), e.b.refused):
			if c.source != "attention" { // which passes over what is wrong itself
				wrong = append(wrong, c.source)
			}
		case !slices.Contains(wrong, c.source):
			right = append(right, c)
		}
	}
	return attentionName(op), waysOf(right, (*attentionChoice).String)
}
