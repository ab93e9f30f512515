//go:build watch && cgo

package watch

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/tokenizer"
	"caldera/inspect"
	"caldera/internal/plot"
	"caldera/models"
)

// reference computes in this process, without a window, what the program shows. The
// host reads every value that the model names from the device.
type reference struct {
	*story
	v      *values
	in     *inspect.Inspector
	glyph  image.Point
	text   bytes.Buffer
	rows   [][][][]float32 // [layer][head][position][context], of the last len(rows[0][0]) positions
	hidden [][]float32     // [layers+1][width], of the latest token
	scores []float32
}

func newReference(t *testing.T, text string, size, predict int) *reference {
	t.Helper()
	b, err := vulkan.Open(vulkan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := checkpoint.OpenFS(models.Default(), models.Name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.LoadCheckpoint(t.Context(), b, c, gpt.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.LoadFS(models.Default(), ".")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.EncodePrompt(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: size, Watch: watched})
	if err != nil {
		t.Fatal(err)
	}
	r := &reference{in: inspect.New(m, tok, inspect.Options{})}
	if r.v, err = newValues(b, m, s); err != nil {
		t.Fatal(err)
	}
	font, err := newAlphabet(b, 1, 1, texts{tok})
	if err != nil {
		t.Fatal(err)
	}
	r.glyph = image.Pt(font.Width, font.Height)
	font.close()
	sampling := gpt.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1, RepeatLastN: 64, Seed: seed}
	r.story = newStory(m, texts{tok}, s, ids, gpt.Options{Sampling: sampling, Predict: predict, LogProbs: likeliest, Vocab: tok.VocabSize(), Barred: tok.Holes()}, &r.text)
	t.Cleanup(func() {
		_ = r.story.close()
		r.in.Close()
		r.v.close()
		s.Close()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// step goes on by a token, or by the whole of the prompt but its last token.
func (r *reference) step(t *testing.T) {
	t.Helper()
	for first := true; first || r.reading(); first = false {
		got, err := r.advance(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var top []gpt.TokenProb
		if r.drawn != nil {
			top = r.drawn.Top
		}
		if err := r.v.take(got, top); err != nil {
			t.Fatal(err)
		}
		if got.tokens > 0 {
			r.see(t, got)
		}
	}
}

// see reads what the last step computed.
func (r *reference) see(t *testing.T, got read) {
	t.Helper()
	get := func(x backend.Tensor) []float32 {
		values := make([]float32, x.Len())
		if err := backend.GetF32(r.v.b, x, values); err != nil {
			t.Fatal(err)
		}
		return values
	}
	m, size := r.model, r.session.Size()
	if r.rows == nil || got.anew {
		r.rows = make([][][][]float32, m.Layers)
		for i := range r.rows {
			r.rows[i] = make([][][]float32, m.Heads)
		}
	}
	for layer := range m.Layers {
		probs := r.session.Seen(fmt.Sprintf("blocks.%d.attention.probs", layer))
		for head := range m.Heads {
			for row := range got.tokens {
				x := probs.Slice(1, head, head+1).Slice(2, row, row+1).Slice(3, 0, size)
				r.rows[layer][head] = append(r.rows[layer][head], get(x))
			}
		}
	}
	if first := r.v.end - min(len(r.rows[0][0]), mapRows); r.v.first != first {
		t.Errorf("after %d tokens rows are kept from position %d, expected %d", r.known, r.v.first, first)
	}
	r.hidden = nil
	for i := range m.Layers + 1 {
		x := r.session.Seen(fmt.Sprintf("hidden.%d", i))
		r.hidden = append(r.hidden, get(x.Slice(-2, got.tokens-1, got.tokens)))
	}
	r.scores = get(r.session.Scores())
}

// softmax is computed in float64.
func softmax(scores []float32) []float64 {
	p := make([]float64, len(scores))
	for i, l := range inspect.LogProbs(scores, 1) {
		p[i] = math.Exp(l)
	}
	return p
}

// check compares a picture with the values.
func (r *reference) check(shot *image.RGBA, layer, head int) error {
	l := newLayout(contents{
		size: shot.Bounds().Size(), glyph: r.glyph, first: r.v.first, end: r.v.end,
		heads: r.model.Heads, layers: r.model.Layers, layer: layer, likeliest: likeliest,
	})
	if l.from == l.to || l.next.rows < 3 || l.vectors < r.model.Layers/2 {
		return fmt.Errorf("the layout shows nothing: %+v", l)
	}
	colors := cellColors()
	cell := func(at image.Point, value float32) error {
		i := int(255*math.Sqrt(float64(value)) + 0.5)
		have := shot.RGBAAt(at.X, at.Y)
		for j := max(i-1, 0); j <= min(i+1, 255); j++ {
			if near(have, colors[j], 1) {
				return nil
			}
		}
		return fmt.Errorf("the pixel at %v is %v, and %v is drawn as %v", at, have, value, colors[i])
	}
	from := r.v.end - len(r.rows[0][0]) // position of the first row
	for p := l.from; p < l.to; p++ {
		for c := l.columns; c < l.to; c++ {
			at := l.cells.Min.Add(image.Pt((c-l.columns)*l.cell+l.cell/2-1, (p-l.from)*l.cell+l.cell/2-1))
			if err := cell(at, r.rows[layer][head][p-from][c]); err != nil {
				return fmt.Errorf("row %d, column %d of the map: %w", p, c, err)
			}
		}
	}
	for h := range r.model.Heads {
		last := r.rows[layer][h][len(r.rows[layer][h])-1]
		for c := l.columns; c < l.to; c++ {
			at := l.heads.Min.Add(image.Pt((c-l.columns)*l.cell+l.cell/2-1, h*l.headHeight+l.headHeight/2-1))
			if err := cell(at, last[c]); err != nil {
				return fmt.Errorf("column %d of head %d: %w", c, h, err)
			}
		}
	}
	if r.drawn != nil {
		probs := softmax(r.scores)
		for i, top := range r.drawn.Top[:l.next.rows] {
			if err := bar(shot, l.next, i, probs[top.ID]); err != nil {
				return fmt.Errorf("next token %d: %w", i, err)
			}
		}
	}
	return r.checkLens(shot, l)
}

// checkLens holds the lens to the scores that package inspect gives to the vectors that
// the host has read.
func (r *reference) checkLens(shot *image.RGBA, l layout) error {
	return r.in.Scores(context.Background(), slices.Concat(r.hidden...), func(row int, scores []float32) error {
		if row < l.lensFrom || row >= l.lensFrom+l.vectors {
			return nil
		}
		if err := bar(shot, l.lens, row-l.lensFrom, slices.Max(softmax(scores))); err != nil {
			return fmt.Errorf("lens after %d blocks: %w", row, err)
		}
		return nil
	})
}

// bar checks how long a bar is.
func bar(shot *image.RGBA, l list, row int, value float64) error {
	y, have := l.at.Y+row*l.pitch+l.pitch/2, 0
	for x := range l.barWidth {
		if near(shot.RGBAAt(l.bar+x, y), plot.SkyBlue, 1) {
			have++
		}
	}
	if want := value * float64(l.barWidth); math.Abs(float64(have)-want) > 1 {
		return fmt.Errorf("the bar has %d pixels, and %v of %d is %.1f", have, value, l.barWidth, want)
	}
	return nil
}

func near(a, b color.RGBA, levels int) bool {
	off := func(x, y uint8) bool { return int(x)-int(y) > levels || int(y)-int(x) > levels }
	return !off(a.R, b.R) && !off(a.G, b.G) && !off(a.B, b.B)
}
