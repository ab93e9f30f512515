//go:build watch && cgo

package watch

import (
	"image"
	"testing"
)

// TestLayout divides pictures of many sizes for many models: nothing lies over another
// thing, and nothing outside, if the picture is not very small.
func TestLayout(t *testing.T) {
	glyph := image.Pt(9, 17)
	for _, size := range []image.Point{{X: 900, Y: 700}, {X: 1280, Y: 800}, {X: 1920, Y: 1080}, {X: 2560, Y: 1440}, {X: 900, Y: 1600}} {
		for _, heads := range []int{1, 6, 12, 32, 64} {
			for _, layers := range []int{1, 6, 12, 48} {
				for _, tokens := range [][2]int{{0, 0}, {0, 1}, {0, 7}, {3, 60}, {900, 1000}} {
					for _, layer := range []int{0, layers / 2, layers - 1} {
						c := contents{size: size, glyph: glyph, first: tokens[0], end: tokens[1], heads: heads, layers: layers, layer: layer, likeliest: likeliest}
						checkLayout(t, c, newLayout(c))
					}
				}
			}
		}
	}
}

func checkLayout(t *testing.T, c contents, l layout) {
	t.Helper()
	rect := func(x list) image.Rectangle {
		return image.Rect(x.at.X, x.at.Y, x.percent+6*c.glyph.X, x.at.Y+x.rows*x.pitch)
	}
	line := func(at image.Point) image.Rectangle {
		return image.Rectangle{at, at.Add(image.Pt(20*c.glyph.X, c.glyph.Y))}
	}
	names := func(r image.Rectangle) image.Rectangle { // with what is written beside it
		r.Min.X -= (nameColumns + 1) * c.glyph.X
		return r
	}
	columns := image.Rect(l.cells.Min.X, l.cells.Min.Y-nameColumns*c.glyph.X, l.cells.Max.X, l.cells.Min.Y)
	all := []struct {
		name string
		in   image.Rectangle
	}{
		{"story", l.story}, {"map's title", line(l.mapTitle)}, {"columns", columns}, {"map", names(l.cells)},
		{"heads' title", line(l.headsTitle)}, {"heads", names(l.heads)}, {"next's title", line(l.nextTitle)}, {"next", rect(l.next)},
		{"lens' title", line(l.lensTitle)}, {"lens", rect(l.lens)}, {"status", line(l.status)}, {"help", line(l.help)},
	}
	for i, a := range all {
		if !a.in.In(image.Rectangle{Max: c.size}) {
			t.Errorf("%+v: %s %v lies outside", c, a.name, a.in)
		}
		for _, b := range all[:i] {
			if a.in.Overlaps(b.in) {
				t.Errorf("%+v: %s %v lies over %s %v", c, a.name, a.in, b.name, b.in)
			}
		}
	}
	rows, columnsShown := l.to-l.from, l.to-l.columns
	if l.to != c.end || l.from < c.first || l.columns < 0 || (rows == 0) != (c.end == c.first) || columnsShown < rows || rows < min(c.end-c.first, 5) {
		t.Errorf("%+v: positions %d to %d are rows, from %d on columns", c, l.from, l.to, l.columns)
	}
	if at := c.layer + 1; at < l.lensFrom || at >= l.lensFrom+l.vectors || l.lensFrom+l.vectors > c.layers+1 || l.next.rows < 3 {
		t.Errorf("%+v: the lens shows %d vectors from %d on, and %d next tokens", c, l.vectors, l.lensFrom, l.next.rows)
	}
	if rows > 0 {
		for head := range c.heads {
			if got := l.headAt(l.heads.Min.Add(image.Pt(1, head*l.headHeight+1))); got != head {
				t.Errorf("%+v: head %d is found as %d", c, head, got)
			}
		}
	}
	for i := range l.vectors {
		if got := l.blockAt(image.Pt(l.lens.bar, l.lens.at.Y+i*l.lens.pitch+1)); got != l.lensFrom+i-1 {
			t.Errorf("%+v: row %d of the lens is block %d", c, i, got)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}
