package plot

import (
	"bytes"
	"image/png"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

func TestFormatOf(t *testing.T) {
	for path, want := range map[string]Format{"": SVG, "a": SVG, "a.svg": SVG, "x.png/a.SVG": SVG, "a.b.png": PNG, "A.PNG": PNG, "a.pdf": "", "a.svg.gz": "", "a.": ""} {
		if got, err := FormatOf(path); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; expected %q", path, got, err, want)
		}
	}
}

// TestSteps sees whole numbers alone, a handful with labels, whatever the range.
func TestSteps(t *testing.T) {
	for _, r := range [][2]float64{{0, 1}, {0, 2}, {0, 3}, {0, 7}, {0, 10}, {0, 16}, {1, 25}, {3, 4}, {0, 99}, {250, 2000}, {0, 5000}, {-0.5, 0.5}, {-0.1, 10.2}, {0, 6e5}, {1e6, 1e6 + 3}, {0, 1 << 53}, {1 << 52, 1<<52 + 9}} {
		labels, last := 0, math.Inf(-1)
		for _, tick := range (Steps{}).Ticks(r[0], r[1]) {
			if tick.Value != math.Trunc(tick.Value) || tick.Value <= last || tick.Value < r[0] || tick.Value > r[1] {
				t.Errorf("%v: a tick at %v after one at %v", r, tick.Value, last)
			}
			last = tick.Value
			if tick.Label != "" {
				labels++
				if strings.Trim(tick.Label, "0123456789") != "" {
					t.Errorf("%v: the label %q", r, tick.Label)
				}
			}
		}
		if least := min(2, int(r[1]-r[0])); labels < least || labels > maxLabels {
			t.Errorf("%v: %d labels, expected %d to %d", r, labels, least, maxLabels)
		}
	}
	for _, r := range [][2]float64{{math.NaN(), 1}, {0, math.Inf(1)}, {2, 1}, {1e300, 1e301}} {
		if ticks := (Steps{}).Ticks(r[0], r[1]); len(ticks) != 0 {
			t.Errorf("%v: %v, expected no ticks", r, ticks)
		}
	}
}

func paint(t *testing.T, points plotter.XYs) func(draw.Canvas) {
	t.Helper()
	p := New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = "Title & more", "step", "loss"
	line, err := plotter.NewLine(points)
	if err != nil {
		t.Fatal(err)
	}
	p.Add(line)
	p.Legend.Add("training", line)
	WholeX(p)
	return p.Draw
}

// texts are those of an SVG, with the font family that each names.
var texts = regexp.MustCompile(`(?s)<text [^>]*font-family:([^;]*);[^>]*>([^<]*)</text>`)

// TestSVG has a font that is in the file, and names others that a viewer has who
// does not read it.
func TestSVG(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, SVG, 4*vg.Inch, 3*vg.Inch, paint(t, plotter.XYs{{X: 1, Y: 2}, {X: 2, Y: 1}})); err != nil {
		t.Fatal(err)
	}
	svg := out.String()
	if n := strings.Count(svg, "@font-face"); n != 1 || !strings.Contains(svg, `font-family:"Liberation Sans";`) || !strings.Contains(svg, "src: url(data:font/ttf;charset=utf-8;base64,AAEAAAA") {
		t.Errorf("%d fonts are embedded, expected Liberation Sans alone", n)
	}
	var steps []string
	found := texts.FindAllStringSubmatch(svg, -1)
	for _, m := range found {
		if m[1] != "'Liberation Sans',Arimo,Arial,Helvetica,sans-serif" {
			t.Errorf("%q is in %s", m[2], m[1])
		}
		steps = append(steps, m[2])
	}
	if got := strings.Join(steps, " "); !strings.Contains(got, "1 2") || strings.Contains(got, "1.5 2.0 1") || !strings.Contains(got, "training") || !strings.Contains(got, "Title &amp; more") {
		t.Errorf("its texts are %q", got)
	}
}

func TestPNG(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, PNG, 4*vg.Inch, 3*vg.Inch, paint(t, plotter.XYs{{X: 1, Y: 2}, {X: 2, Y: 1}})); err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X != 4*dpi || size.Y != 3*dpi {
		t.Errorf("it is %v, expected %d × %d", size, 4*dpi, 3*dpi)
	}
	dark := 0
	for y := range 3 * dpi {
		for x := range 4 * dpi {
			if r, g, b, a := picture.At(x, y).RGBA(); r+g+b < 0x8000 && a == 0xffff {
				dark++
			}
		}
	}
	if dark < 1000 {
		t.Errorf("%d dots are dark, expected axes and letters", dark)
	}
	if err := Write(io.Discard, PNG, 100*vg.Inch, 100*vg.Inch, func(draw.Canvas) { t.Error("it was drawn") }); err == nil || !strings.Contains(err.Error(), "write it as SVG") {
		t.Errorf("a PNG of 200 million dots: %v", err)
	}
}

// TestNumbers has labels that differ, however near to each other.
func TestNumbers(t *testing.T) {
	for _, r := range [][2]float64{{3.684, 3.6852}, {3.67, 3.69}, {0, 4}, {0.1, 0.9}, {-2, 5}, {0, 1200}, {1.5, 1e6}, {2.00001, 2.00003}, {-0.825, 1.922}} {
		seen, labels := map[string]bool{}, 0
		for _, tick := range (numbers{}).Ticks(r[0], r[1]) {
			if tick.IsMinor() {
				continue
			}
			labels++
			if x, err := strconv.ParseFloat(tick.Label, 64); err != nil || math.Abs(x-tick.Value) > (r[1]-r[0])/1e5 || seen[tick.Label] {
				t.Errorf("%v: %q is the label of %v, err %v", r, tick.Label, tick.Value, err)
			}
			seen[tick.Label] = true
		}
		if labels < 2 {
			t.Errorf("%v: %d labels", r, labels)
		}
	}
}

// TestOneStep has an axis where there is a single step, or none.
func TestOneStep(t *testing.T) {
	p := New()
	WholeX(p)
	var out bytes.Buffer
	for _, x := range []float64{0, 7} {
		out.Reset()
		if err := Write(&out, SVG, 4*vg.Inch, 3*vg.Inch, paint(t, plotter.XYs{{X: x, Y: 2}})); err != nil {
			t.Error(err)
		}
		if strings.Contains(out.String(), ">-1<") {
			t.Error("the axis has a step -1")
		}
	}
}
