package inspect_test

import (
	"cmp"
	"context"
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

// rowsOf are the rows of a matrix.
func rowsOf(t *testing.T, in *inspect.Inspector, x backend.Tensor) (rows [][]float64) {
	t.Helper()
	all, width := gpttest.Floats(t, in.Model.Backend, x), x.Dim(-1)
	for i := range x.Dim(-2) {
		row := make([]float64, width)
		for j, v := range all[i*width : (i+1)*width] {
			row[j] = float64(v)
		}
		rows = append(rows, row)
	}
	return rows
}

func product(x, y []float64) (sum float64) {
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

func cosineOf(x, y []float64) float64 {
	return product(x, y) / math.Sqrt(product(x, x)*product(y, y))
}

// byCosine are the ids of rows, the nearest to x first.
func byCosine(rows [][]float64, x []float64) (ids []int) {
	for id := range rows {
		ids = append(ids, id)
	}
	slices.SortStableFunc(ids, func(a, b int) int { return cmp.Compare(cosineOf(rows[b], x), cosineOf(rows[a], x)) })
	return ids
}

// TestEmbed holds vectors, neighbours, sums and projections to the matrices of models,
// of several types, tied and not.
func TestEmbed(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, c := range []struct {
			config model.Config
			dtype  backend.DType
			matrix string
		}{
			{model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 64, Context: 8, Vocab: 131, TieEmbeddings: true}, backend.F32, "unembedding"},
			{model.Config{Family: "llama", Layers: 1, Heads: 2, KVHeads: 1, Width: 32, Inner: 32, Context: 8, Vocab: 97}, backend.Q8_0, "embedding"},
			{model.Config{Family: "llama", Layers: 1, Heads: 2, KVHeads: 1, Width: 32, Inner: 32, Context: 8, Vocab: 97}, backend.F16, "unembedding"},
		} {
			m, err := gpt.Random(t.Context(), b, c.config.Complete(), gpt.LoadOptions{DType: c.dtype}, 3)
			if err != nil {
				t.Fatal(err)
			}
			in := inspect.New(m, nil, inspect.Options{})
			defer m.Close()
			defer in.Close()
			x := model.Head(m).W
			if c.matrix == "embedding" {
				x = *m.Weights()[0].Tensor
			}
			if x.DType != c.dtype {
				t.Errorf("the %s is kept as %v, expected %v", c.matrix, x.DType, c.dtype)
			}
			rows := rowsOf(t, in, x)
			testEmbed(t, in, c.matrix, rows)
		}
	})
}

func testEmbed(t *testing.T, in *inspect.Inspector, matrix string, rows [][]float64) {
	sum := []inspect.EmbedTerm{{Sign: 1, Word: "5"}, {Sign: -1, Word: "#6"}, {Sign: 1, Word: "7"}}
	got, err := in.Embed(context.Background(), []string{"3"}, inspect.EmbedOptions{Matrix: matrix, Nearest: 4, Sum: sum, On: []string{"8", "9"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Matrix != matrix || len(got.Words) != 4 || got.Words[2].Tokens[0].ID != 6 || got.Words[0].Taken != "token" {
		t.Fatalf("%+v", got)
	}
	for i, v := range got.Words[0].Vector {
		if float64(v) != rows[3][i] {
			t.Errorf("element %d of the vector is %v, expected %v", i, v, rows[3][i])
		}
	}
	near(t, "norm", got.Words[0].Norm, math.Sqrt(product(rows[3], rows[3])))
	near(t, "cosine of two words", got.Cosines[1][3], cosineOf(rows[5], rows[7]))
	neighbours := func(what string, list []inspect.Neighbour, x []float64, without ...int) {
		t.Helper()
		all := byCosine(rows, x)
		i := 0
		for place, id := range all {
			if slices.Contains(without, id) {
				continue
			}
			if n := list[i]; n.ID != id || n.Rank != place+1 {
				t.Errorf("%s: neighbour %d is %+v, expected %d of rank %d", what, i, n, id, place+1)
			}
			near(t, what, list[i].Cosine, cosineOf(rows[id], x))
			if i++; i == len(list) {
				break
			}
		}
		if len(list) != 4 {
			t.Errorf("%s: %d neighbours", what, len(list))
		}
	}
	neighbours("word", got.Words[0].Nearest, rows[3], 3)
	total, way := make([]float64, len(rows[0])), make([]float64, len(rows[0]))
	for i := range total {
		total[i] = rows[5][i] - rows[6][i] + rows[7][i]
		way[i] = rows[9][i] - rows[8][i]
	}
	neighbours("sum", got.Sum.Nearest, total, 5, 6, 7)
	neighbours("direction", got.Direction.Nearest, way)
	for i, id := range []int{5, 6, 7} {
		e := got.Sum.Excluded[i]
		if place := slices.Index(byCosine(rows, total), id) + 1; e.ID != id || e.Rank != place {
			t.Errorf("left out: %+v, expected rank %d", e, place)
		}
		near(t, "left out", e.Cosine, cosineOf(rows[id], total))
	}
	norm := math.Sqrt(product(way, way))
	near(t, "length of the direction", got.Direction.Norm, norm)
	for i, id := range []int{3, 5, 6, 7} {
		p := got.Direction.Projections[i]
		near(t, "projection", p.Length, product(rows[id], way)/norm)
		near(t, "share", p.Share, (product(rows[id], way)-product(rows[8], way))/norm/norm)
		near(t, "cosine with the direction", p.Cosine, cosineOf(rows[id], way))
	}
	if got.Sum.String() != "5 - #6 + 7" {
		t.Errorf("the sum is %q", got.Sum)
	}
}

// TestEmbedMap maps three vectors, which lie in a plane: the map must keep their
// distances.
func TestEmbedMap(t *testing.T) {
	in := random(t, gpttest.OpenCPU(t), model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 24, Context: 8, Vocab: 50})
	rows := rowsOf(t, in, *in.Model.Weights()[0].Tensor)
	words := []string{"3", "14", "15"}
	got, err := in.Embed(context.Background(), words, inspect.EmbedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := got.Map.Points
	if len(p) != 3 || p[0].X < 0 || p[0].Y < 0 || p[0].Kind != "word" {
		t.Fatalf("%+v", got.Map)
	}
	for _, pair := range [][2]int{{0, 1}, {0, 2}, {1, 2}} {
		a, b := pair[0], pair[1]
		apart := slices.Clone(rows[[]int{3, 14, 15}[a]])
		for i, v := range rows[[]int{3, 14, 15}[b]] {
			apart[i] -= v
		}
		near(t, "distance", inspect.Float(math.Hypot(float64(p[a].X-p[b].X), float64(p[a].Y-p[b].Y))), math.Sqrt(product(apart, apart)))
	}
	near(t, "variance", got.Map.Explained[0]+got.Map.Explained[1], 1)
	if got.Map.Explained[0] < got.Map.Explained[1] {
		t.Errorf("explained: %v", got.Map.Explained)
	}
	// The same points with the last word first: a mirrored map, if any.
	slices.Reverse(words)
	mirrored, err := in.Embed(context.Background(), words, inspect.EmbedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range mirrored.Map.Points {
		near(t, "the other map", inspect.Float(math.Abs(float64(q.X))), math.Abs(float64(p[2-i].X)))
	}
	if q := mirrored.Map.Points[0]; q.X < 0 || q.Y < 0 {
		t.Errorf("the first word is at %v, %v", q.X, q.Y)
	}
	// One word is put among its neighbours, or is nowhere.
	if got, err = in.Embed(context.Background(), []string{"3"}, inspect.EmbedOptions{Nearest: 5}); err != nil || len(got.Map.Points) != 6 || got.Map.Points[1].Kind != "nearest" {
		t.Errorf("%+v, %v", got.Map, err)
	}
	if got, err = in.Embed(context.Background(), []string{"3"}, inspect.EmbedOptions{}); err != nil || got.Map != nil {
		t.Errorf("%+v, %v", got.Map, err)
	}
}

// TestEmbedWords looks words up with a tokenizer that has most of them with a space before.
func TestEmbedWords(t *testing.T) {
	in := gpttest.Inspect(t, gpttest.OpenCPU(t))
	rows := rowsOf(t, in, *in.Model.Weights()[0].Tensor)
	for _, c := range []struct {
		given, text, taken string
		tokens             int
		mean               bool
	}{
		{"lady", " lady", "token", 1, false},
		{" lady", " lady", "token", 1, false},
		{"vers", "vers", "token", 1, false},
		{"<|endoftext|>", "<|endoftext|>", "token", 1, false},
		{"#830", " Elizabeth", "token", 1, true},
		{"frobnicate", " frobnicate", "last", 6, false},
		{"frobnicate", " frobnicate", "mean", 6, true},
		{"a lady", " a lady", "last", 2, false},
		{"-", "-", "token", 1, false},
	} {
		got, err := in.Embed(context.Background(), []string{c.given}, inspect.EmbedOptions{Mean: c.mean})
		if err != nil {
			t.Errorf("%q: %v", c.given, err)
			continue
		}
		w := got.Words[0]
		if w.Text != c.text || w.Taken != c.taken || len(w.Tokens) != c.tokens {
			t.Errorf("%q: %q, %d tokens, %s; expected %+v", c.given, w.Text, len(w.Tokens), w.Taken, c)
		}
		want := slices.Clone(rows[w.Tokens[len(w.Tokens)-1].ID])
		if w.Taken == "mean" {
			clear(want)
			for _, token := range w.Tokens {
				for i, v := range rows[token.ID] {
					want[i] += v / float64(len(w.Tokens))
				}
			}
		}
		for i, v := range w.Vector {
			near(t, c.given, v, want[i])
		}
	}
}

// TestParseSum reads sums in all their forms.
func TestParseSum(t *testing.T) {
	for _, c := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"king - man + woman"}, "[{1 king} {-1 man} {1 woman}]"},
		{[]string{"king", "-", "man", "+", "woman"}, "[{1 king} {-1 man} {1 woman}]"},
		{[]string{"- man", "+ woman"}, "[{-1 man} {1 woman}]"},
		{[]string{"king − man"}, "[{1 king} {-1 man}]"},
		{[]string{" New York", "-", "a-b"}, "[{1  New York} {-1 a-b}]"},
		{[]string{"king", "queen"}, "[]"},
		{[]string{" -", "a+b"}, "[]"},
		{nil, "[]"},
	} {
		if got, err := inspect.ParseSum(c.arguments); err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%q: %v, %v; expected %s", c.arguments, got, err, c.want)
		}
	}
	for _, arguments := range [][]string{{"-"}, {"a", "+"}, {"a + - b"}, {"a b + c"}, {"+ + a"}} {
		_, err := inspect.ParseSum(arguments)
		wantUser(t, err)
	}
}

// TestEmbedErrors asks for what cannot be had.
func TestEmbedErrors(t *testing.T) {
	in := gpttest.Inspect(t, gpttest.OpenCPU(t))
	long := make([]byte, 1001)
	for _, c := range []struct {
		words []string
		o     inspect.EmbedOptions
	}{
		{nil, inspect.EmbedOptions{}},
		{[]string{""}, inspect.EmbedOptions{}},
		{[]string{"#2048"}, inspect.EmbedOptions{}},
		{[]string{"#-1"}, inspect.EmbedOptions{}},
		{[]string{string(long)}, inspect.EmbedOptions{}},
		{make([]string, 65), inspect.EmbedOptions{}},
		{[]string{"a"}, inspect.EmbedOptions{Matrix: "other"}},
		{[]string{"a"}, inspect.EmbedOptions{Nearest: 101}},
		{[]string{"a"}, inspect.EmbedOptions{Nearest: -1}},
		{[]string{"a"}, inspect.EmbedOptions{On: []string{"he"}}},
		{[]string{"a"}, inspect.EmbedOptions{On: []string{"he", " he"}}},
		{nil, inspect.EmbedOptions{Sum: []inspect.EmbedTerm{{Sign: 1, Word: "he"}, {Sign: -1, Word: " he"}}}},
	} {
		_, err := in.Embed(context.Background(), c.words, c.o)
		wantUser(t, err)
	}
	_, err := random(t, gpttest.OpenCPU(t), model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 24, Context: 8, Vocab: 50}).Embed(context.Background(), []string{"king"}, inspect.EmbedOptions{})
	wantUser(t, err)
	gpttest.WantError(t, err, `word "king"`, "no tokenizer", "0 to 49")
}
