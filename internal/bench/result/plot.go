package result

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"caldera/internal/plot"
)

// Sizes of the plot.
const (
	plotWidth  = 8 * vg.Inch
	plotBar    = 18 // points, of a bar with the room around it
	plotMargin = 64 // points, of a panel beside its bars: title and axis
	plotRows   = 200
)

// WritePlot draws a panel for each row, whose figures differ too much to share
// an axis, with a bar for each column and its deviation.
func (c *Comparison) WritePlot(w io.Writer, format plot.Format) error {
	if len(c.Rows) > plotRows {
		return fmt.Errorf("a plot of %d rows: expected at most %d; compare fewer results", len(c.Rows), plotRows)
	}
	height := vg.Points(float64(len(c.Columns)*plotBar + plotMargin))
	var panels [][]*gonum.Plot
	for _, r := range c.Rows {
		p, err := r.panel(c.Columns)
		if err != nil {
			return fmt.Errorf("plot of %s: %w", r.Key, err)
		}
		panels = append(panels, []*gonum.Plot{p})
	}
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadTop: 6, PadBottom: 6, PadLeft: 6, PadRight: 10, PadY: 12}
	return plot.Write(w, format, plotWidth, height*vg.Length(len(c.Rows)), func(area draw.Canvas) {
		for i, row := range gonum.Align(panels, tiles, area) {
			panels[i][0].Draw(row[0])
		}
	})
}

// panel draws one row. Bars lie, first column on top, so that names are read
// as they are written.
func (r *Row) panel(columns []Column) (*gonum.Plot, error) {
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
	chart.Color = plot.SkyBlue // on which error bars can be seen
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

// printable is text without control characters, which XML and terminals can show.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
