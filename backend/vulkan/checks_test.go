//go:build cgo

package vulkan

import (
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/internal/spirv"
	"caldera/shaders"
)

// tablePipelines are pipelines of each variant that has its check in the table, as ops take them on a device.
func tablePipelines(b *Backend, v *shaders.Variant) (list []pipelineSpec) {
	e := encoder{b: b}
	add := func(specs ...any) {
		for _, s := range specs {
			if p := (pipelineSpec{variant: v, spec: s}); !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	lanes := []uint32{e.rowLanes(5), e.rowLanes(5000)}
	switch v.Source {
	case "activate", "activate_backward":
		for f := backend.GELUTanh; f <= backend.SiLU; f++ {
			add(shaders.ActivateSpec{Lanes: elementwiseLanes, Func: uint32(f)})
		}
	case "gated_activation", "gated_activation_backward":
		for f := backend.GELUTanh; f <= backend.SiLU; f++ {
			add(shaders.GatedActivationSpec{Lanes: elementwiseLanes, Func: uint32(f)})
		}
	case "adamw":
		add(shaders.AdamWSpec{Lanes: elementwiseLanes}, shaders.AdamWSpec{Lanes: elementwiseLanes, Scaled: true})
	case "store":
		add(shaders.StoreSpec{Lanes: elementwiseLanes}, shaders.StoreSpec{Lanes: elementwiseLanes, Table: true})
	case "cross_entropy":
		for i, n := range lanes {
			add(shaders.CrossEntropySpec{Lanes: n, LossScale: i == 0})
		}
	case "argmax", "global_norm", "layernorm", "layernorm_backward", "rmsnorm", "rmsnorm_backward", "softmax", "sum_squares":
		if v.Has("TEXEL") && (!b.limits.Software || b.limits.TexelElements == 0) {
			return nil
		}
		for _, n := range lanes {
			add(shaders.Workgroup{Lanes: n})
		}
	case "layernorm_backward_columns", "rmsnorm_backward_columns":
		columns, lanes := columnLanes(&b.limits)
		for stage := range uint32(3) {
			if stage == 0 || !b.limits.Software {
				add(shaders.LayerNormBackwardColumnsSpec{Lanes: columns, LanesY: lanes, Stage: stage})
			}
		}
	case "attention_backward":
		if v.Has("TEXEL") && (!b.limits.Software || b.limits.TexelElements == 0) {
			return nil
		}
		for pass := range uint32(attentionSinks) {
			s := attentionBackwardShape(&b.limits, pass, 1+int(pass)/2, 12)
			s.Extras = v.Has("X4")
			add(s)
			if pass == attentionKeys && v.Has("X4") && b.inst != nil { // of long vectors, which take an interpreter seconds
				add(attentionBackwardShape(&b.limits, pass, 2, 400))
			}
		}
		if len(v.Defines) == 0 {
			s := attentionBackwardShape(&b.limits, attentionSinks, 1, 12)
			s.Extras = true
			add(s)
		}
	case "route":
		for _, n := range lanes {
			if n <= routeLanes {
				add(shaders.Workgroup{Lanes: n})
			}
		}
	case "expert_linear":
		for _, rows := range []int{2, 8, 9} {
			add(e.expertSpec(rows, 2))
		}
	case "expert_order":
		add(shaders.Workgroup{Lanes: e.orderLanes()})
	case "sum_rows":
		add(e.sumLanes(v, 3), e.sumLanes(v, 500))
	case "linear_sum":
		add(shaders.LinearEpilogue{Lanes: 64}, shaders.LinearEpilogue{Lanes: 64, Accumulate: true, Activation: uint32(backend.SiLU), Residual: true})
	case "sample", "sample_count", "sample_max":
		list = append(list, samplePipeline(&e, v.Source, 50), samplePipeline(&e, v.Source, 50000))
	default:
		add(shaders.Workgroup{Lanes: elementwiseLanes})
	}
	return list
}

// checkedInTable are the pipelines of all variants that have their check in the table.
func checkedInTable(b *Backend) (list []unchecked) {
	for i := range shaders.Variants {
		v := &shaders.Variants[i]
		if check := kernelChecks[v.Source]; check.try != nil {
			for _, p := range tablePipelines(b, v) {
				list = append(list, unchecked{p, func(t *trials) { check.try(t, p) }})
			}
		}
	}
	return list
}

// TestEveryKernelIsChecked: each shader has a check, or is checked where it is chosen, or there is a reason
// why it is not. Those of the table find nothing wrong with a device that computes rightly.
func TestEveryKernelIsChecked(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range shaders.Variants {
		seen[shaders.Variants[i].Source] = true
	}
	for source := range seen {
		switch c := kernelChecks[source]; {
		case c.try != nil && c.op != "" && !c.chosen && c.none == "":
		case c.try == nil && c.chosen != (c.none != ""):
		default:
			t.Errorf("%s.comp has no check, and no reason: %+v", source, c)
		}
	}
	for source := range kernelChecks {
		if !seen[source] {
			t.Errorf("there is no %s.comp", source)
		}
	}
	test := func(name string, open func(t *testing.T) *Backend) {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			list := checkedInTable(b)
			passAll(t, b, list)
			t.Logf("%d pipelines", len(list))
		})
	}
	test("software", func(t *testing.T) *Backend { return openTest(t, lavapipe, nil) })
	test("gpu", func(t *testing.T) *Backend { return openTest(t, lavapipe, gpu) })
	test("small", func(t *testing.T) *Backend { return openTest(t, lavapipe, small) })
	for _, lanes := range []int{4, 32, 64} {
		c := played{name: "checked", lanes: lanes}
		test(c.name, func(t *testing.T) *Backend { return c.open(t, nil) })
	}
}

// faults are what a compiler may get wrong: an instruction for another one. The first three are of arithmetic, of
// which one alone may cancel out; the last one is of places in memory.
var faults = []struct {
	name     string
	from, to uint32
}{
	{"differences for sums", opFAdd, opFSub},
	{"products for sums", opFAdd, opFMul},
	{"sums for products", opFMul, opFAdd},
	{"sums for products of integers", opIMul, opIAdd},
}

// TestChecksFind has the compiler of a device make a fault in every kernel of the table: the check of each finds one of
// those of arithmetic, if it has any, and that of places.
func TestChecksFind(t *testing.T) {
	t.Parallel()
	c := played{name: "faults", lanes: 32}
	var list []unchecked
	missed := map[pipelineKey][]string{} // faults of arithmetic that were not found
	tried := map[pipelineKey]int{}
	for _, f := range faults {
		b, d := c.openChecked(t)
		changed := map[*shaders.Variant]int{}
		d.edit = func(v *shaders.Variant, m *spirv.Module) *spirv.Module {
			if kernelChecks[v.Source].try == nil || f.from == opIMul && (v.Source == "embedding_backward" || strings.HasPrefix(v.Source, "sample")) {
				return m // or a loop of it would not end
			}
			code, n := replaced(v, f.from, f.to)
			changed[v] = n
			m, err := spirv.Parse(code)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		list = checkedInTable(b)
		found, err := b.tryAll(list)
		if err != nil {
			t.Fatal(err)
		}
		for i, u := range list {
			n := changed[u.variant]
			switch {
			case n == 0 && found[i] != nil:
				t.Errorf("%s: nothing is wrong, and its check says %v", b.pipelineName(u.pipelineSpec), found[i])
			case f.from == opIMul && n > 0 && found[i] == nil:
				t.Errorf("%s: %s were not found in %d places", b.pipelineName(u.pipelineSpec), f.name, n)
			case f.from != opIMul && n > 0:
				if tried[u.key()]++; found[i] == nil {
					missed[u.key()] = append(missed[u.key()], f.name)
				}
			}
		}
	}
	for _, u := range list {
		relu := strings.HasPrefix(u.variant.Source, "activate") && u.spec.(shaders.ActivateSpec).Func == uint32(backend.ReLU) // which adds nothing
		if n := len(missed[u.key()]); n > 0 && n == tried[u.key()] && !relu {
			t.Errorf("%s, %+v: not found were %q", u.variant.Name(), u.spec, missed[u.key()])
		}
	}
}

// TestEveryVariantIsChosen: each variant of a kernel that has its check where it is chosen is among the choices
// for some op on some device: none is compiled by a way around its check.
func TestEveryVariantIsChosen(t *testing.T) {
	card := played{name: "GPU", lanes: 32, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}}.limits()
	card.FastDot = true
	noSubgroups := played{name: "no subgroups", lanes: 32}.limits()
	noSubgroups.SubgroupArithmetic, noSubgroups.SubgroupShuffle = false, false
	software := played{name: "software", lanes: 8, software: true}.limits()
	noShuffles := software
	noShuffles.SubgroupShuffle = false
	chosen := map[*shaders.Variant]bool{selftestVariant(): true, shaders.Find("attention_join", "SUBGROUP"): true} // see trusts and encodeOneQuery
	for _, l := range []Limits{card, noSubgroups, software, noShuffles} {
		for _, p := range everyProduct() {
			for _, c := range l.choices(&p) {
				chosen[c.pipeline(&l, &p).variant] = true
			}
		}
		b := &Backend{limits: l}
		e := &encoder{b: b, dry: &buffer{b: b, block: &block{}}}
		for _, d := range backend.DTypes(backend.Caches) {
			for _, size := range []int{32, 6} { // in fours, and not
				for _, queries := range []int{1, 20} {
					for _, table := range []bool{false, true} {
						f32 := func(dims ...int) backend.Tensor { return backend.Of(e.dry, backend.F32, 0, dims...) }
						op := &backend.Attention{Heads: 2, Dst: f32(1, queries, 2*size), Q: f32(1, queries, 2*size), At: backend.Of(e.dry, backend.I32, 0, 2, queries)}
						op.K, op.V = backend.Of(e.dry, d, 0, 1, 16, 2*size), backend.Of(e.dry, d, 0, 1, 16, 2*size)
						if table {
							op.Table = backend.Of(e.dry, backend.I32, 0, 1, 1)
						}
						for _, c := range e.attentionChoices(&attentionPart{op, op, 0, 0}) {
							v := wideVariantOf(c.source, op)
							if c.source == "attention" {
								v = c.way.pipeline(op, shaders.AttentionSpec{}).variant
							}
							chosen[v] = true
						}
					}
				}
			}
		}
	}
	for i := range shaders.Variants {
		if v := &shaders.Variants[i]; kernelChecks[v.Source].chosen != chosen[v] {
			t.Errorf("%s: its check is where it is chosen: %v, and it is a choice: %v", v.Name(), kernelChecks[v.Source].chosen, chosen[v])
		}
	}
}

// wideVariantOf is wideVariant, or nil if there is none.
func wideVariantOf(source string, op *backend.Attention) *shaders.Variant {
	if source == "attention_spread" {
		return shaders.Find(source, "SUBGROUP")
	}
	v, _ := shaders.Lookup(source, strings.Join(append(storage("", op.K.DType), "SUBGROUP"), " "))
	return v
}

// everyProduct are products of all kinds by which choices differ.
func everyProduct() (list []product) {
	weights := backend.DTypes(backend.Weights)
	for _, w := range weights {
		for _, rows := range []int{1, 3, 20, 300} {
			for _, fours := range []bool{false, true} {
				p := product{rows: rows, in: 256, out: 96, x: backend.F32, w: w, fours: fours, eights: fours, aligned: fours}
				list = append(list, p)
				if !w.Quantized() {
					p.transposed = true
					list = append(list, p)
					p.transposed = false
				}
				if !fours {
					continue
				}
				_, texels := texelsOf[w]
				p.texels, p.xTexels = texels, !texels
				list = append(list, p)
				if w != backend.F32 {
					q := p
					q.rounded = true
					list = append(list, q)
				}
				if texels {
					q := p
					q.transposed = true
					list = append(list, q)
				} else {
					q := p
					q.words = true
					list = append(list, q)
				}
			}
		}
		for _, rounded := range []bool{false, true} {
			if !rounded || w != backend.F32 {
				list = append(list, product{rows: 3, in: 256, out: 96, x: backend.F32, w: w, fours: true, rounded: rounded, joined: joined{norm: 1}},
					product{rows: 1, in: 256, out: 96, x: backend.F32, w: w, fours: true, eights: true, rounded: rounded, joined: joined{norm: 2, gate: true}, activation: backend.SiLU},
					product{rows: 1, in: 256, out: 96, x: backend.F32, w: w, fours: true, eights: true, rounded: rounded, joined: joined{norm: 1, cache: backend.F16}})
			}
		}
		for _, cache := range append([]backend.DType{backend.None}, backend.DTypes(backend.Caches)...) {
			if w.Quantized() { // x is converted by the kernel
				p := product{rows: 1, in: 256, out: 96, x: backend.F32, w: w, fours: true, eights: true, joined: joined{cache: cache, blocks: backend.Q8_A}}
				list = append(list, p)
			}
			for _, x := range []backend.DType{backend.F32, backend.Q8_A} {
				if x == backend.F32 || w.Quantized() {
					list = append(list, product{rows: 1, in: 256, out: 96, x: x, w: w, fours: true, eights: true, joined: joined{cache: cache}})
				}
			}
		}
		if w.Quantized() {
			for _, rows := range []int{1, 3, 20, 300} {
				list = append(list, product{rows: rows, in: 256, out: 96, x: backend.Q8_A, w: w, eights: true})
			}
		}
	}
	for _, rows := range []int{1, 3, 20, 300} {
		for _, fours := range []bool{false, true} {
			for _, transposed := range []bool{false, true} {
				for _, columns := range []bool{false, transposed} {
					for _, d := range []backend.DType{backend.F16, backend.F32} {
						p := product{rows: rows, in: 256, out: 96, x: d, w: d, fours: fours, aligned: fours, transposed: transposed, columns: columns, accumulate: columns, whole: columns}
						list = append(list, p)
						if fours && d == backend.F32 {
							p.texels = true
							list = append(list, p)
						}
					}
				}
			}
		}
	}
	return list
}
