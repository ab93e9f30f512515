package inspect_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// reference is a checkpoint of which PyTorch computed figures in float64. There are some
// of both families, with tied embeddings and without, with biases and without.
type reference struct {
	in      *inspect.Inspector
	ids     []int
	figures gpttest.Figures
}

// eachSequence runs a test with each of them on the CPU and a Vulkan device. Package
// conformance holds other devices to the same results.
func eachSequence(t *testing.T, test func(t *testing.T, r reference)) {
	eachReference(t, devicetest.EachBackend, func(t *testing.T, in *inspect.Inspector, expected, inspected gpttest.Figures) {
		test(t, reference{in, firstSequence(t, expected), inspected})
	})
}

// eachOnCPU is eachSequence on the CPU alone: for what does not depend on the device.
func eachOnCPU(t *testing.T, test func(t *testing.T, r reference)) {
	b, err := backend.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, name := range gpttest.References {
		t.Run(name, func(t *testing.T) {
			dir := "../gpt/testdata/" + name
			in := inspect.New(gpttest.Load(t, b, dir, backend.F32), nil, inspect.Options{})
			defer in.Close()
			test(t, reference{in, firstSequence(t, gpttest.Expected(t, dir)), gpttest.Inspected(t, dir)})
		})
	}
}

// outcomes are what an Outcome of each row of scores is expected to be, computed in
// float64.
func outcomes(scores []float32, vocab int, token func(row int) int) (want []inspect.Outcome) {
	for row := range len(scores) / vocab {
		s := scores[row*vocab : (row+1)*vocab]
		sum, rank, id := 0.0, 1, token(row)
		for _, v := range s {
			sum += math.Exp(float64(v))
			if v > s[id] {
				rank++
			}
		}
		entropy := 0.0
		for _, v := range s {
			p := math.Exp(float64(v)) / sum
			entropy -= p * math.Log(p)
		}
		p := math.Exp(float64(s[id])) / sum
		want = append(want, inspect.Outcome{Score: inspect.Float(s[id]), Prob: inspect.Float(p), LogProb: inspect.Float(math.Log(p)), Rank: rank, Entropy: inspect.Float(entropy)})
	}
	return want
}

// near fails unless two numbers agree within what float32 scores allow.
func near(t *testing.T, what string, got inspect.Float, want float64) {
	t.Helper()
	if d := math.Abs(float64(got) - want); !(d <= 20*tolerance*(1+math.Abs(want))) {
		t.Errorf("%s: %v, expected %v", what, got, want)
	}
}

func sameOutcome(t *testing.T, what string, got, want inspect.Outcome) {
	t.Helper()
	near(t, what+": score", got.Score, float64(want.Score))
	near(t, what+": probability", got.Prob, float64(want.Prob))
	near(t, what+": log of the probability", got.LogProb, float64(want.LogProb))
	near(t, what+": entropy", got.Entropy, float64(want.Entropy))
	if got.Rank != want.Rank {
		t.Errorf("%s: rank %d, expected %d", what, got.Rank, want.Rank)
	}
}

// argmax is the token of the highest score.
func argmax(scores []float32) int { return slices.Index(scores, slices.Max(scores)) }

// TestLens holds the distributions after every block to PyTorch's scores.
func TestLens(t *testing.T) {
	eachSequence(t, func(t *testing.T, r reference) {
		vocab, layers := r.in.Model.Vocab, r.in.Model.Layers
		got, err := r.in.Lens(t.Context(), r.ids, inspect.LensOptions{Token: -1, Top: 3})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Blocks) != layers+1 || len(got.Answers) != len(r.ids) || len(got.Tokens) != len(r.ids) {
			t.Fatalf("%d blocks and %d answers for %d layers and %d tokens", len(got.Blocks), len(got.Answers), layers, len(r.ids))
		}
		last := r.figures.Floats(t, fmt.Sprintf("lens.%d", layers))
		first := map[int]int{} // after which block a position's answer is the likeliest, for good
		for i := layers; i >= 0; i-- {
			scores := r.figures.Floats(t, fmt.Sprintf("lens.%d", i))
			answer := func(row int) int { return argmax(last[row*vocab : (row+1)*vocab]) }
			for row, want := range outcomes(scores, vocab, answer) {
				at := int(r.figures.Ints(t, "lens.positions")[row])
				cell, what := got.Blocks[i][at], fmt.Sprintf("block %d, position %d", i, at)
				if got.Answers[at].ID != answer(row) {
					t.Errorf("%s: the answer is %v, expected %d", what, got.Answers[at], answer(row))
				}
				sameOutcome(t, what, cell.Outcome, want)
				p, q := softmax(last[row*vocab:(row+1)*vocab]), softmax(scores[row*vocab:(row+1)*vocab])
				kl := 0.0
				for j := range p {
					kl += p[j] * math.Log(p[j]/q[j])
				}
				near(t, what+": KL", cell.KL, kl)
				if top := argmax(scores[row*vocab : (row+1)*vocab]); len(cell.Top) != 3 || cell.Top[0].ID != top || cell.Top[0].Score < cell.Top[1].Score || cell.Top[1].Score < cell.Top[2].Score {
					t.Errorf("%s: the likeliest tokens are %v, expected %d first", what, cell.Top, top)
				}
				if known, ok := first[at]; want.Rank == 1 && (i == layers || ok && known == i+1) {
					first[at] = i
				}
				if want, ok := first[at]; i == 0 && ok && got.Appears[at] != want {
					t.Errorf("position %d: the answer appears at %d, expected %d", at, got.Appears[at], want)
				}
			}
		}
	})
}

func softmax(scores []float32) []float64 {
	p, sum := make([]float64, len(scores)), 0.0
	for i, s := range scores {
		p[i] = math.Exp(float64(s))
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// TestLensPart looks at some positions, for a chosen token.
func TestLensPart(t *testing.T) {
	eachOnCPU(t, func(t *testing.T, r reference) {
		all, err := r.in.Lens(t.Context(), r.ids, inspect.LensOptions{Token: 1})
		if err != nil {
			t.Fatal(err)
		}
		from, to := 2, len(r.ids)-1
		part, err := r.in.Lens(t.Context(), r.ids, inspect.LensOptions{From: from, To: -1, Token: 1})
		if err != nil {
			t.Fatal(err)
		}
		if part.From != from || len(part.Tokens) != to || len(part.Answers) != to-from {
			t.Fatalf("position %d, %d tokens, %d answers", part.From, len(part.Tokens), len(part.Answers))
		}
		for i, row := range part.Blocks {
			for j, cell := range row {
				if len(cell.Top) != 0 || part.Answers[j].ID != 1 {
					t.Errorf("top %v and answer %v, expected none and 1", cell.Top, part.Answers[j])
				}
				sameOutcome(t, fmt.Sprintf("block %d, position %d", i, from+j), cell.Outcome, all.Blocks[i][from+j].Outcome)
			}
		}
	})
}

// TestAttribution holds what each part adds to a score to PyTorch's figures, and the
// sum to the score.
func TestAttribution(t *testing.T) {
	eachSequence(t, func(t *testing.T, r reference) {
		m := r.in.Model
		figures, n := r.figures.Floats(t, "attribution"), r.figures.Shape("attribution")[1]
		for i, at := range r.figures.Ints(t, "attribution.positions") {
			token := int(r.figures.Ints(t, "attribution.tokens")[i])
			got, err := r.in.Attribution(t.Context(), r.ids, inspect.AttributionOptions{Position: int(at), Token: token, Against: -1})
			if err != nil {
				t.Fatal(err)
			}
			want := figures[i*n : (i+1)*n]
			gpttest.CheckNear(t, fmt.Sprintf("position %d", at), arranged(t, got, m.Layers, m.Heads), want, tolerance)
			score := 0.0
			for _, v := range want {
				score += float64(v)
			}
			near(t, "score", got.Score, score)
			near(t, "sum", got.Sum, score)
			if got.Token.ID != token || got.Position != int(at) || got.Against != nil {
				t.Errorf("it is of %v at %d against %v, expected %d at %d", got.Token, got.Position, got.Against, token, at)
			}
		}
	})
}

// arranged are the rows in the order of PyTorch's figures, 0 for parts that the model
// does not have.
func arranged(t *testing.T, a *inspect.Attribution, layers, heads int) []float32 {
	t.Helper()
	out := make([]float32, 2+layers*(heads+3)+1)
	for _, r := range a.Rows {
		block := 2 + r.Block*(heads+3)
		switch at := map[string]int{
			inspect.PartToken: 0, inspect.PartPosition: 1, inspect.PartAttention: block, inspect.PartAttentionBias: block + heads,
			inspect.PartMLP: block + heads + 1, inspect.PartMLPBias: block + heads + 2, inspect.PartShift: len(out) - 1,
		}[r.Part]; {
		case r.Part == inspect.PartAttention:
			sum := inspect.Float(0)
			for h, v := range r.Heads {
				out[block+h] = float32(v)
				sum += v
			}
			if len(r.Heads) != heads || sum != r.Score {
				t.Errorf("block %d: %d heads, which add up to %v, expected %d and %v", r.Block, len(r.Heads), sum, heads, r.Score)
			}
		case out[at] != 0:
			t.Errorf("%s of block %d is there twice", r.Part, r.Block)
		default:
			out[at] = float32(r.Score)
		}
	}
	return out
}

// TestAttributionAgainst takes a difference of two scores apart.
func TestAttributionAgainst(t *testing.T) {
	eachOnCPU(t, func(t *testing.T, r reference) {
		m := r.in.Model
		of := func(token, against int) *inspect.Attribution {
			a, err := r.in.Attribution(t.Context(), r.ids, inspect.AttributionOptions{Position: -1, Token: token, Against: against})
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		likeliest := of(-1, -1)
		both, one, other := of(2, 5), of(2, -1), of(5, -1)
		x, y := arranged(t, one, m.Layers, m.Heads), arranged(t, other, m.Layers, m.Heads)
		for i := range x {
			x[i] -= y[i]
		}
		gpttest.CheckNear(t, "difference", arranged(t, both, m.Layers, m.Heads), x, tolerance)
		near(t, "score", both.Score, float64(one.Score-other.Score))
		near(t, "sum", both.Sum, float64(both.Score))
		if both.Token.ID != 2 || both.Against == nil || both.Against.ID != 5 {
			t.Errorf("it is of %v against %v", both.Token, both.Against)
		}
		last := r.figures.Floats(t, fmt.Sprintf("lens.%d", m.Layers))
		if want := argmax(last[len(last)-m.Vocab:]); likeliest.Token.ID != want {
			t.Errorf("the likeliest token is %d, expected %d", likeliest.Token.ID, want)
		}
	})
}

// TestAblate holds the scores without heads, attention, MLP and whole blocks to
// PyTorch's: all of them are asked for at once, which takes several steps.
func TestAblate(t *testing.T) {
	eachSequence(t, func(t *testing.T, r reference) {
		vocab := r.in.Model.Vocab
		all := r.figures.Floats(t, fmt.Sprintf("lens.%d", r.in.Model.Layers))
		all = all[len(all)-vocab:]
		token := argmax(all)
		of := func(int) int { return token }
		before := outcomes(all, vocab, of)[0]
		var names []string
		var offs [][]inspect.Part
		for _, name := range r.figures.Tensors() {
			part, ok := strings.CutPrefix(name, "without.")
			if !ok {
				continue
			}
			p, err := inspect.ParsePart(strings.TrimSuffix(part, ".block"))
			if err != nil {
				t.Fatal(err)
			}
			names, offs = append(names, name), append(offs, []inspect.Part{p})
		}
		if least := 4 * r.in.Model.Layers; len(names) < least {
			t.Errorf("%d parts to try, expected at least %d", len(names), least)
		}
		ablations, err := r.in.AblateEach(t.Context(), r.ids, offs, inspect.AblationOptions{Position: -1, Token: -1, Top: 2})
		if err != nil {
			t.Fatal(err)
		}
		if len(ablations) != len(offs) {
			t.Fatalf("%d ablations of %d", len(ablations), len(offs))
		}
		for i, got := range ablations {
			part := strings.TrimPrefix(names[i], "without.")
			scores := r.figures.Floats(t, names[i])
			sameOutcome(t, "before", got.Before, before)
			sameOutcome(t, part, got.After, outcomes(scores, vocab, of)[0])
			if got.Token.ID != token || got.After.Top[0].ID != argmax(scores) || !slices.Equal(got.Off, offs[i]) {
				t.Errorf("%s: without %v, of token %v, then likeliest %v; expected %d and %d", part, got.Off, got.Token, got.After.Top, token, argmax(scores))
			}
			kl := 0.0
			x, y := softmax(all), softmax(scores)
			for i := range x {
				kl += x[i] * math.Log(x[i]/y[i])
			}
			near(t, part+": KL", got.KL, kl)
		}
	})
}

// TestAblateEach switches parts off one after the other and several at once, and on
// again.
func TestAblateEach(t *testing.T) {
	eachOnCPU(t, func(t *testing.T, r reference) {
		in, o := r.in, inspect.AblationOptions{Position: len(r.ids) / 2, Token: 3}
		heads := in.Parts(inspect.Head)
		if want := in.Model.Layers * in.Model.Heads; len(heads) != want {
			t.Fatalf("%d heads, expected %d", len(heads), want)
		}
		lists := [][]inspect.Part{{}, {{Kind: inspect.Attention}}, heads[:in.Model.Heads], {{Kind: inspect.Attention}, {Kind: inspect.MLP}}, {{}}, nil}
		all, err := in.AblateEach(t.Context(), r.ids, lists, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != len(lists) {
			t.Fatalf("%d ablations of %d", len(all), len(lists))
		}
		// Rows of a product may be rounded differently.
		differ := func(x, y inspect.Float) bool { return math.Abs(float64(x-y)) > 1e-5*math.Max(1, math.Abs(float64(x))) }
		for _, i := range []int{0, len(all) - 1} { // nothing is off
			if differ(all[i].Before.Score, all[i].After.Score) || math.Abs(float64(all[i].KL)) > 1e-9 {
				t.Errorf("nothing is off, and the score went from %v to %v, which is a divergence of %v", all[i].Before.Score, all[i].After.Score, all[i].KL)
			}
		}
		if differ(all[3].After.Score, all[4].After.Score) {
			t.Errorf("without attention and MLP the score is %v, and without the block %v", all[3].After.Score, all[4].After.Score)
		}
		if !differ(all[1].After.Score, all[0].After.Score) {
			t.Error("attention of block 0 makes no difference")
		}
		plain, err := in.Lens(t.Context(), r.ids, inspect.LensOptions{From: o.Position, To: o.Position + 1, Token: 3})
		if err != nil {
			t.Fatal(err)
		}
		sameOutcome(t, "nothing off", all[0].Before, plain.Blocks[in.Model.Layers][0].Outcome)
	})
}

// inBlocks is a backend that by itself rounds to blocks of 8 bits what quantised weights are multiplied with.
type inBlocks struct{ backend.Backend }

func (b inBlocks) Unwrap() backend.Backend              { return b.Backend }
func (inBlocks) Rounding(w backend.DType) backend.DType { return backend.Q8_A }

// TestAttributionRounding takes a score apart that comes from rounded activations: what
// rounding made of it is a row, so that the rows add up still, and a small one. Without a
// request nothing is rounded.
func TestAttributionRounding(t *testing.T) {
	b := inBlocks{gpttest.OpenCPU(t)}
	c := model.Config{Family: "llama", Layers: 2, Heads: 2, KVHeads: 1, HeadSize: 32, Width: 64, Inner: 96, Context: 16, Vocab: 50}
	of := func(activations backend.DType) *inspect.Attribution {
		m, err := gpt.Random(t.Context(), b, c.Complete(), gpt.LoadOptions{DType: backend.Q8_0, Activations: activations}, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		in := inspect.New(m, nil, inspect.Options{})
		defer in.Close()
		a, err := in.Attribution(t.Context(), []int{1, 2, 3, 4}, inspect.AttributionOptions{Position: -1, Token: 7, Against: -1})
		if err != nil {
			t.Fatal(err)
		}
		sum := inspect.Float(0)
		for _, r := range a.Rows {
			sum += r.Score
		}
		if math.Abs(float64(sum-a.Score)) > 1e-5 || math.Abs(float64(a.Sum-a.Score)) > 1e-5 {
			t.Errorf("activations of %v: rows add up to %v, the sum is said to be %v and the score %v", activations, sum, a.Sum, a.Score)
		}
		return a
	}
	exact, rounded := of(backend.F32), of(backend.Q8_A)
	for _, activations := range []backend.DType{backend.None, backend.F16} {
		if usual := of(activations); usual.Score != exact.Score || len(usual.Rows) != len(exact.Rows) {
			t.Errorf("activations of %v: the score is %v in %d rows, expected %v in %d, as of f32", activations, usual.Score, len(usual.Rows), exact.Score, len(exact.Rows))
		}
	}
	if last := exact.Rows[len(exact.Rows)-1]; last.Part == inspect.PartRounding {
		t.Errorf("nothing is rounded, and there is %+v", last)
	}
	if last := rounded.Rows[len(rounded.Rows)-1]; last.Part != inspect.PartRounding || last.Score == 0 || math.Abs(float64(last.Score)) > 0.05 {
		t.Errorf("the last row is %+v", last)
	}
}
