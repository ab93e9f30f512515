package inspect_test

import (
	"math"
	"slices"
	"testing"

	"caldera/inspect"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// TestContext holds how far vectors are apart, and what attention took from each
// position, to PyTorch's; and adds up what moved the vectors.
func TestContext(t *testing.T) {
	eachReference(t, devicetest.Each, func(t *testing.T, in *inspect.Inspector, expected, inspected gpttest.Figures) {
		var texts [2][]int
		for i, name := range []string{"context.first", "context.second"} {
			for _, id := range inspected.Ints(t, name) {
				texts[i] = append(texts[i], int(id))
			}
		}
		at := inspected.Ints(t, "context.positions")
		got, err := in.Context(t.Context(), texts[0], texts[1], inspect.ContextOptions{First: int(at[0]), Second: int(at[1]), Top: 3})
		if err != nil {
			t.Fatal(err)
		}
		var cosines, euclidean []float32
		for _, a := range got.Apart {
			cosines, euclidean = append(cosines, float32(a.CosineDistance)), append(euclidean, float32(a.Euclidean))
		}
		gpttest.CheckNear(t, "cosine", cosines, inspected.Floats(t, "context.cosine"), tolerance)
		gpttest.CheckNear(t, "euclidean", euclidean, inspected.Floats(t, "context.euclidean"), tolerance)
		if family := in.Model.Family; (got.WithoutPosition == nil) != (family == "llama") || family == "gpt2" && got.WithoutPosition.Euclidean > 1e-6 {
			t.Errorf("%s: the embeddings of one token are apart by %+v without positions", family, got.WithoutPosition)
		}

		layers, width := in.Model.Layers, in.Model.Width
		var runs [2]*inspect.Run
		for i, text := range []inspect.ContextText{got.First, got.Second} {
			p := int(at[i])
			if text.Position != p || len(text.Tokens) != p+1 || len(text.Blocks) != layers || len(text.Stages) != layers+1 {
				t.Fatalf("text %d: position %d, %d tokens, %d blocks, %d stages", i, text.Position, len(text.Tokens), len(text.Blocks), len(text.Stages))
			}
			if runs[i], err = in.Run(t.Context(), texts[i][:p+1], "hidden.*"); err != nil {
				t.Fatal(err)
			}
			var weights []float32
			for _, b := range text.Blocks {
				for _, move := range b.Positions {
					weights = append(weights, float32(move.Weight))
				}
			}
			name := []string{"context.moved.first", "context.moved.second"}[i]
			gpttest.CheckNear(t, name, weights, inspected.Floats(t, name), tolerance)
			for j, s := range text.Stages {
				x := runs[i].Value("hidden.%d", j).Row(p)
				if d := math.Abs(float64(s.Length) - norm(x)); d > 1e-5*norm(x) || len(s.Nearest) != 3 {
					t.Errorf("text %d after %d blocks: %+v, expected length %v", i, j, s, norm(x))
				}
				if err := in.Scores(t.Context(), x, func(_ int, scores []float32) error {
					if s.Nearest[0].ID != argmax(scores) {
						t.Errorf("text %d after %d blocks: nearest is %d, expected %d", i, j, s.Nearest[0].ID, argmax(scores))
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		var sums, changes []float32
		for j := range layers {
			hidden := func(i, stage int) []float32 { return runs[i].Value("hidden.%d", stage).Row(int(at[i])) }
			before, after := make([]float64, width), make([]float64, width)
			for k := range width {
				before[k] = float64(hidden(0, j)[k]) - float64(hidden(1, j)[k])
				after[k] = float64(hidden(0, j+1)[k]) - float64(hidden(1, j+1)[k])
			}
			change, sum := norm(after), 0.0
			for k := range width {
				change -= before[k] * after[k] / norm(after)
			}
			for _, text := range []inspect.ContextText{got.First, got.Second} {
				b := text.Blocks[j]
				sum += float64(b.MLP.Away)
				if b.Bias != nil {
					sum += float64(b.Bias.Away)
				}
				for _, move := range b.Positions {
					sum += float64(move.Away)
				}
			}
			sums, changes = append(sums, float32(sum)), append(changes, float32(change))
		}
		gpttest.CheckNear(t, "sums of moves", sums, changes, 10*tolerance)
	})
}

func norm[T float32 | float64](x []T) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// TestContextSame compares a text with itself.
func TestContextSame(t *testing.T) {
	in := tiny(t)
	ids := []int{3, 1, 4, 1, 5}
	got, err := in.Context(t.Context(), ids, ids, inspect.ContextOptions{First: -1, Second: 4})
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range append(got.Apart, *got.WithoutPosition) {
		if a.Euclidean != 0 || a.Relative != 0 || math.Abs(float64(a.CosineDistance)) > 1e-12 {
			t.Errorf("after %d blocks: %+v", i, a)
		}
	}
	if away := got.First.Blocks[0].MLP.Away; !math.IsNaN(float64(away)) {
		t.Errorf("moved by %v in no direction, expected NaN", away)
	}
}

// TestWords finds words of the embedded model's texts.
func TestWords(t *testing.T) {
	in := gpttest.Inspect(t, gpttest.OpenCPU(t))
	encode := func(text string) []int {
		ids, err := in.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	upTo := func(ids []int, at int) string {
		tokens, err := in.Tokens(ids[:at+1])
		if err != nil {
			t.Fatal(err)
		}
		return tokens.Text
	}
	for _, c := range []struct{ text, word, upTo string }{
		{"a universally acknowledged truth", "acknowledged", "a universally acknowledged"},
		{"a man, a woman, a man and women", "man", "a man, a woman, a man"},
		{"a man, a woman", "man", "a man"},
		{"some women", "omen", "some women"},
		{"the model", "the model", "the model"},
		{"日本語", "本", "日本"},
	} {
		ids := encode(c.text)
		at, err := in.FindWord(ids, c.word)
		if err != nil || upTo(ids, at) != c.upTo {
			t.Errorf("%q in %q is at %d, %v; expected behind %q", c.word, c.text, at, err, c.upTo)
		}
	}
	for _, word := range []string{"", "boy", "A man"} {
		_, err := in.FindWord(encode("a man"), word)
		gpttest.WantError(t, err, "does not have")
		wantUser(t, err)
	}
	for _, c := range []struct{ first, second, word string }{
		{"She had a very happy disposition", "the happiness of his disposition", "disposition"},
		{"the fortune of a gentleman of ten", "a gentleman's estate; the gentleman of the house", "gentleman"},
		{"one two of", "two one by", "two"},
	} {
		first, second := encode(c.first), encode(c.second)
		word, at, err := in.SharedWord(first, second)
		if err != nil || word != c.word {
			t.Fatalf("%q and %q share %q, %v; expected %q", c.first, c.second, word, err, c.word)
		}
		for i, ids := range [][]int{first, second} {
			if want, _ := in.FindWord(ids, c.word); at[i] != want {
				t.Errorf("%q is at %v, expected %d in text %d", word, at, want, i)
			}
		}
	}
	_, _, err := in.SharedWord(encode("one two"), encode("three, four"))
	gpttest.WantError(t, err, "no word in common")
	wantUser(t, err)
}

func TestContextErrors(t *testing.T) {
	in := tiny(t)
	ids := []int{3, 1, 4}
	for want, o := range map[string]inspect.ContextOptions{
		"first text: position 3": {First: 3}, "second text: position -4": {Second: -4}, "101 nearest": {Top: 101},
	} {
		_, err := in.Context(t.Context(), ids, ids, o)
		gpttest.WantError(t, err, want)
		wantUser(t, err)
	}
	_, err := in.Context(t.Context(), ids, slices.Repeat(ids, 30), inspect.ContextOptions{})
	gpttest.WantError(t, err, "second text", "90 tokens")
	wantUser(t, err)
	_, _, err = in.SharedWord(ids, ids) // without a tokenizer there are no words
	wantUser(t, err)
}

// TestContextWithoutTokenizer asks for words of a model that has none.
func TestContextWithoutTokenizer(t *testing.T) {
	in := tiny(t)
	_, _, err := in.SharedWord([]int{1, 2}, []int{2})
	wantUser(t, err)
	gpttest.WantError(t, err, "no tokenizer", "choose positions")
	_, err = in.FindWord([]int{1, 2}, "word")
	wantUser(t, err)
	gpttest.WantError(t, err, "no tokenizer", "choose positions")
}
