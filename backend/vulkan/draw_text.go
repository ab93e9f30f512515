//go:build cgo

package vulkan

import (
	"encoding/binary"
	"fmt"
	"image"
	"slices"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// Font is an alphabet for text in pictures. All glyphs have one size.
type Font struct {
	Width, Height int // of a glyph in pixels

	// Atlas, i32 [glyphs, Height · words], contiguous, says how much of each pixel a
	// glyph covers: a byte a pixel, from the top left, rows filled up to words. In a
	// word the byte of the left pixel is the lowest.
	Atlas backend.Tensor

	// Digits, i32 [14], contiguous, are the glyphs of the ten digits, of the point, the
	// percent sign, the space and the question mark.
	Digits backend.Tensor
}

// AtlasWords returns the length of a row of Atlas for glyphs of a size.
func AtlasWords(width, height int) int { return height * ((width + 3) / 4) }

func (f *Font) check() error {
	a := f.Atlas
	if f.Width < 1 || f.Height < 1 || a.DType != backend.I32 || a.Dim(-1) != AtlasWords(f.Width, f.Height) || a.Len() != a.Dim(-2)*a.Dim(-1) || !a.Contiguous() {
		return fmt.Errorf("the atlas of glyphs of %d × %d pixels is %v, expected contiguous i32 [glyphs, %d]", f.Width, f.Height, a, AtlasWords(f.Width, f.Height))
	}
	if d := f.Digits; d.DType != backend.I32 || d.Len() != 14 || !d.Contiguous() {
		return fmt.Errorf("the glyphs of digits are %v, expected contiguous i32 [14]", d)
	}
	return nil
}

// Label is text that the host knows: a line of glyphs.
type Label struct {
	At     image.Point // top left corner of the first glyph; of a turned one the bottom left
	Color  uint32
	Glyphs []int32 // indices in the atlas; others are left out
	Turned bool    // to be read upwards
}

// Labels draws lines of text.
type Labels struct {
	Font *Font
	List []Label
}

// Names draws, one below the other, a text for each of some ids, such as the texts of
// tokens. The ids are read by the device.
type Names struct {
	Font  *Font
	At    image.Point // top left corner of the first glyph
	Pitch int         // from one text to the next
	Color uint32
	IDs   backend.Tensor // i32 [rows]
	Table backend.Tensor // i32 [ids, length], rows: the glyphs of each id. Indices that are not in the atlas are left out
}

// Percents draws values as numbers with one digit behind the point, one below the other:
// "  1.5%". Each has six glyphs.
type Percents struct {
	Font  *Font
	At    image.Point // top left corner of the first glyph
	Pitch int         // from one number to the next
	Color uint32
	Picked
}

// Sources of glyphs, as in draw_text.comp.
const (
	fromCodes = iota
	fromTable
	fromValues
)

// run is a line of text in the layout of draw_text.comp.
type run struct {
	X, Y, Color, First, Length, Turned uint32
}

// runLength is the most glyphs of a run of a label. All runs of a dispatch take as many
// invocations as the longest.
const runLength = 16

func (d Labels) draw(e *encoder, p *picture) error {
	// One dispatch has as many labels as fit into one write of a command buffer.
	const most = vk.MaxUpdate / 4 / 2
	var runs []run
	var codes []int32
	flush := func() error {
		if len(codes) == 0 {
			return nil
		}
		table, err := e.uploaded(codes)
		if err == nil {
			err = drawText(e, p, d.Font, fromCodes, runs, text{codes: table})
		}
		runs, codes = runs[:0], codes[:0]
		return err
	}
	for _, l := range d.List {
		at := l.At
		for glyphs := range slices.Chunk(l.Glyphs, runLength) {
			if len(codes)+len(glyphs) > most || len(runs) >= most/6 {
				if err := flush(); err != nil {
					return err
				}
			}
			runs = append(runs, run{uint32(at.X), uint32(at.Y), l.Color, uint32(len(codes)), uint32(len(glyphs)), boolean(l.Turned)})
			codes = append(codes, glyphs...)
			if l.Turned {
				at.Y -= len(glyphs) * d.Font.Width
			} else {
				at.X += len(glyphs) * d.Font.Width
			}
		}
	}
	return flush()
}

func (d Names) draw(e *encoder, p *picture) error {
	if err := checkIDs(d.IDs); err != nil {
		return err
	}
	if t := d.Table; t.DType != backend.I32 || t.Dim(0)*t.Dim(1) != 1 || !t.Contiguous() {
		return fmt.Errorf("the table of texts is %v, expected contiguous i32 [ids, length]", t)
	}
	return drawText(e, p, d.Font, fromTable, column(d.IDs.Len(), d.At, d.Pitch, d.Color, d.Table.Dim(-1)), text{codes: d.Table, ids: d.IDs})
}

func (d Percents) draw(e *encoder, p *picture) error {
	if err := d.check(); err != nil {
		return err
	}
	const length = 6
	return drawText(e, p, d.Font, fromValues, column(d.IDs.Len(), d.At, d.Pitch, d.Color, length), text{codes: d.Font.Digits, ids: d.IDs, picked: d.Picked})
}

// column returns n runs, one below the other.
func column(n int, at image.Point, pitch int, color uint32, length int) []run {
	runs := make([]run, n)
	for i := range runs {
		runs[i] = run{uint32(at.X), uint32(at.Y + i*pitch), color, uint32(i), uint32(length), 0}
	}
	return runs
}

// text is where glyphs come from.
type text struct {
	codes, ids backend.Tensor
	picked     Picked // of fromValues
}

func drawText(e *encoder, p *picture, f *Font, source uint32, runs []run, from text) error {
	if err := f.check(); err != nil {
		return err
	}
	longest := uint32(0)
	for _, r := range runs {
		longest = max(longest, r.Length)
	}
	if longest == 0 {
		return nil
	}
	list, err := e.uploaded(runs)
	if err != nil {
		return err
	}
	dst, at := p.from(e, image.Point{})
	push := shaders.DrawTextPush{
		Dst: at, Stride: p.stride(), Width: uint32(p.bounds.Dx()), Height: uint32(p.bounds.Dy()), Count: uint32(len(runs)),
		CodesRow: uint32(from.codes.Dim(-1)), CodesRows: uint32(from.codes.Dim(-2)),
		Glyphs: uint32(f.Atlas.Dim(-2)), GlyphWidth: uint32(f.Width), GlyphHeight: uint32(f.Height),
	}
	var runsBinding, codes, ids, values, atlas binding
	runsBinding, push.Runs = e.operand(list, backend.Read)
	codes, push.Codes = e.operand(from.codes, backend.Read)
	ids, push.IDs = e.operand(from.ids, backend.Read)
	values, push.Values = e.operand(from.picked.Values, backend.Read)
	atlas, push.Atlas = e.operand(f.Atlas, backend.Read)
	if !from.ids.Absent() {
		push.IDsStride = uint32(from.ids.Stride(-1))
	}
	if v := from.picked.Values; !v.Absent() {
		push.ValuesRow, push.ValuesColumn, push.N = from.picked.row(), uint32(v.Stride(-1)), uint32(v.Dim(-1))
	}
	return e.dispatch(pipelineSpec{variant: shaders.Find("draw_text", ""), spec: shaders.DrawTextSpec{Lanes: drawLanes, Source: source}},
		push, [3]uint32{e.groups(0, int(longest)*f.Width*f.Height, drawLanes), e.groups(1, len(runs), 1), 1},
		dst, runsBinding, codes, ids, values, atlas)
}

// uploaded writes values of 32-bit words, at most vk.MaxUpdate bytes, to scratch memory.
// They travel in the command buffer.
func (e *encoder) uploaded(values any) (backend.Tensor, error) {
	data, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		return backend.Tensor{}, err
	}
	if len(data) > vk.MaxUpdate {
		return backend.Tensor{}, fmt.Errorf("%d bytes, expected at most %d at once", len(data), vk.MaxUpdate)
	}
	t, err := e.scratch(backend.I32, len(data)/4)
	if err != nil {
		return t, err
	}
	buf, from, _, err := e.locate(t)
	if err != nil {
		return t, err
	}
	e.rec.update(buf.block.Buffer, from, data)
	e.rec.use(buf)
	return t, nil
}
