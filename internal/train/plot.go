package train

import (
	"io"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"caldera/internal/atomicfile"
	"caldera/internal/plot"
)

// plotPoints is the most points of a line: more cannot be seen, and make a file
// that no browser likes.
const plotPoints = 1000

// legendRoom is the room above the lines for the legend, as a share of their height.
const legendRoom = 0.12

// WritePlot draws the losses of the log to a file, as SVG or PNG by its ending.
func (l *Log) WritePlot(path string) error {
	format, err := plot.FormatOf(path)
	if err != nil {
		return err
	}
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "step", "loss, nats a token"
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	train, val := l.curves()
	if len(train) > 0 {
		line, points, err := plotter.NewLinePoints(train)
		if err != nil {
			return err
		}
		line.Color, points.Color, points.Shape, points.Radius = plot.SkyBlue, plot.SkyBlue, draw.CircleGlyph{}, vg.Points(2)
		p.Add(line)
		if len(train) == 1 { // which is no line
			p.Add(points)
		}
		p.Legend.Add("training", line)
	}
	if len(val) > 0 {
		line, points, err := plotter.NewLinePoints(val)
		if err != nil {
			return err
		}
		line.Color, points.Color, points.Shape, points.Radius = plot.Vermillion, plot.Vermillion, draw.CircleGlyph{}, vg.Points(2)
		p.Add(line, points)
		p.Legend.Add("validation", line, points)
	}
	plot.WholeX(p)
	p.Y.Max += legendRoom * (p.Y.Max - p.Y.Min)
	return atomicfile.Write(path, func(w io.Writer) error {
		return plot.Write(w, format, 8*vg.Inch, 5*vg.Inch, p.Draw)
	})
}

// curves are the losses by step, of training as means of neighbours where they
// are too many.
func (l *Log) curves() (train, val plotter.XYs) {
	for _, e := range l.Entries {
		if e.Loss != nil && finite(*e.Loss) {
			train = append(train, plotter.XY{X: float64(e.Step), Y: *e.Loss})
		}
		if e.ValLoss != nil && finite(*e.ValLoss) {
			val = append(val, plotter.XY{X: float64(e.Step), Y: *e.ValLoss})
		}
	}
	return thin(train), thin(val)
}

func thin(all plotter.XYs) plotter.XYs {
	size := (len(all) + plotPoints - 1) / plotPoints
	if size <= 1 {
		return all
	}
	var out plotter.XYs
	for from := 0; from < len(all); from += size {
		group := all[from:min(from+size, len(all))]
		mean := plotter.XY{X: group[len(group)-1].X}
		for _, p := range group {
			mean.Y += p.Y / float64(len(group))
		}
		out = append(out, mean)
	}
	return out
}
