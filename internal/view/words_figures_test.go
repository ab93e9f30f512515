package view

import (
	"fmt"
	"math"
	"testing"

	"caldera/inspect"
	"caldera/internal/gpttest"
)

// word is the address of a token by its id.
func word(id int32) string { return fmt.Sprintf("%%23%d", id) }

// figuresNear fails unless each number is within 1e-5 of its figure, relative to 1 at
// least.
func figuresNear(t *testing.T, what string, got []inspect.Float, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, expected %d", what, len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= 1e-5*max(1, math.Abs(float64(w)))) {
			t.Errorf("%s: number %d is %v, expected %v", what, i, got[i], w)
		}
	}
}

// TestNextFigures holds the JSON to PyTorch's figures.
func TestNextFigures(t *testing.T) {
	eachFigures(t, func(t *testing.T, in *inspect.Inspector, ids string, _, figures gpttest.Figures) {
		temperatures := figures.Floats(t, "next.temperatures")
		want, probs := figures.Ints(t, "next.ids"), figures.Floats(t, "next.probabilities")
		shape := figures.Shape("next.ids") // temperature, time, likeliest
		for at := range shape[1] {
			var got struct{ Result inspect.Next }
			jsonOf(t, in, fmt.Sprintf("next?tokens=%s&top=%d&position=%d&temperature=%v,%v,%v", ids, shape[2], at, temperatures[0], temperatures[1], temperatures[2]), &got)
			for i, temperature := range got.Result.Temperatures {
				from := (i*shape[1] + at) * shape[2]
				var drawn []inspect.Float
				for j, token := range temperature.Tokens {
					if token.ID != int(want[from+j]) {
						t.Errorf("position %d, temperature %v: token %d is %d, expected %d", at, temperatures[i], j, token.ID, want[from+j])
					}
					drawn = append(drawn, token.Drawn)
				}
				figuresNear(t, "probability", drawn, probs[from:from+shape[2]])
			}
			if at > 0 {
				continue
			}
			var entropy, surprise []inspect.Float
			for i, p := range got.Result.Positions {
				entropy = append(entropy, p.Entropy)
				if p.Next == nil {
					continue
				}
				surprise = append(surprise, p.Surprise)
				if above := figures.Ints(t, "next.rank")[i]; p.Rank != int(above)+1 {
					t.Errorf("position %d: rank %d, and %d tokens are likelier", i, p.Rank, above)
				}
			}
			figuresNear(t, "entropy", entropy, figures.Floats(t, "next.entropy"))
			figuresNear(t, "surprise", surprise, figures.Floats(t, "next.surprise"))
		}
	})
}

// TestEmbedFigures holds the JSON to PyTorch's figures.
func TestEmbedFigures(t *testing.T) {
	eachFigures(t, func(t *testing.T, in *inspect.Inspector, _ string, _, figures gpttest.Figures) {
		vocab := in.Model.Vocab
		nearest := func(what string, list, without []inspect.Neighbour, cosines []float32) {
			t.Helper()
			if len(list)+len(without) != min(vocab, 100+len(without)) {
				t.Errorf("%s: %d neighbours and %d left out", what, len(list), len(without))
			}
			for i, n := range append(list, without...) {
				figuresNear(t, what, []inspect.Float{n.Cosine}, cosines[n.ID:n.ID+1])
				if i > 0 && i < len(list) && n.Cosine > list[i-1].Cosine {
					t.Errorf("%s: %v after %v", what, n, list[i-1])
				}
			}
		}
		for i, id := range figures.Ints(t, "embed.tokens") {
			var got struct{ Result inspect.Embed }
			jsonOf(t, in, fmt.Sprintf("embed?nearest=100&word=%s", word(id)), &got)
			self := []inspect.Neighbour{{Token: got.Result.Words[0].Tokens[0], Cosine: 1}}
			nearest("cosine", got.Result.Words[0].Nearest, self, figures.Floats(t, "embed.cosines")[i*vocab:(i+1)*vocab])
		}
		d := figures.Ints(t, "embed.direction")
		var got struct{ Result inspect.Embed }
		address := fmt.Sprintf("embed?nearest=100&word=%s - %s %%2B %s&on=%s,%s", word(d[0]), word(d[1]), word(d[2]), word(d[1]), word(d[0]))
		jsonOf(t, in, address, &got)
		sum := got.Result.Sum
		nearest("cosine of the sum", sum.Nearest, sum.Excluded, figures.Floats(t, "embed.direction.cosines"))
		// The ten nearest with the words of the sum among them, by their ranks.
		for _, n := range append(sum.Nearest, sum.Excluded...) {
			if ten := figures.Ints(t, "embed.direction.nearest"); n.Rank <= len(ten) && int(ten[n.Rank-1]) != n.ID {
				t.Errorf("%d has rank %d, where PyTorch has %d", n.ID, n.Rank, ten[n.Rank-1])
			}
		}
		address = "embed?nearest=0&on=" + word(d[1]) + "," + word(d[0])
		for _, id := range figures.Ints(t, "embed.projected") {
			address += "&word=" + word(id)
		}
		got.Result = inspect.Embed{}
		jsonOf(t, in, address, &got)
		var lengths []inspect.Float
		for _, p := range got.Result.Direction.Projections {
			lengths = append(lengths, p.Length)
		}
		figuresNear(t, "projection", lengths, figures.Floats(t, "embed.projections"))
		testMapFigures(t, in, figures)
	})
}

// testMapFigures compares maps, of which each axis may have the other sign: ours begins
// with a positive number.
func testMapFigures(t *testing.T, in *inspect.Inspector, figures gpttest.Figures) {
	address := "embed?nearest=0"
	for _, id := range figures.Ints(t, "embed.map") {
		address += "&word=" + word(id)
	}
	var got struct{ Result inspect.Embed }
	jsonOf(t, in, address, &got)
	m, points := got.Result.Map, figures.Floats(t, "embed.map.points")
	var sign [2]float64
	for axis := range sign {
		sign[axis] = 1
		if points[axis] < 0 {
			sign[axis] = -1
		}
	}
	var x, y []inspect.Float
	var wantX, wantY []float32
	for i, p := range m.Points {
		x, y = append(x, p.X), append(y, p.Y)
		wantX, wantY = append(wantX, float32(sign[0])*points[2*i]), append(wantY, float32(sign[1])*points[2*i+1])
	}
	figuresNear(t, "x", x, wantX)
	figuresNear(t, "y", y, wantY)
	figuresNear(t, "share of the variance", m.Explained[:], figures.Floats(t, "embed.map.share"))
}
