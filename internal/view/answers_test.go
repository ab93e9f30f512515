package view

import (
	"bytes"
	"encoding/csv"
	"image"
	"image/png"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"caldera/backend"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
	"caldera/internal/plot"
)

func TestMain(m *testing.M) { os.Exit(devicetest.Main(m)) }

// examples are addresses of each view: every way to ask that gives another kind of
// answer.
var examples = []string{
	"tally", "tally?shape=gpt3",
	"tokens?text=It is a truth, 世界", "tokens?tokens=5,17", "tokens?text=<script>alert(1)</script>",
	"embed?word=lady", "embed?word=Elizabeth&word=Darcy&word=frobnicate&several=mean&on=he,she", "embed?word=mother - she %2B he&matrix=unembedding&nearest=4",
	"next?text=It is a truth universally", "next?text=It is a truth&position=1&temperature=0,0.5&top-k=4&top-p=0.9&min-p=0.01&top=8", "next?tokens=5&top=2",
	"attention?text=It is a truth universally acknowledged", "attention?text=It is a truth&weighted=1&layer=2",
	"attention?text=It is a truth&layer=3&head=1", "attention?text=It is a truth&head=5&position=-1&top=3&skip-first=1", "attention?tokens=5&layer=0&head=0",
	"mlp?text=It is a truth universally acknowledged", "mlp?text=It is a truth&layer=3&position=1&by-length=1&top=12&writes=8",
	"mlp?text=It is a truth&layer=2&neuron=17", "mlp?tokens=5,17&top=1&writes=0",
	"context?first=a large fortune of her own&second=the good fortune to please", "context?first=It is&second=It is a&at=-1&at=1&top=0",
	"context?first=5,17&second=17&ids=1&at=1,0", "context?first=a man&second=<b>man</b>&word=man",
	"lens?text=a single man in possession of a good&positions=3&top=2&off=3.mlp,2.head.1&each=heads",
	"lens?text=a single man in possession of a good&position=3&answer= of&show=lens",
	"lens?text=<script>alert(1)</script>&show=attribution&against=%231", "lens?text=Mr.&show=ablation&each=blocks",
	"forget?text=It is a truth universally acknowledged", "forget?text=It is a truth universally&context=6&predict=10&temperature=1.5&seed=3&top=2", "forget?tokens=5,6&context=1&predict=0",
	"learn?run=testdata/run&text=the author&layer=1&head=1&top=1&steps=13,159,2000", "learn?run=testdata/run&text=the&near=author&top=0", "learn?run=testdata/run&tokens=5&most=1",
}

// within is how far numbers of two backends may be apart. Those of results are at most
// some hundreds, and follow from sums of f32.
const within = 2e-3

// TestAnswers asks every example on the CPU and on a Vulkan device. The numbers must
// agree, and so must pictures; and each answer must be JSON, text that fits, a table and
// a picture.
func TestAnswers(t *testing.T) {
	asked := map[string]bool{}
	answers := map[string]*Answer{} // of the CPU
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		in := gpttest.Inspect(t, b)
		for _, address := range examples {
			t.Run(address, func(t *testing.T) {
				a := answer(t, in, address, Options{})
				asked[a.View] = true
				if got := reflect.TypeOf(a.Result); got != Results[a.View] {
					t.Errorf("it is a %v, and Results has %v for %s", got, Results[a.View], a.View)
				}
				checkForms(t, a)
				before := answers[address]
				if before == nil {
					answers[address] = a
					return
				}
				c, err := compare(before.Result, a.Result)
				if err != nil {
					t.Fatal(err)
				}
				if c.Largest > within || len(c.Others) > 0 {
					t.Errorf("the CPU says otherwise: %+v", c)
				}
				if diff := pictureDifference(t, before, a); diff > 0.001 {
					t.Errorf("%.3g of the picture differs from the CPU's", diff)
				}
			})
		}
	})
	for _, v := range All() {
		if !asked[v.Name] {
			t.Errorf("no example asks %s", v.Name)
		}
	}
}

// checkForms writes an answer in all its forms.
func checkForms(t *testing.T, a *Answer) {
	var out bytes.Buffer
	if err := WriteJSON(&out, a); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
		t.Errorf("JSON: %v, %d lines", err, bytes.Count(out.Bytes(), []byte("\n")))
	}
	for _, columns := range []int{0, 40, 100} {
		for _, color := range []bool{false, true} {
			s := text(t, a, columns, color)
			if !utf8.ValidString(s) || !color && strings.Contains(s, "\x1b") || strings.Contains(s, "%!") {
				t.Errorf("text of %d columns, in colour: %v\n%s", columns, color, s)
			}
		}
	}
	if r, ok := a.Result.(Tabler); ok {
		out.Reset()
		w := csv.NewWriter(&out)
		if err := w.WriteAll(r.Table()); err != nil {
			t.Error(err)
		}
		rows, err := csv.NewReader(&out).ReadAll() // which wants all rows as long as the first
		if err != nil || len(rows) < 2 {
			t.Errorf("a table of %d rows, %v", len(rows), err)
		}
	}
}

// picture is what the answer draws, nil if it draws nothing.
func picture(t *testing.T, a *Answer) image.Image {
	d, ok := a.Result.(Drawer)
	if !ok {
		return nil
	}
	var svg, out bytes.Buffer
	if err := d.Draw(&svg, plot.SVG); err != nil || !strings.Contains(svg.String(), "</svg>") {
		t.Errorf("SVG: %v", err)
	}
	if err := d.Draw(&out, plot.PNG); err != nil {
		t.Fatal(err)
	}
	p, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pictureDifference is the share of pixels that differ by more than rounding does.
func pictureDifference(t *testing.T, a, b *Answer) float64 {
	p, q := picture(t, a), picture(t, b)
	if p == nil || q == nil {
		return 0
	}
	if p.Bounds() != q.Bounds() {
		return 1
	}
	n := 0
	for y := range p.Bounds().Dy() {
		for x := range p.Bounds().Dx() {
			r1, g1, b1, _ := p.At(x, y).RGBA()
			r2, g2, b2, _ := q.At(x, y).RGBA()
			far := func(a, b uint32) bool { return max(a, b)-min(a, b) > 3<<8 }
			if far(r1, r2) || far(g1, g2) || far(b1, b2) {
				n++
			}
		}
	}
	return float64(n) / float64(p.Bounds().Dx()*p.Bounds().Dy())
}
