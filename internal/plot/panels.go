package plot

import (
	"io"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Panel is a part of a picture.
type Panel interface {
	Size() (width, height vg.Length)
	Draw(c draw.Canvas)
}

// between is the gap between two panels, in points.
const between = vg.Length(16)

// WritePanels writes a picture of panels, one below the other.
func WritePanels(w io.Writer, format Format, panels ...Panel) error {
	width, height := vg.Length(0), vg.Length(0)
	for _, p := range panels {
		x, y := p.Size()
		width, height = max(width, x), height+y+between
	}
	return Write(w, format, width+2*margin, height-between+2*margin, func(c draw.Canvas) {
		top := c.Max.Y
		for _, p := range panels {
			x, y := p.Size()
			p.Draw(draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
				Min: vg.Point{X: c.Min.X, Y: top - y}, Max: vg.Point{X: c.Min.X + x, Y: top},
			}})
			top -= y + between
		}
	})
}
