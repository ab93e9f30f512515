package bench

import (
	"fmt"
	"image/color"
	"io"
	"strings"
	"unicode"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Sizes of the plot.
const (
	plotWidth  = 8 * vg.Inch
	plotBar    = 18 // points, of a bar with the room around it
	plotMargin = 64 // points, of a panel beside its bars: title and axis
	plotRows   = 200
)

// barColor is Okabe and Ito's sky blue, on which error bars can be seen.
var barColor = color.RGBA{86, 180, 233, 255}

// WriteSVG draws a panel for each row, whose figures differ too much to share
// an axis, with a bar for each column and its deviation.
func (c *Comparison) WriteSVG(w io.Writer) error {
	if len(c.Rows) > plotRows {
		return fmt.Errorf("a plot of %d rows: expected at most %d; compare fewer results", len(c.Rows), plotRows)
	}
	height := vg.Points(float64(len(c.Columns)*plotBar + plotMargin))
	canvas := vgsvg.New(plotWidth, height*vg.Length(len(c.Rows)))
	var panels [][]*plot.Plot
	for _, r := range c.Rows {
		p, err := r.panel(c.Columns)
		if err != nil {
			return fmt.Errorf("plot of %s: %w", r.Key, err)
		}
		panels = append(panels, []*plot.Plot{p})
	}
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadTop: 6, PadBottom: 6, PadLeft: 6, PadRight: 10, PadY: 12}
	area := draw.New(canvas)
	for i, row := range plot.Align(panels, tiles, area) {
		panels[i][0].Draw(row[0])
	}
	_, err := canvas.WriteTo(w)
	return err
}

// panel draws one row. Bars lie, first column on top, so that names are read
// as they are written.
func (r *Row) panel(columns []Column) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = printable(r.Key) + ", " + r.Unit
	if r.Lower {
		p.Title.Text += ", less is better"
	}
	n := len(columns)
	values, names := make(plotter.Values, n), make([]string, n)
	bars := errorBars{}
	for i, v := range r.Values {
		at := n - 1 - i // axes grow upwards
		values[at], names[at] = v.Mean, printable(columns[i].Name)
		if v.N > 1 {
			bars.XYs = append(bars.XYs, plotter.XY{X: v.Mean, Y: float64(at)})
			bars.sd = append(bars.sd, v.SD)
		}
	}
	chart, err := plotter.NewBarChart(values, vg.Points(plotBar*0.6))
	if err != nil {
		return nil, err
	}
	chart.Horizontal = true
	chart.Color = barColor
	chart.LineStyle.Width = 0
	p.Add(chart)
	if len(bars.XYs) > 0 {
		whiskers, err := plotter.NewXErrorBars(bars)
		if err != nil {
			return nil, err
		}
		p.Add(whiskers)
	}
	p.NominalY(names...)
	p.X.Min = min(0, p.X.Min)
	if p.X.Max <= p.X.Min {
		p.X.Max = p.X.Min + 1
	}
	return p, nil
}

type errorBars struct {
	plotter.XYs
	sd []float64
}

func (e errorBars) XError(i int) (low, high float64) { return e.sd[i], e.sd[i] }

// printable is text that may stand in XML, and steers no terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
