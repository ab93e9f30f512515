package plot

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Bars are horizontal bars, one below the other, to the right or to the left of 0.
type Bars struct {
	Title, X string
	Labels   []string
	Values   []float64 // NaN and infinities have no bar
	High     float64   // the axis reaches up to this at least, if it is finite
}

// barHeight is that of a bar and of the gap to the next, in points.
const barHeight = vg.Length(17)

// Size is a size in which all text can be read.
func (b Bars) Size() (width, height vg.Length) {
	return 620, 76 + barHeight*vg.Length(len(b.Labels))
}

// Draw draws the bars.
func (b Bars) Draw(c draw.Canvas) {
	p := New()
	p.Title.Text, p.X.Label.Text = b.Title, b.X
	p.Add(bars{b})
	for _, v := range append([]float64{b.High}, b.Values...) {
		if number(v) {
			p.X.Min, p.X.Max = min(p.X.Min, v), max(p.X.Max, v)
		}
	}
	p.X.Min, p.X.Max = min(p.X.Min, 0), max(p.X.Max, 0)
	if p.X.Min == p.X.Max {
		p.X.Max = 1
	}
	p.Y.Min, p.Y.Max, p.Y.Padding = 0, float64(len(b.Labels)), 0
	p.Y.Tick.Marker = middles(b.Labels, longestLabel, true)
	p.Y.Tick.LineStyle.Width, p.Y.Tick.Length, p.Y.LineStyle.Width = 0, 2, 0
	p.Y.Tick.Label.Font.Size = 9
	p.Draw(c)
}

func number(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// bars are the plotter of Bars.
type bars struct{ Bars }

// Plot draws them.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, v := range b.Values {
		if !number(v) {
			continue
		}
		colour := SkyBlue
		if v < 0 {
			colour = Vermillion
		}
		top := float64(len(b.Values) - i)
		low, high := y(top-0.85), y(top-0.15)
		c.FillPolygon(colour, []vg.Point{{X: x(0), Y: low}, {X: x(v), Y: low}, {X: x(v), Y: high}, {X: x(0), Y: high}})
	}
	c.StrokeLine2(p.X.LineStyle, x(0), y(0), x(0), y(float64(len(b.Values))))
}
