package plot

import (
	"bytes"
	"fmt"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
)

// TestMaps finds the colours of numbers in the middle of their cells, in maps of few
// cells and of more cells than there are dots.
func TestMaps(t *testing.T) {
	small := [][]float64{{2}, {0, 1}, {1, math.NaN(), 2}}
	large := make([][]float64, 2000)
	for i := range large {
		large[i] = make([]float64, i+1)
		for j := range large[i] {
			large[i][j] = 2
		}
	}
	dark := color.RGBA{0, 84, 148, 255}
	white, half := color.RGBA{255, 255, 255, 255}, color.RGBA{128, 170, 202, 255}
	for name, c := range map[string]struct {
		values [][][]float64
		side   vg.Length
		want   map[[2]float64]color.RGBA // at shares of the side, down and to the right
	}{
		"one": {[][][]float64{small}, oneMap, map[[2]float64]color.RGBA{
			{0.17, 0.17}: dark, {0.17, 0.5}: white, {0.5, 0.17}: white, {0.5, 0.5}: half, {0.83, 0.17}: half, {0.83, 0.5}: grey, {0.83, 0.83}: dark}},
		"large":   {[][][]float64{large}, oneMap, map[[2]float64]color.RGBA{{0.6, 0.5}: dark, {0.4, 0.5}: white, {0.9, 0.1}: dark}},
		"several": {[][][]float64{small, nil, large, small}, smallMap, map[[2]float64]color.RGBA{{0.17, 0.17}: dark, {0.5, 0.5}: half}},
	} {
		m := Maps{Title: "all", Titles: []string{"a", "b", "c", "d"}, Values: c.values, High: 2}
		var out bytes.Buffer
		if err := WritePanels(&out, PNG, m); err != nil {
			t.Fatal(err)
		}
		p, err := png.Decode(&out)
		if err != nil {
			t.Fatal(err)
		}
		width, height := m.Size()
		if size := p.Bounds().Size(); math.Abs(float64(size.X)-(width+2*margin).Dots(dpi)) > 2 || math.Abs(float64(size.Y)-(height+2*margin).Dots(dpi)) > 2 {
			t.Errorf("%s: %v dots, expected %v × %v", name, size, width, height)
		}
		for at, want := range c.want {
			x := (margin + vg.Length(at[1])*c.side).Dots(dpi)
			y := (margin + 2*headSize + 2*titleSize + vg.Length(at[0])*c.side).Dots(dpi)
			if got := color.RGBAModel.Convert(p.At(int(x), int(y))); got != want {
				t.Errorf("%s: at %v it is %v, expected %v", name, at, got, want)
			}
		}
	}
	var svg bytes.Buffer
	labels := make([]string, len(large))
	for i := range labels {
		labels[i] = fmt.Sprintf("token-%d", i)
	}
	if err := WritePanels(&svg, SVG, Maps{Title: "<all>", Titles: []string{"a&b"}, Values: [][][]float64{large}, Labels: labels, High: 2}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(svg.String(), ">token-"); n < 80 || n > 130 || n%2 != 0 {
		t.Errorf("%d labels, expected some 50 on each axis", n)
	}
	if s := svg.String(); strings.Count(s, "data:image/png;base64") != 1 || !strings.Contains(s, "&lt;all&gt;") || !strings.Contains(s, "a&amp;b") {
		t.Errorf("%.2000s", s)
	}
}
