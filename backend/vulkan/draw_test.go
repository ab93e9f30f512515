//go:build cgo

package vulkan

import (
	"errors"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"caldera/backend"
)

// canvas is a picture that a test draws, on a device and on the host.
type canvas struct {
	t      *testing.T
	b      *Backend
	pixels backend.Tensor
	w, h   int
	want   []uint32
}

func newCanvas(t *testing.T, b *Backend, w, h int) *canvas {
	c := &canvas{t: t, b: b, pixels: c32(t, b, backend.I32, h, w), w: w, h: h, want: make([]uint32, w*h)}
	c.fill(image.Rect(0, 0, w, h), 0xff102030)
	return c
}

// c32 is a new tensor with numbers of 32 bits.
func c32(t *testing.T, b *Backend, d backend.DType, dims ...int) backend.Tensor {
	t.Helper()
	x, err := backend.New(b, d, dims...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Buf.Free)
	return x
}

func floats(t *testing.T, b *Backend, values []float32, dims ...int) backend.Tensor {
	t.Helper()
	x := c32(t, b, backend.F32, dims...)
	if err := backend.SetF32(b, x, values); err != nil {
		t.Fatal(err)
	}
	return x
}

func ints(t *testing.T, b *Backend, values []int32, dims ...int) backend.Tensor {
	t.Helper()
	x := c32(t, b, backend.I32, dims...)
	if err := backend.SetI32(b, x, values); err != nil {
		t.Fatal(err)
	}
	return x
}

func (c *canvas) draw(d ...Drawing) {
	c.t.Helper()
	if err := c.b.Draw(c.pixels, d...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *canvas) fill(in image.Rectangle, word uint32) {
	c.t.Helper()
	c.draw(Fill{in, word})
	c.expect(in, word)
}

// expect fills a rectangle of what is wanted.
func (c *canvas) expect(in image.Rectangle, word uint32) {
	in = in.Intersect(image.Rect(0, 0, c.w, c.h))
	for y := in.Min.Y; y < in.Max.Y; y++ {
		for x := in.Min.X; x < in.Max.X; x++ {
			c.want[y*c.w+x] = word
		}
	}
}

// check compares the picture with what is wanted: no channel differs by more than levels.
func (c *canvas) check(what string, levels int) {
	c.t.Helper()
	have := make([]int32, c.w*c.h)
	if err := backend.GetI32(c.b, c.pixels, have); err != nil {
		c.t.Fatal(err)
	}
	wrong := 0
	for i, w := range c.want {
		for shift := 0; shift < 32; shift += 8 {
			a, b := int(uint32(have[i])>>shift&0xff), int(w>>shift&0xff)
			if a-b > levels || b-a > levels {
				if wrong++; wrong < 5 {
					c.t.Errorf("%s: pixel %d, %d is %08x, expected %08x", what, i%c.w, i/c.w, uint32(have[i]), w)
				}
				break
			}
		}
	}
	if wrong > 0 {
		c.t.Errorf("%s: %d pixels of %d are wrong", what, wrong, len(have))
	}
}

// gray is a colour table: index i has channels of i, NaN is magenta.
func gray(t *testing.T, b *Backend) backend.Tensor {
	colors := make([]int32, CellColors)
	for i := range colors {
		colors[i] = int32(-1<<24 | i*0x10101)
	}
	colors[256] = -0xff01 // 0xffff00ff
	return ints(t, b, colors, CellColors)
}

func grayOf(v float32) uint32 {
	if v != v {
		return 0xffff00ff
	}
	return 0xff<<24 | uint32(255*math.Sqrt(float64(min(max(v, 0), 1)))+0.5)*0x10101
}

// TestDraw holds every drawing to the same one made on the host.
func TestDraw(t *testing.T) {
	t.Parallel()
	for _, d := range []struct{ name, driver string }{{"lavapipe", lavapipe}, {"swiftshader", swiftshader}} {
		t.Run(d.name, func(t *testing.T) {
			b := openTest(t, d.driver, nil)
			c := newCanvas(t, b, 203, 131)
			testFill(c)
			testCells(t, c)
			testBars(t, c)
			testText(t, c)
		})
	}
}

func testFill(c *canvas) {
	c.fill(image.Rect(10, 20, 60, 21), 0xffaabbcc)
	c.fill(image.Rect(-5, 100, 400, 400), 0xff00ff00)
	c.fill(image.Rect(190, -10, 300, 50), 0xff0000ff)
	c.fill(image.Rect(300, 300, 310, 310), 0xffffffff) // outside
	c.check("Fill", 0)
}

func testCells(t *testing.T, c *canvas) {
	const rows, columns = 9, 14
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, rows*columns)
	for i := range values {
		values[i] = r.Float32()
	}
	values[0], values[1], values[2], values[3] = float32(math.NaN()), -1, 7, float32(math.Inf(1))
	x, colors := floats(t, c.b, values, rows, columns), gray(t, c.b)
	at := func(i, j int) float32 { return values[i*columns+j] }

	for _, p := range []struct {
		x          backend.Tensor
		at         func(i, j int) float32
		origin     image.Point
		cell       image.Point
		gap        int
		rows, cols int
	}{
		{x, at, image.Pt(3, 4), image.Pt(7, 5), 1, rows, columns},
		{x.Transpose(), func(i, j int) float32 { return at(j, i) }, image.Pt(110, 60), image.Pt(3, 4), 0, columns, rows},
		{x.Slice(-1, 3, 9).Slice(-2, 2, 9), func(i, j int) float32 { return at(i+2, j+3) }, image.Pt(0, 70), image.Pt(9, 8), 2, 7, 6},
		{x, at, image.Pt(150, 100), image.Pt(10, 10), 3, 3, 5}, // what is inside
	} {
		c.draw(Cells{At: p.origin, Cell: p.cell, Gap: p.gap, Values: p.x, Colors: colors})
		for i := range p.rows {
			for j := range p.cols {
				from := p.origin.Add(image.Pt(j*p.cell.X, i*p.cell.Y))
				c.expect(image.Rectangle{from, from.Add(p.cell).Sub(image.Pt(p.gap, p.gap))}, grayOf(p.at(i, j)))
			}
		}
	}
	c.check("Cells", 1)
}

func testBars(t *testing.T, c *canvas) {
	values := []float32{0.25, 1, 0, float32(math.NaN()), 0.5, 2}
	x := floats(t, c.b, values, 2, 3)
	c.fill(image.Rect(0, 0, c.w, c.h), 0xff000000)
	for _, p := range []struct {
		picked Picked
		want   []float32
	}{
		{Picked{x, ints(t, c.b, []int32{0, 2}, 2)}, []float32{0.25, 2}},
		{Picked{x.Slice(-2, 0, 1), ints(t, c.b, []int32{1, 0, 2, -1, 3}, 5)}, []float32{1, 0.25, 0, 0, 0}},
		{Picked{x, ints(t, c.b, []int32{9, 0, 9, 0}, 4).Slice(-1, 1, 3)}, []float32{0.25, 0}},
	} {
		bars := Bars{At: image.Pt(11, 13), Width: 80, Height: 6, Pitch: 10, Color: 0xffffffff, Track: 0xff333333, Picked: p.picked}
		c.draw(bars)
		for i, v := range p.want {
			from := bars.At.Add(image.Pt(0, i*bars.Pitch))
			c.expect(image.Rectangle{from, from.Add(image.Pt(bars.Width, bars.Height))}, bars.Track)
			c.expect(image.Rectangle{from, from.Add(image.Pt(int(80*min(v, 1)), bars.Height))}, bars.Color)
		}
		c.check("Bars", 0)
	}
}

// testFont has glyphs of 5 × 3 pixels: glyph g covers pixel x, y to coverage(g, x, y).
func testFont(t *testing.T, b *Backend) *Font {
	const w, h, n = 5, 3, 20
	atlas := make([]int32, n*AtlasWords(w, h))
	for i := range atlas {
		g, y, word := i/6, i/2%3, i%2
		for x := word * 4; x < min(word*4+4, w); x++ {
			atlas[i] |= int32(coverage(g, x, y) << (x % 4 * 8))
		}
	}
	digits := make([]int32, 14)
	for i := range digits {
		digits[i] = int32(i + 3)
	}
	return &Font{Width: w, Height: h, Atlas: ints(t, b, atlas, n, 6), Digits: ints(t, b, digits, 14)}
}

func coverage(g, x, y int) uint32 { return uint32(g*37+x*50+y*91) % 256 }

// ink is what draws glyphs on the host.
func (c *canvas) ink(at image.Point, turned bool, word uint32, glyphs ...int) {
	for k, g := range glyphs {
		for y := range 3 {
			for x := range 5 {
				p := at.Add(image.Pt(k*5+x, y))
				if turned {
					p = at.Add(image.Pt(y, -k*5-x))
				}
				if !p.In(image.Rect(0, 0, c.w, c.h)) || g < 0 || g >= 20 {
					continue
				}
				a, below, mixed := coverage(g, x, y), &c.want[p.Y*c.w+p.X], uint32(0xff<<24)
				for shift := 0; shift < 24; shift += 8 {
					mixed |= ((*below>>shift&0xff)*(255-a) + (word>>shift&0xff)*a + 127) / 255 << shift
				}
				*below = mixed
			}
		}
	}
}

func testText(t *testing.T, c *canvas) {
	font := testFont(t, c.b)
	c.fill(image.Rect(0, 0, c.w, c.h), 0xff204060)
	long := make([]int32, 50)
	for i := range long {
		long[i] = int32(i % 21)
	}
	list := []Label{
		{image.Pt(3, 5), 0xffffeedd, []int32{0, 1, 2, 19}, false},
		{image.Pt(-7, 20), 0xff11aa33, long, false}, // to the left and right of the picture
		{image.Pt(100, 129), 0xff998877, []int32{4, 5, 25, -1, 6}, false},
		{image.Pt(60, 90), 0xffffffff, []int32{7, 8, 9}, true},
		{image.Pt(80, 12), 0xffffffff, []int32{7, 8, 9, 10}, true},
		{image.Pt(10, 10), 0xffffffff, nil, false},
	}
	c.draw(Labels{font, list})
	for _, l := range list {
		var glyphs []int
		for _, g := range l.Glyphs {
			glyphs = append(glyphs, int(g))
		}
		c.ink(l.At, l.Turned, l.Color, glyphs...)
	}
	c.check("Labels", 0)

	table := ints(t, c.b, []int32{1, 2, 3, 4, 5, 6}, 3, 2)
	c.draw(Names{Font: font, At: image.Pt(30, 40), Pitch: 5, Color: 0xffeeeeee, Table: table, IDs: ints(t, c.b, []int32{2, 0, 1, 3}, 4)})
	for i, glyphs := range [][]int{{5, 6}, {1, 2}, {3, 4}, {0, 0}} {
		c.ink(image.Pt(30, 40+5*i), false, 0xffeeeeee, glyphs...)
	}
	c.check("Names", 0)

	values := floats(t, c.b, []float32{0.9996, 0.0004, 0.123, 1, 0, float32(math.NaN())}, 6)
	c.draw(Percents{Font: font, At: image.Pt(120, 40), Pitch: 5, Color: 0xffeeeeee,
		Picked: Picked{values, ints(t, c.b, []int32{0, 1, 2, 3, 4, 5, 6}, 7)}})
	for i, number := range []string{"100.0%", "  0.0%", " 12.3%", "100.0%", "  0.0%", "?????%", "?????%"} {
		var glyphs []int
		for _, r := range number {
			glyphs = append(glyphs, 3+strings.IndexRune("0123456789.% ?", r))
		}
		c.ink(image.Pt(120, 40+5*i), false, 0xffeeeeee, glyphs...)
	}
	c.check("Percents", 0)

	many := make([]Label, 3000) // more than one dispatch takes
	for i := range many {
		many[i] = Label{image.Pt(i%40*5, i/40), 0xff000000 | uint32(i), []int32{int32(i % 20)}, false}
	}
	for i := range many {
		many[i].At.Y *= 3
		c.ink(many[i].At, false, many[i].Color, i%20)
	}
	c.draw(Labels{font, many})
	c.check("many Labels", 0)
}

// TestDrawRefuses what does not fit together.
func TestDrawRefuses(t *testing.T) {
	t.Parallel()
	b := openTest(t, lavapipe, nil)
	c := newCanvas(t, b, 20, 20)
	x, ids := floats(t, b, make([]float32, 6), 2, 3), ints(t, b, make([]int32, 2), 2)
	font := testFont(t, b)
	for want, d := range map[string]Drawing{
		"expected f32 [rows, columns]":       Cells{Values: ids, Colors: gray(t, b), Cell: image.Pt(1, 1)},
		"expected contiguous i32 [257]":      Cells{Values: x, Colors: ids, Cell: image.Pt(1, 1)},
		"expected at least one pixel and no": Cells{Values: x, Colors: gray(t, b)},
		"expected i32 [rows]":                Bars{Width: 1, Height: 1, Pitch: 1, Picked: Picked{x, x}},
		"expected f32 [2, n] or [n]":         Percents{Font: font, Picked: Picked{ids, ids}},
		"a pitch of that height":             Bars{Width: 1, Height: 2, Pitch: 1, Picked: Picked{x, ids}},
		"expected contiguous i32 [ids,":      Names{Font: font, IDs: ids, Table: x},
		"the atlas of glyphs":                Names{Font: &Font{5, 4, font.Atlas, font.Digits}, IDs: ids, Table: ids},
		"the glyphs of digits":               Labels{&Font{5, 3, font.Atlas, ids}, []Label{{Glyphs: []int32{1}}}},
	} {
		if err := b.Draw(c.pixels, d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, expected %q", d, err, want)
		}
	}
	if err := b.Draw(x); err == nil || !strings.Contains(err.Error(), "expected contiguous i32 [height, width]") {
		t.Errorf("drawing into f32: %v", err)
	}
	for what, err := range map[string]error{
		"Present":    func() error { _, err := b.Present(c.pixels); return err }(),
		"WindowSize": func() error { _, err := b.WindowSize(image.Pt(1, 1)); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "opened without a window") {
			t.Errorf("%s without a window: %v", what, err)
		}
	}
	if w := b.Pixel(color.RGBA{1, 2, 3, 4}); w != 0xff010203 {
		t.Errorf("a pixel is %08x", w)
	}
}

// TestDrawTooLarge draws into a picture that no binding of a small device takes.
func TestDrawTooLarge(t *testing.T) {
	t.Parallel()
	b := openTest(t, lavapipe, func(l *Limits) { l.BindingRange = 256 << 10 })
	pixels := c32(t, b, backend.I32, 257, 256)
	err := b.Draw(pixels, Fill{image.Rect(0, 0, 1, 1), 1})
	if err == nil || !strings.Contains(err.Error(), "256 × 257 pixels has 257.0 KiB") || !strings.Contains(err.Error(), "make it smaller") {
		t.Errorf("%v, expected an error that tells both sizes", err)
	}
}

// TestSurfaceRefused opens devices for windows that there are not, under validation.
func TestSurfaceRefused(t *testing.T) {
	t.Parallel()
	refused := errors.New("this desktop has no windows")
	for want, s := range map[string]*Surface{
		refused.Error():      {Create: func(uintptr) (uintptr, error) { return 0, refused }},
		"VK_KHR_no_such_one": {Extensions: []string{"VK_KHR_surface", "VK_KHR_no_such_one"}},
	} {
		b, err := Open(Options{Device: index(t, lavapipe), Validation: true, Surface: s, OnMessage: func(text string) { t.Error(text) }})
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}
