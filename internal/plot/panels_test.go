package plot

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"
)

// drawn is a picture of panels as PNG, and the texts of it as SVG.
func drawn(t *testing.T, panels ...Panel) (image.Image, string) {
	t.Helper()
	var svg, out bytes.Buffer
	if err := WritePanels(&svg, SVG, panels...); err != nil {
		t.Fatal(err)
	}
	if err := WritePanels(&out, PNG, panels...); err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range texts.FindAllStringSubmatch(svg.String(), -1) {
		list = append(list, m[2])
	}
	return picture, strings.Join(list, "|")
}

// dots counts those of a colour.
func dots(p image.Image, c color.RGBA) (n int) {
	r, g, b, _ := c.RGBA()
	for y := range p.Bounds().Dy() {
		for x := range p.Bounds().Dx() {
			if r2, g2, b2, _ := p.At(x, y).RGBA(); r2 == r && g2 == g && b2 == b {
				n++
			}
		}
	}
	return n
}

var map23 = Heat{Title: "a map", X: "over", Y: "up", High: 2, Rows: []string{"top", "bottom"}, Columns: []string{"one", "two", "a label that is much too long"},
	Values: [][]float64{{2, -2, math.NaN()}, {0, 9, -9}}}

// TestHeat has as many cells of each colour as there are numbers for it.
func TestHeat(t *testing.T) {
	p, words := drawn(t, map23)
	cell := 0
	for c, n := range map[color.RGBA]int{grey: 1, blue: 2, red: 2} {
		switch got := dots(p, c) / n; {
		case cell == 0:
			cell = got
		case math.Abs(float64(got-cell)) > 0.02*float64(cell):
			t.Errorf("%d dots of %v for each of %d cells, of another %d", got, c, n, cell)
		}
	}
	if cell < 1000 {
		t.Errorf("a cell has %d dots", cell)
	}
	for _, want := range []string{"a map", "over", "up", "top", "bottom", "one", "two", "a label that …"} {
		if !strings.Contains(words, want) {
			t.Errorf("%q is not in %q", want, words)
		}
	}
	written := map23
	written.Cells = [][]string{{"2", "-2", ""}, {"0", "nine", "-9"}}
	if _, words := drawn(t, written); !strings.Contains(words, "nine") {
		t.Errorf("the cells have %q", words)
	}
	if c, dark := map23.colour(1); c != (color.RGBA{128, 170, 202, 255}) || dark {
		t.Errorf("half of the darkest is %v, %v", c, dark)
	}
	if c, dark := (Heat{}).colour(1); c != (color.RGBA{255, 255, 255, 255}) || dark {
		t.Errorf("without a range it is %v, %v", c, dark)
	}
}

// TestBars has a bar for each number, as long as it says, on its side of 0.
func TestBars(t *testing.T) {
	b := Bars{Title: "bars", X: "nats", Labels: []string{"a", "b", "c", "d"}, Values: []float64{2, -1, math.NaN(), math.Inf(1)}}
	p, words := drawn(t, b)
	right, left := dots(p, SkyBlue), dots(p, Vermillion)
	if ratio := float64(right) / float64(left); math.Abs(ratio-2) > 0.05 || left < 1000 {
		t.Errorf("%d dots to the right and %d to the left, expected twice as many", right, left)
	}
	if !strings.Contains(words, "bars") || !strings.Contains(words, "nats") || strings.Count(words, "NaN") > 0 {
		t.Errorf("%q", words)
	}
	for _, values := range [][]float64{nil, {0}, {math.NaN()}, {math.Inf(-1), math.Inf(1)}} {
		drawn(t, Bars{Labels: make([]string, len(values)), Values: values})
	}
	for _, high := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -5} {
		drawn(t, Bars{Labels: []string{"a"}, Values: []float64{1}, High: high})
	}
}

// TestPanels has all panels below one another, in a picture that has room for them.
func TestPanels(t *testing.T) {
	b := Bars{Labels: []string{"a"}, Values: []float64{1}}
	one, _ := drawn(t, b)
	other, _ := drawn(t, map23)
	both, words := drawn(t, b, map23)
	if dots(both, SkyBlue) != dots(one, SkyBlue) || dots(both, red) != dots(other, red) || !strings.Contains(words, "a map") {
		t.Error("a panel is not there as it is alone")
	}
	size, first, second := both.Bounds().Size(), one.Bounds().Size(), other.Bounds().Size()
	if size.X != max(first.X, second.X) || size.Y < first.Y+second.Y-2*int(2*margin.Dots(dpi)) {
		t.Errorf("it is %v, of %v and %v", size, first, second)
	}
}
