package plot

import (
	"image/color"
	"math"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Heat is a map of numbers: a cell is the darker, the larger its number.
type Heat struct {
	Title, X, Y   string
	Rows, Columns []string    // their labels; the first row is on top
	Values        [][]float64 // [rows][columns]; a cell of NaN is grey
	Cells         [][]string  // what is written in the cells; nil: nothing
	High          float64     // the number of the darkest cells; 0 is white, and −High as dark, in another colour
}

// Sizes in points.
const (
	textCell   = vg.Length(70) // width of a cell with text in it
	plainCell  = vg.Length(22) // without
	cellHeight = vg.Length(20)
)

// Size is a size in which all text can be read.
func (h Heat) Size() (width, height vg.Length) {
	cell := plainCell
	if h.Cells != nil {
		cell = textCell
	}
	return max(widthOf(h.Title), 120+cell*vg.Length(len(h.Columns))), 110 + cellHeight*vg.Length(len(h.Rows))
}

// widthOf is a width in which a title can be read.
func widthOf(title string) vg.Length { return vg.Length(max(420, 7*utf8.RuneCountInString(title))) }

// Draw draws the map.
func (h Heat) Draw(c draw.Canvas) {
	p := New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = h.Title, h.X, h.Y
	p.Add(cells{h})
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, float64(len(h.Columns)), 0, float64(len(h.Rows))
	p.X.Padding, p.Y.Padding = 0, 0
	p.X.Tick.Marker, p.Y.Tick.Marker = middles(h.Columns, longestCell, false), middles(h.Rows, longestCell, true)
	if h.Cells == nil {
		p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/2, text.XRight, text.YCenter
	}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Tick.LineStyle.Width, a.Tick.Length, a.LineStyle.Width = 0, 2, 0
		a.Tick.Label.Font.Size = 9
	}
	if h.Cells == nil {
		p.X.Padding = 4 // turned text is longer than it is measured
	}
	p.Draw(c)
}

// middles labels the cells along an axis, in their middle.
func middles(labels []string, longest int, fromTop bool) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for i, l := range labels {
		at := float64(i) + 0.5
		if fromTop {
			at = float64(len(labels)) - at
		}
		ticks = append(ticks, plot.Tick{Value: at, Label: short(l, longest)})
	}
	return ticks
}

// The most characters of a label.
const (
	longestCell  = 14 // of a cell
	longestLabel = 32 // beside a bar
)

// short is a label, cut if it is longer.
func short(label string, longest int) string {
	if r := []rune(label); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return label
}

// cells are the plotter of a Heat.
type cells struct{ Heat }

// Plot draws them.
func (h cells) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := p.X.Tick.Label
	style.Rotation, style.XAlign, style.YAlign = 0, text.XCenter, text.YCenter
	for i, row := range h.Values {
		top := float64(len(h.Values) - i)
		for j, v := range row {
			left, right, low, high := x(float64(j)), x(float64(j+1)), y(top-1), y(top)
			ground, dark := h.colour(v)
			c.FillPolygon(ground, []vg.Point{{X: left, Y: low}, {X: right, Y: low}, {X: right, Y: high}, {X: left, Y: high}})
			if h.Cells == nil {
				continue
			}
			style.Color = color.Black
			if dark {
				style.Color = color.White
			}
			c.FillText(style, vg.Point{X: (left + right) / 2, Y: (low + high) / 2}, short(h.Cells[i][j], longestCell))
		}
	}
}

// The darkest colours of a Heat, and that of what is no number.
var (
	blue = color.RGBA{0, 84, 148, 255}
	red  = color.RGBA{168, 58, 0, 255}
	grey = color.RGBA{190, 190, 190, 255}
)

// colour is that of a number; dark says that white text is read better on it.
func (h Heat) colour(v float64) (c color.RGBA, dark bool) {
	if math.IsNaN(v) {
		return grey, false
	}
	end := blue
	if v < 0 {
		end, v = red, -v
	}
	share := 0.0
	if h.High > 0 {
		share = min(v/h.High, 1)
	}
	mix := func(to uint8) uint8 { return uint8(math.Round(255 + share*(float64(to)-255))) }
	return color.RGBA{mix(end.R), mix(end.G), mix(end.B), 255}, share > 0.55
}
