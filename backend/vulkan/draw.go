//go:build cgo

package vulkan

import (
	"fmt"
	"image"

	"caldera/backend"
	"caldera/shaders"
)

// Drawing is something that [Backend.Draw] can draw into a picture: one of [Fill],
// [Cells], [Bars], [Labels], [Names] and [Percents]. What they show is read by the
// device from tensors in its own memory. Colours are words as [Backend.Pixel] returns
// them. Points are pixels from the top left of the picture.
type Drawing interface {
	draw(e *encoder, p *picture) error
}

// picture is what is drawn into: i32 [height, width], contiguous.
type picture struct {
	pixels backend.Tensor
	bounds image.Rectangle
}

// Draw draws into a picture, pixels, i32 [height, width], contiguous: the first drawing
// first. Where a drawing does not fit into the picture, what is outside is left out.
func (b *Backend) Draw(pixels backend.Tensor, drawings ...Drawing) error {
	if err := b.ready(); err != nil {
		return err
	}
	if pixels.DType != backend.I32 || pixels.Dim(0)*pixels.Dim(1) != 1 || !pixels.Contiguous() {
		return wrapError("Draw into %v: expected contiguous i32 [height, width]", pixels)
	}
	if n := uint64(pixels.Size()); n > b.limits.BindingRange {
		return wrapError("a picture of %d × %d pixels has %s, and this device can draw into at most %s: make it smaller",
			pixels.Dim(-1), pixels.Dim(-2), bytesString(n), bytesString(b.limits.BindingRange))
	}
	p := &picture{pixels, image.Rect(0, 0, pixels.Dim(-1), pixels.Dim(-2))}
	err := b.encode(func(e *encoder) error {
		for i, d := range drawings {
			e.index, e.name = i, fmt.Sprintf("%T", d)
			if err := d.draw(e, p); err != nil {
				return fmt.Errorf("drawing %d (%T): %w", i, d, err)
			}
		}
		return nil
	})
	if err == nil {
		err = b.validationError()
	}
	if err != nil {
		return wrapError("%w", err)
	}
	return nil
}

// from binds the picture, and returns the offset of a pixel, which must be inside.
func (p *picture) from(e *encoder, at image.Point) (binding, uint32) {
	dst, base := e.operand(p.pixels, backend.Update)
	return dst, base + uint32(at.Y*p.bounds.Dx()+at.X)
}

func (p *picture) stride() uint32 { return uint32(p.bounds.Dx()) }

// drawLanes is the size of a workgroup of the drawings' shaders.
const drawLanes = 64

// Fill draws a rectangle in one colour.
type Fill struct {
	In    image.Rectangle
	Color uint32
}

func (d Fill) draw(e *encoder, p *picture) error {
	in := d.In.Intersect(p.bounds)
	if in.Empty() {
		return nil
	}
	dst, at := p.from(e, in.Min)
	return e.dispatch(pipelineSpec{variant: shaders.Find("draw_fill", ""), spec: shaders.Workgroup{Lanes: drawLanes}},
		shaders.DrawFillPush{Dst: at, Stride: p.stride(), Width: uint32(in.Dx()), Height: uint32(in.Dy()), Color: d.Color},
		[3]uint32{e.groups(0, in.Dx(), drawLanes), e.groups(1, in.Dy(), 1), 1}, dst)
}

// CellColors is the number of colours of [Cells].
const CellColors = 257

// Cells draws a matrix of values from 0 to 1, a rectangle of one colour a value.
type Cells struct {
	At     image.Point    // top left corner of the first cell
	Cell   image.Point    // size of a cell with the gap
	Gap    int            // on the right of a cell and below it, where the picture stays as it is
	Values backend.Tensor // f32 [rows, columns]

	// Colors, i32 [CellColors]: a value has the colour of index round(255 · √value),
	// because most of what attention gives is small. The last colour is that of NaN.
	Colors backend.Tensor
}

func (d Cells) draw(e *encoder, p *picture) error {
	v := d.Values
	switch {
	case v.DType != backend.F32 || v.Dim(0)*v.Dim(1) != 1:
		return fmt.Errorf("values are %v, expected f32 [rows, columns]", v)
	case d.Colors.DType != backend.I32 || d.Colors.Len() != CellColors || !d.Colors.Contiguous():
		return fmt.Errorf("colours are %v, expected contiguous i32 [%d]", d.Colors, CellColors)
	case d.Cell.X < 1 || d.Cell.Y < 1 || d.Gap < 0:
		return fmt.Errorf("cells of %v pixels with gaps of %d, expected at least one pixel and no negative gap", d.Cell, d.Gap)
	}
	// Whole cells that are inside.
	rows := min(v.Dim(-2), (p.bounds.Max.Y-d.At.Y)/d.Cell.Y)
	columns := min(v.Dim(-1), (p.bounds.Max.X-d.At.X)/d.Cell.X)
	if rows < 1 || columns < 1 || !d.At.In(p.bounds) {
		return nil
	}
	v = v.Slice(-2, 0, rows).Slice(-1, 0, columns)
	dst, at := p.from(e, d.At)
	values, base := e.operand(v, backend.Read)
	colors, colorsBase := e.operand(d.Colors, backend.Read)
	return e.dispatch(pipelineSpec{variant: shaders.Find("draw_cells", ""), spec: shaders.Workgroup{Lanes: drawLanes}},
		shaders.DrawCellsPush{
			Dst: at, Stride: p.stride(), Rows: uint32(rows), Columns: uint32(columns),
			CellWidth: uint32(d.Cell.X), CellHeight: uint32(d.Cell.Y), Gap: uint32(d.Gap),
			Values: base, ValuesRow: uint32(v.Stride(-2)), ValuesColumn: uint32(v.Stride(-1)), Colors: colorsBase,
		},
		[3]uint32{e.groups(0, columns*d.Cell.X, drawLanes), e.groups(1, rows*d.Cell.Y, 1), 1},
		dst, values, colors)
}

// Picked are some values of 0 to 1: of each row the one that an id names. The ids too are
// read by the device, so that they can be results, such as those of [backend.ArgMax].
type Picked struct {
	Values backend.Tensor // f32 [rows, n], or [n] for all ids
	IDs    backend.Tensor // i32 [rows]
}

// row returns the distance from one row of the values to the next.
func (v Picked) row() uint32 {
	if v.Values.Dim(-2) == 1 {
		return 0
	}
	return uint32(v.Values.Stride(-2))
}

func (v Picked) check() error {
	if err := checkIDs(v.IDs); err != nil {
		return err
	}
	if x := v.Values; x.DType != backend.F32 || x.Dim(0)*x.Dim(1) != 1 || x.Dim(-2) != 1 && x.Dim(-2) != v.IDs.Len() {
		return fmt.Errorf("values are %v, expected f32 [%d, n] or [n]", x, v.IDs.Len())
	}
	return nil
}

func checkIDs(ids backend.Tensor) error {
	if ids.DType != backend.I32 || ids.Dim(-1) != ids.Len() {
		return fmt.Errorf("ids are %v, expected i32 [rows]", ids)
	}
	return nil
}

// Bars draws values as bars, one below the other.
type Bars struct {
	At            image.Point // top left corner of the first
	Width, Height int         // of a bar of value 1
	Pitch         int         // from one bar to the next
	Color, Track  uint32      // of the bar, and of what is left of its width
	Picked
}

func (d Bars) draw(e *encoder, p *picture) error {
	if err := d.check(); err != nil {
		return err
	}
	if d.Width < 1 || d.Height < 1 || d.Pitch < d.Height {
		return fmt.Errorf("bars of %d × %d pixels every %d, expected at least one pixel and a pitch of that height", d.Width, d.Height, d.Pitch)
	}
	rows := min(d.IDs.Len(), (p.bounds.Max.Y-d.At.Y-d.Height+d.Pitch)/d.Pitch)
	if rows < 1 || !d.At.In(p.bounds) || d.At.X+d.Width > p.bounds.Max.X {
		return nil // a shorter bar would be another value
	}
	dst, at := p.from(e, d.At)
	values, base := e.operand(d.Values, backend.Read)
	ids, idsBase := e.operand(d.IDs, backend.Read)
	return e.dispatch(pipelineSpec{variant: shaders.Find("draw_bars", ""), spec: shaders.Workgroup{Lanes: drawLanes}},
		shaders.DrawBarsPush{
			Dst: at, Stride: p.stride(), Rows: uint32(rows), Width: uint32(d.Width), Height: uint32(d.Height), Pitch: uint32(d.Pitch),
			Values: base, ValuesRow: d.row(), ValuesColumn: uint32(d.Values.Stride(-1)), N: uint32(d.Values.Dim(-1)),
			IDs: idsBase, IDsStride: uint32(d.IDs.Stride(-1)), Color: d.Color, Track: d.Track,
		},
		[3]uint32{e.groups(0, d.Width, drawLanes), e.groups(1, rows*d.Height, 1), 1},
		dst, values, ids)
}
