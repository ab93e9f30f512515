package plot

import (
	"image"
	"image/color"
	"math"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Maps are square maps of numbers side by side, in the same colours: for many maps, and
// for large ones.
type Maps struct {
	Title  string
	Titles []string      // of each map
	Values [][][]float64 // [maps][rows][columns], the first row on top; a row may end early, and NaN is grey
	Labels []string      // of the rows, and columns, of each map, as many as have room; nil: none
	High   float64       // the number of the darkest cells; 0 is white
}

// Sizes in points.
const (
	oneMap    = vg.Length(560) // side of a single map
	smallMap  = vg.Length(150) // of one of several
	mapGap    = vg.Length(10)
	titleSize = vg.Length(9)
	headSize  = vg.Length(12)
	labelSize = vg.Length(7)
	labelRoom = vg.Length(62) // for labels beside a map, and below
)

// layout is how many maps stand side by side, and their side.
func (m Maps) layout() (columns, rows int, side vg.Length) {
	n := max(1, len(m.Values))
	if n == 1 {
		return 1, 1, oneMap
	}
	columns = min(6, int(math.Ceil(math.Sqrt(float64(n)))))
	return columns, (n + columns - 1) / columns, smallMap
}

// Size is a size in which all maps fit.
func (m Maps) Size() (width, height vg.Length) {
	columns, rows, side := m.layout()
	side += m.room()
	return max(widthOf(m.Title), vg.Length(columns)*(side+mapGap)), 2*headSize + vg.Length(rows)*(side+2*titleSize+mapGap)
}

func (m Maps) room() vg.Length {
	if m.Labels == nil {
		return 0
	}
	return labelRoom
}

// Draw draws the maps, row by row.
func (m Maps) Draw(c draw.Canvas) {
	columns, _, side := m.layout()
	style := draw.TextStyle{Color: color.Black, Font: family, XAlign: text.XLeft, YAlign: text.YTop, Handler: New().Title.TextStyle.Handler}
	style.Font.Size = headSize
	c.FillText(style, vg.Point{X: c.Min.X, Y: c.Max.Y}, m.Title)
	style.Font.Size = titleSize
	for i, values := range m.Values {
		left := c.Min.X + vg.Length(i%columns)*(side+m.room()+mapGap) + m.room()
		top := c.Max.Y - 2*headSize - vg.Length(i/columns)*(side+m.room()+2*titleSize+mapGap)
		c.FillText(style, vg.Point{X: left, Y: top}, m.Titles[i])
		top -= 2 * titleSize
		if len(values) == 0 {
			continue
		}
		picture, size := m.picture(values, side)
		area := vg.Rectangle{Min: vg.Point{X: left, Y: top - size}, Max: vg.Point{X: left + size, Y: top}}
		c.DrawImage(area, picture)
		frame := draw.LineStyle{Color: grey, Width: vg.Points(0.5)}
		c.StrokeLines(frame, []vg.Point{area.Min, {X: area.Max.X, Y: area.Min.Y}, area.Max, {X: area.Min.X, Y: area.Max.Y}, area.Min})
		m.label(c, area, style)
	}
}

// label draws labels of a map, beside it and below it, in the middle of their cells.
func (m Maps) label(c draw.Canvas, area vg.Rectangle, style draw.TextStyle) {
	if len(m.Labels) == 0 {
		return
	}
	style.Font.Size, style.XAlign, style.YAlign = labelSize, text.XRight, text.YCenter
	below := style
	below.Rotation = math.Pi / 2
	cell := area.Size().X / vg.Length(len(m.Labels))
	for i := 0; i < len(m.Labels); i += max(1, int(math.Ceil(float64(1.4*labelSize/cell)))) {
		middle := cell * (vg.Length(i) + 0.5)
		c.FillText(style, vg.Point{X: area.Min.X - 3, Y: area.Max.Y - middle}, short(m.Labels[i], longestCell))
		c.FillText(below, vg.Point{X: area.Min.X + middle, Y: area.Min.Y - 4}, short(m.Labels[i], longestCell))
	}
}

// picture is a map and its side: a cell is a whole number of dots of a PNG, or less than
// one where there are more cells than dots.
func (m Maps) picture(values [][]float64, side vg.Length) (image.Image, vg.Length) {
	n := len(values)
	cell := max(1, int(side.Dots(dpi))/n)
	p := image.NewRGBA(image.Rect(0, 0, n*cell, n*cell))
	for i := range p.Pix {
		p.Pix[i] = 255
	}
	shade := Heat{High: m.High}
	for i, row := range values {
		for j, v := range row {
			colour, _ := shade.colour(v)
			for y := range cell {
				for x := range cell {
					p.SetRGBA(j*cell+x, i*cell+y, colour)
				}
			}
		}
	}
	return p, min(side, vg.Length(n*cell)*vg.Inch/dpi)
}
