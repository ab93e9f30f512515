package inspect_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// TestAttention holds maps, weighted by values or not, to PyTorch's, and the figures of
// each head to what follows from PyTorch's maps in float64.
func TestAttention(t *testing.T) {
	eachReference(t, devicetest.Each, func(t *testing.T, in *inspect.Inspector, expected, inspected gpttest.Figures) {
		ids := firstSequence(t, expected)
		n, heads := len(ids), in.Model.Heads
		for _, weighted := range []bool{false, true} {
			all, err := in.Attention(t.Context(), ids, inspect.AttentionOptions{Weighted: weighted, Top: 5})
			if err != nil {
				t.Fatal(err)
			}
			if len(all.Heads) != in.Model.Layers*heads || all.MapsLeftOut == "" || all.Heads[0].Map != nil {
				t.Fatalf("%d heads, maps left out: %q", len(all.Heads), all.MapsLeftOut)
			}
			var pairs []inspect.AttentionPair
			for layer := range in.Model.Layers {
				got, err := in.Attention(t.Context(), ids, inspect.AttentionOptions{Layer: &layer, Weighted: weighted, Top: 5})
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("attn.%d", layer)
				want := expected.Floats(t, name)[:heads*n*n]
				if weighted {
					name = fmt.Sprintf("weighted.%d", layer)
					want = inspected.Floats(t, name)
				}
				checkMaps(t, name, got, want, n, weighted)
				for h, head := range got.Heads {
					if one := all.Heads[layer*heads+h]; one.Layer != layer || one.Head != h || one.Map != nil || len(one.Strongest) == 0 || !sameFigures(figures(head), figures(one)) {
						t.Errorf("head %d of layer %d is %v alone, and %v among all", h, layer, head, one)
					}
					pairs = append(pairs, head.Strongest...)
				}
			}
			slices.SortStableFunc(pairs, func(a, b inspect.AttentionPair) int { return cmp.Compare(b.Weight, a.Weight) })
			for i, p := range all.Pairs {
				if !sameFigures([]inspect.Float{p.Weight}, []inspect.Float{pairs[i].Weight}) {
					t.Errorf("pair %d of all is %+v, expected %+v", i, p, pairs[i])
				}
			}
			if len(all.Pairs) != 5 {
				t.Errorf("%d pairs, expected 5", len(all.Pairs))
			}
		}
	})
}

// figures are the numbers that are told of a head's map.
func figures(h inspect.AttentionHead) []inspect.Float {
	return []inspect.Float{h.Entropy, h.First, h.Self, h.Previous, h.Distance}
}

// sameFigures reports whether numbers are the same but for the order in which layers before added up: a backend may take
// other kernels where a layer's map is asked for than where it is not.
func sameFigures(a, b []inspect.Float) bool {
	return slices.EqualFunc(a, b, func(x, y inspect.Float) bool { return math.Abs(float64(x-y)) <= 1e-5*(1+math.Abs(float64(y))) })
}

// checkMaps holds a layer's maps and what is told of them to want, [heads, n, n].
func checkMaps(t *testing.T, name string, got *inspect.AttentionMaps, want []float32, n int, weighted bool) {
	t.Helper()
	var flat []float32
	for h, head := range got.Heads {
		rows := want[h*n*n : (h+1)*n*n]
		var mean [5]float64
		var most inspect.AttentionPair
		for i := range n {
			if len(head.Map[i]) != i+1 {
				t.Fatalf("%s: row %d of a map has %d numbers", name, i, len(head.Map[i]))
			}
			total := 0.0
			for _, w := range rows[i*n : i*n+n] {
				total += float64(w)
			}
			for j := range n {
				w := float64(rows[i*n+j])
				if j <= i {
					flat = append(flat, float32(head.Map[i][j]))
				} else {
					flat = append(flat, 0)
				}
				if i == 0 {
					continue
				}
				if float64(most.Weight) < w {
					most = inspect.AttentionPair{From: i, To: j, Weight: inspect.Float(w)}
				}
				p := w / total
				if p > 0 {
					mean[0] -= p * math.Log(p) / float64(n-1)
				}
				mean[1] += p * is(j == 0) / float64(n-1)
				mean[2] += p * is(j == i) / float64(n-1)
				mean[3] += p * is(j == i-1) / float64(n-1)
				mean[4] += p * float64(i-j) / float64(n-1)
			}
		}
		got := figures(head)
		for k, what := range []string{"entropy", "first", "self", "previous", "distance"} {
			if d := math.Abs(float64(got[k]) - mean[k]); !(d <= 1e-4*(1+mean[k])) {
				t.Errorf("%s: head %d: %s is %v, expected %v", name, h, what, got[k], mean[k])
			}
		}
		first := head.Strongest[0]
		if d := math.Abs(float64(first.Weight - most.Weight)); d > 1e-4*float64(most.Weight) {
			t.Errorf("%s: head %d: the strongest is %+v, expected %+v", name, h, first, most)
		}
		for _, p := range head.Strongest {
			if p.Weight != head.Map[p.From][p.To] || p.From == 0 {
				t.Errorf("%s: head %d: pair %+v, and the map has %v", name, h, p, head.Map[p.From][p.To])
			}
			if weighted != (p.Carried != nil) || weighted && math.Abs(float64(p.Weight-p.Prob**p.Carried)) > 1e-6*float64(p.Weight) {
				t.Errorf("%s: head %d: pair %+v is not a product", name, h, p)
			}
		}
		if !slices.IsSortedFunc(head.Strongest, func(a, b inspect.AttentionPair) int { return cmp.Compare(b.Weight, a.Weight) }) {
			t.Errorf("%s: head %d: %v are not in order", name, h, head.Strongest)
		}
	}
	gpttest.CheckNear(t, name, flat, want, tolerance)
}

func is(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// TestAttentionOf looks from one position, and past the first token.
func TestAttentionOf(t *testing.T) {
	in := tiny(t)
	ids := []int{3, 1, 4, 1, 5}
	one, at := 1, -2
	got, err := in.Attention(t.Context(), ids, inspect.AttentionOptions{Layer: &one, Head: &one, Position: &at, Top: 9})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Heads) != 1 || len(got.Pairs) != 4 || len(got.Heads[0].Map) != 5 {
		t.Errorf("position 3 looks at %v, expected 4 positions", got.Pairs)
	}
	for _, p := range got.Pairs {
		if p.From != 3 || p.Layer != 1 || p.Head != 1 {
			t.Errorf("%+v is not of position 3 of head 1 of layer 1", p)
		}
	}
	got, err = in.Attention(t.Context(), ids, inspect.AttentionOptions{Head: &one, SkipFirst: true, Top: 100})
	if err != nil {
		t.Fatal(err)
	}
	if want := in.Model.Layers * (2 + 3 + 4 + 1); len(got.Heads) != in.Model.Layers || len(got.Pairs) != want || got.MapsLeftOut != "" {
		t.Errorf("%d pairs of %d heads, expected %d; maps left out: %q", len(got.Pairs), len(got.Heads), want, got.MapsLeftOut)
	}
	for _, p := range got.Pairs {
		if p.To == 0 || p.Head != 1 {
			t.Errorf("%+v looks at the first token, or is of another head", p)
		}
	}
	got, err = in.Attention(t.Context(), ids[:1], inspect.AttentionOptions{Layer: &one, Top: 3})
	if err != nil {
		t.Fatal(err)
	}
	if h := got.Heads[0]; len(h.Map) != 1 || h.Map[0][0] != 1 || !math.IsNaN(float64(h.Entropy)) || len(h.Strongest) != 0 || len(got.Pairs) != 0 {
		t.Errorf("one token: %+v", h)
	}
}

func TestAttentionErrors(t *testing.T) {
	in := tiny(t)
	two, five, minus := in.Model.Layers, 5, -6
	for want, o := range map[string]inspect.AttentionOptions{
		"layers 0 to 2": {Layer: &two}, "heads 0 to 3": {Head: &five}, "positions 0 to 4": {Position: &minus}, "0 to 1000": {Top: -1}, "1001 pairs": {Top: 1001},
	} {
		_, err := in.Attention(t.Context(), []int{3, 1, 4, 1, 5}, o)
		gpttest.WantError(t, err, want)
		wantUser(t, err)
	}
	_, err := in.Attention(t.Context(), nil, inspect.AttentionOptions{})
	wantUser(t, err)
	_, err = in.Attention(gpttest.Countdown(t.Context(), 1), []int{3, 1, 4, 1, 5}, inspect.AttentionOptions{Weighted: true})
	if err == nil {
		t.Error("it went on after the context had ended")
	}
}

// TestAttentionDTypes weighs by values where weights are stored in fewer bits: as with
// those weights in f32.
func TestAttentionDTypes(t *testing.T) {
	b := gpttest.OpenCPU(t)
	c := gpttest.Llamas()["grouped"]
	c.HeadSize, c.Width, c.Inner = 16, 96, 96 // blocks of 32 belong to two heads
	ids := []int{3, 1, 4, 1, 5, 9, 2, 6}
	for _, d := range []backend.DType{backend.F16, backend.BF16, backend.Q8_0, backend.Q4_0} {
		m, err := gpt.Random(t.Context(), b, c.Complete(), gpt.LoadOptions{DType: d}, 7)
		if err != nil {
			t.Fatal(err)
		}
		in := inspect.New(m, nil, inspect.Options{})
		layer := 1
		got, err := in.Attention(t.Context(), ids, inspect.AttentionOptions{Layer: &layer, Weighted: true})
		if err != nil {
			t.Fatal(err)
		}
		run, err := in.Run(t.Context(), ids, "blocks.1.attention.*")
		if err != nil {
			t.Fatal(err)
		}
		out := matrixOf(t, m, model.Output, layer)
		var flat, want []float32
		for h, head := range got.Heads {
			for i, row := range head.Map {
				for j, w := range row {
					v := run.Value("blocks.1.attention.value").Row(j)[h*c.KVHeads/c.Heads*c.HeadSize:][:c.HeadSize]
					sum := 0.0
					for o := range c.Width {
						y := 0.0
						for k, x := range v {
							y += float64(out[o*c.Heads*c.HeadSize+h*c.HeadSize+k]) * float64(x)
						}
						sum += y * y
					}
					flat = append(flat, float32(w))
					want = append(want, run.Value("blocks.1.attention.probs").Row(h, i)[j]*float32(math.Sqrt(sum)))
				}
			}
		}
		gpttest.CheckNear(t, d.String(), flat, want, tolerance)
		in.Close()
		m.Close()
	}
}

// matrixOf reads a matrix of a block as float32, row by row.
func matrixOf(t *testing.T, m *model.Model, role model.Role, block int) []float32 {
	t.Helper()
	for _, w := range m.Weights() {
		if w.Role == role && w.Block == block {
			x := *w.Tensor
			if !x.Contiguous() {
				x = gpttest.Compact(t, m.Backend, x)
			}
			return gpttest.Floats(t, m.Backend, x)
		}
	}
	t.Fatalf("block %d has no such matrix", block)
	return nil
}

// TestAttentionMemory reads 1,024 tokens with twelve heads, and sees how much memory of
// the device is taken at a time.
func TestAttentionMemory(t *testing.T) {
	a := gpttest.OpenCPU(t)
	c := model.Config{Family: "gpt2", Layers: 6, Heads: 12, Width: 24, Context: 1024, Vocab: 50, TieEmbeddings: true, Settings: &model.GPT2Settings{Activation: backend.GELUTanh}}
	m, err := gpt.Random(t.Context(), a, c.Complete(), gpt.LoadOptions{}, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	weights := a.Bytes()
	in := inspect.New(m, nil, inspect.Options{})
	defer in.Close()
	ids := make([]int, c.Context)
	for i := range ids {
		ids[i] = i * i % c.Vocab
	}
	got, err := in.Attention(t.Context(), ids, inspect.AttentionOptions{Weighted: true, Top: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Heads) != 72 || len(got.Pairs) != 3 {
		t.Errorf("%d heads, %d pairs", len(got.Heads), len(got.Pairs))
	}
	const mb = 1 << 20
	if used := a.Most - weights; used > 120*mb {
		t.Errorf("%d MB were taken at a time, expected at most 120", used/mb)
	}
}

// TestMapSizes reads as many layers at once as memory holds, and fewer tokens where that
// holds not even one.
func TestMapSizes(t *testing.T) {
	for _, c := range []struct{ heads, context, chunk, layers int }{
		{12, 64, 512, 341}, {12, 1024, 512, 2}, {32, 1024, 512, 1}, {32, 8192, 64, 1}, {32, 131072, 16, 1}, {1, 1, 512, 1 << 24},
	} {
		if chunk, layers := inspect.MapSizes(c.heads, c.context, 64<<20); chunk != c.chunk || layers != c.layers {
			t.Errorf("%d heads, a context of %d: %d tokens and %d layers at once, expected %d and %d", c.heads, c.context, chunk, layers, c.chunk, c.layers)
		}
	}
}
