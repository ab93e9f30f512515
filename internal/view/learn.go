package view

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"strconv"
	"strings"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"caldera/inspect"
	"caldera/internal/plot"
	"caldera/internal/printable"
)

// Learn are the parameters of the view of a training run.
type Learn struct {
	Folder string `arg:"" optional:"" name:"run" help:"Folder of a training run, which has kept snapshots of its weights."`
	Text
	Near  string `placeholder:"WORD" help:"Show the neighbours of this word, or of its last token if it has several; #17 is token 17 (default: of the text's last token)."`
	Layer int    `default:"0" placeholder:"N" help:"Layer of the map of attention (${default})."`
	Head  int    `default:"0" placeholder:"N" help:"Head of the map of attention (${default})."`
	Top   int    `default:"5" placeholder:"N" help:"How many next tokens and neighbours are listed (${default})."`
	Steps []int  `sep:"," placeholder:"STEPS" help:"Look at the weights of these steps, such as 0,10,100 (default: of those that the run has kept, spread evenly)."`
	Most  int    `default:"12" placeholder:"N" help:"Look at this many of them at most (${default})."`
}

// Folders are those of this machine that the view reads: a server offers some only.
func (p *Learn) Folders() []string { return []string{p.Folder} }

// Run looks at one checkpoint after the other.
func (p *Learn) Run(ctx context.Context, in *inspect.Inspector) (Result, error) {
	if p.Folder == "" {
		return nil, inspect.Userf("no training run: expected the folder of one")
	}
	l, err := in.Learn(ctx, p.Folder, inspect.LearnOptions{Text: p.ids, Near: p.Near, Layer: p.Layer, Head: p.Head, Top: p.Top, Steps: p.Steps, Most: p.Most})
	if err != nil {
		return nil, err
	}
	return LearnResult{l}, nil
}

// LearnResult is what the view shows.
type LearnResult struct{ *inspect.Learned }

// text is the text, short enough for a line.
func (r LearnResult) text() string {
	var b strings.Builder
	for _, t := range r.Tokens {
		b.WriteString(t.Text)
	}
	return shorten(printable.Text(b.String()), 60)
}

func shorten(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// Text writes a line for each checkpoint.
func (r LearnResult) Text(s *Screen) error {
	left := ""
	if r.LeftOut > 0 {
		left = fmt.Sprintf(" of %s", count(len(r.Stages)+r.LeftOut))
	}
	if err := s.Print("%s: %s%s checkpoints read \"%s\" (tokens: %s); a guess at random has a surprise of %.2f nats\n", s.Bold(printable.Text(r.Run)),
		count(len(r.Stages)), left, r.text(), count(len(r.Tokens)), math.Log(float64(r.Vocab))); err != nil {
		return err
	}
	rows := [][]string{{"weights", "training loss", "validation loss", "surprise", "next tokens", "neighbours of " + Quote(r.Near), "the last token looks at"}}
	for _, g := range r.Stages {
		var next, near []string
		for _, c := range g.Next {
			next = append(next, fmt.Sprintf("%s %.1f %%", Quote(c.Token), 100*float64(c.Prob)))
		}
		for _, n := range g.Neighbours {
			near = append(near, fmt.Sprintf("%s %.2f", Quote(n.Token), float64(n.Cosine)))
		}
		rows = append(rows, []string{weights(g), inNats(g.Training), inNats(g.Validation), inNats(g.Surprise),
			strings.Join(next, ", "), strings.Join(near, ", "), r.looks(g)})
	}
	if err := s.Table(rows); err != nil {
		return err
	}
	if err := s.Print("\nlosses and surprise are in nats a token; attention is that of layer %d, head %d", r.Layer, r.Head); err != nil {
		return err
	}
	if err := r.maps(s); err != nil {
		return err
	}
	for _, n := range r.Notes {
		if err := s.Print("note: %s", printable.Text(n)); err != nil {
			return err
		}
	}
	return nil
}

// weights is the name of a checkpoint in a run.
func weights(g inspect.Stage) string {
	name := "step " + count(g.Step)
	for _, k := range g.Kinds {
		if k != "snapshot" {
			name += ", " + k
		}
	}
	return name
}

// inNats is a loss for people.
func inNats(x inspect.Float) string {
	if math.IsNaN(float64(x)) {
		return "-"
	}
	return fmt.Sprintf("%.4f", float64(x))
}

// looks is what the last token looks at most.
func (r LearnResult) looks(g inspect.Stage) string {
	last := g.Attention[len(g.Attention)-1]
	most := 0
	for i, x := range last {
		if x > last[most] {
			most = i
		}
	}
	return fmt.Sprintf("%s (%d) %.2f", Quote(r.Tokens[most]), most, float64(last[most]))
}

// widestMap is the most tokens of a map that is drawn on a terminal.
const widestMap = 48

// maps draws the maps of attention side by side, with colours only.
func (r LearnResult) maps(s *Screen) error {
	n := len(r.Tokens)
	if !s.Color || n > widestMap || n < 2 {
		return nil
	}
	width := 2*n + 2
	across := max(1, cmp.Or(s.Columns, 120)/width)
	for from := 0; from < len(r.Stages); from += across {
		stages := r.Stages[from:min(from+across, len(r.Stages))]
		var heads strings.Builder
		for _, g := range stages {
			fmt.Fprintf(&heads, "%-*s", width, shorten("step "+count(g.Step), width-2))
		}
		if err := s.Print("\n%s", heads.String()); err != nil {
			return err
		}
		for i := range n {
			var line strings.Builder
			for _, g := range stages {
				for _, x := range g.Attention[i] {
					line.WriteString(s.Shade(float64(x), "  "))
				}
				line.WriteString(strings.Repeat("  ", n-i))
			}
			if err := s.Print("%s", line.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Table has a row for each checkpoint.
func (r LearnResult) Table() [][]string {
	head := []string{"step", "path", "kept as", "training loss", "validation loss", "surprise"}
	next, near := 0, 0
	for _, g := range r.Stages {
		next, near = max(next, len(g.Next)), max(near, len(g.Neighbours))
	}
	for i := range next {
		head = append(head, fmt.Sprintf("next %d", i+1), fmt.Sprintf("probability %d", i+1))
	}
	for i := range near {
		head = append(head, fmt.Sprintf("neighbour %d", i+1), fmt.Sprintf("cosine %d", i+1))
	}
	for i := range r.Tokens {
		head = append(head, fmt.Sprintf("last token's attention to position %d", i))
	}
	rows := [][]string{head}
	for _, g := range r.Stages {
		row := []string{strconv.Itoa(g.Step), g.Path, strings.Join(g.Kinds, " "), number(g.Training), number(g.Validation), number(g.Surprise)}
		for _, c := range g.Next {
			row = append(row, c.Text, number(c.Prob))
		}
		row = append(row, make([]string, 2*(next-len(g.Next)))...) // weights without any number have none
		for _, n := range g.Neighbours {
			row = append(row, n.Text, number(n.Cosine))
		}
		row = append(row, make([]string, 2*(near-len(g.Neighbours)))...)
		for _, x := range g.Attention[len(g.Attention)-1] {
			row = append(row, number(x))
		}
		rows = append(rows, row)
	}
	return rows
}

// Sizes of the picture, in points.
const (
	lossHeight = 300
	pageWidth  = 760
	mapsAcross = 6
	mapTitle   = 16
)

// Draw draws the losses by step, with the surprise of the text at each checkpoint,
// and below it a map of attention for each.
func (r LearnResult) Draw(w io.Writer, f plot.Format) error {
	losses, err := r.losses()
	if err != nil {
		return err
	}
	side := vg.Points(pageWidth / mapsAcross)
	lines := (len(r.Stages) + mapsAcross - 1) / mapsAcross
	height := vg.Points(lossHeight) + 2*vg.Points(mapTitle) + vg.Length(lines)*(side+vg.Points(mapTitle))
	return plot.Write(w, f, vg.Points(pageWidth)+20, height+20, func(c draw.Canvas) {
		losses.Draw(draw.Crop(c, 0, 0, c.Max.Y-c.Min.Y-vg.Points(lossHeight), 0))
		style := losses.Title.TextStyle
		style.Font.Size, style.XAlign, style.YAlign = vg.Points(10), draw.XLeft, draw.YBottom
		top := c.Max.Y - vg.Points(lossHeight+mapTitle)
		c.FillText(style, vg.Point{X: c.Min.X, Y: top - vg.Points(2)},
			fmt.Sprintf("attention of layer %d, head %d: each position, a row, to those before it; dark is much", r.Layer, r.Head))
		for i, g := range r.Stages {
			x := c.Min.X + vg.Length(i%mapsAcross)*side
			y := top - vg.Points(mapTitle) - vg.Length(i/mapsAcross)*(side+vg.Points(mapTitle))
			c.FillText(style, vg.Point{X: x, Y: y - vg.Points(13)}, weights(g))
			y -= vg.Points(mapTitle)
			box := vg.Rectangle{Min: vg.Point{X: x, Y: y - side + vg.Points(8)}, Max: vg.Point{X: x + side - vg.Points(8), Y: y}}
			c.DrawImage(box, picturedMap(g.Attention))
			c.SetLineStyle(draw.LineStyle{Color: color.Gray{160}, Width: vg.Points(0.5)})
			outline := box.Path()
			outline.Close()
			c.Stroke(outline)
		}
	})
}

// picturedMap is a map as an image: white is 0, black 1; what is no number is red.
func picturedMap(attention [][]inspect.Float) image.Image {
	n := len(attention)
	scale := max(1, 192/n) // so that viewers which smooth images show squares
	img := image.NewRGBA(image.Rect(0, 0, n*scale, n*scale))
	for y := range n * scale {
		for x := range n * scale {
			v := 0.0 // nobody looks ahead
			if x/scale <= y/scale {
				v = float64(attention[y/scale][x/scale])
			}
			if math.IsNaN(v) {
				img.Set(x, y, plot.Vermillion)
				continue
			}
			img.Set(x, y, color.Gray{255 - uint8(255*min(max(v, 0), 1))})
		}
	}
	return img
}

// losses is the plot of losses.
func (r LearnResult) losses() (*gonum.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s: \"%s\"", printable.Text(r.Run), r.text())
	p.X.Label.Text, p.Y.Label.Text = "step", "nats a token"
	p.X.Scale, p.X.Tick.Marker = logSteps{}, logSteps{}
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	var training, validation, surprise plotter.XYs
	for _, s := range r.Losses {
		training = point(training, s.Step, s.Training)
		validation = point(validation, s.Step, s.Validation)
	}
	for _, g := range r.Stages {
		surprise = point(surprise, g.Step, g.Surprise)
	}
	for _, c := range []struct {
		name   string
		points plotter.XYs
		color  color.Color
		dots   bool
	}{
		{"training loss", training, plot.SkyBlue, false},
		{"validation loss", validation, plot.Vermillion, true},
		{"surprise of the text", surprise, color.Black, true},
	} {
		if len(c.points) == 0 {
			continue
		}
		line, points, err := plotter.NewLinePoints(c.points)
		if err != nil {
			return nil, err
		}
		line.Color, points.Color, points.Shape, points.Radius = c.color, c.color, draw.CircleGlyph{}, vg.Points(2)
		p.Add(line)
		p.Legend.Add(c.name, line)
		if c.dots || len(c.points) == 1 {
			p.Add(points)
		}
	}
	p.X.Min = 0
	p.X.Max = max(p.X.Max, float64(r.Stages[len(r.Stages)-1].Step), 1)
	if !(p.Y.Max-p.Y.Min > 0) {
		p.Y.Min, p.Y.Max = min(p.Y.Min, 0), max(p.Y.Max, 1)
	}
	p.Y.Max += 0.2 * (p.Y.Max - p.Y.Min) // room for the legend
	return p, nil
}

// point adds a number, unless it is none.
func point(points plotter.XYs, step int, y inspect.Float) plotter.XYs {
	if v := float64(y); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return append(points, plotter.XY{X: float64(step), Y: v})
	}
	return points
}

// logSteps is an axis of steps from 0 on, on which early steps have as much room as
// late ones: places are log(1 + step).
type logSteps struct{}

// Normalize returns the place of x, 0 to 1.
func (logSteps) Normalize(least, most, x float64) float64 {
	return (math.Log1p(x) - math.Log1p(least)) / (math.Log1p(most) - math.Log1p(least))
}

// Ticks returns 0 and the powers of ten.
func (logSteps) Ticks(_, most float64) []gonum.Tick {
	ticks := []gonum.Tick{{Value: 0, Label: "0"}}
	for x := 1.0; x <= most; x *= 10 {
		ticks = append(ticks, gonum.Tick{Value: x, Label: count(int64(x))})
		for i := 2.0; i < 10 && i*x <= most; i++ {
			ticks = append(ticks, gonum.Tick{Value: i * x})
		}
	}
	return ticks
}
