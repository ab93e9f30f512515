//go:build watch && cgo

package watch

import (
	"fmt"
	"image"
	"image/color"
	"strings"
	"unicode/utf8"

	"gonum.org/v1/plot/palette/moreland"

	"caldera/backend"
	"caldera/backend/vulkan"
	"caldera/internal/plot"
)

// colors are those of a picture, as words of its pixels.
type colors struct {
	ground, panel, track, ink, faint, bar, mark uint32

	cells backend.Tensor // of a vulkan.Cells
}

// newColors writes the colours of maps to the device. From black to white they get
// lighter evenly, so that they can be read without seeing hues. Bars have two of Okabe
// and Ito's colours.
func newColors(b *vulkan.Backend) (*colors, error) {
	c := &colors{
		ground: b.Pixel(color.RGBA{18, 20, 26, 255}), panel: b.Pixel(color.RGBA{34, 38, 48, 255}),
		track: b.Pixel(color.RGBA{40, 44, 54, 255}), ink: b.Pixel(color.RGBA{235, 235, 235, 255}),
		faint: b.Pixel(color.RGBA{150, 156, 168, 255}), bar: b.Pixel(plot.SkyBlue), mark: b.Pixel(color.RGBA{230, 159, 0, 255}),
	}
	words := make([]int32, vulkan.CellColors)
	for i, rgb := range cellColors() {
		words[i] = int32(b.Pixel(rgb))
	}
	var err error
	if c.cells, err = backend.New(b, backend.I32, len(words)); err != nil {
		return nil, err
	}
	return c, backend.SetI32(b, c.cells, words)
}

// cellColors are the colours of cells, as vulkan.Cells has them: the last is that of NaN.
func cellColors() []color.RGBA {
	m := moreland.Kindlmann() // Kindlmann, Reinhard, Creem, "Face-based luminance matching", 2002
	m.SetMax(1)
	list := make([]color.RGBA, 0, vulkan.CellColors)
	for i := range vulkan.CellColors - 1 {
		rgb, err := m.At(float64(i) / (vulkan.CellColors - 2))
		if err != nil {
			panic(err) // only outside of 0 to 1
		}
		list = append(list, color.RGBAModel.Convert(rgb).(color.RGBA))
	}
	return append(list, color.RGBA{213, 94, 0, 255}) // vermillion, which is no colour of the map
}

// scene is a picture in the making.
type scene struct {
	layout
	app    *app
	colors *colors
	font   *alphabet
	list   []vulkan.Drawing
	labels []vulkan.Label
}

func (s *scene) add(d ...vulkan.Drawing) { s.list = append(s.list, d...) }

func (s *scene) label(at image.Point, color uint32, text string) {
	s.labels = append(s.labels, vulkan.Label{At: at, Color: color, Glyphs: s.font.glyphs(text)})
}

// drawings are the whole picture.
func (a *app) drawings(l layout) []vulkan.Drawing {
	s := &scene{layout: l, app: a, colors: a.colors, font: a.font}
	s.add(vulkan.Fill{In: image.Rectangle{Max: l.size}, Color: a.colors.ground})
	s.drawStory()
	s.drawAttention()
	s.drawNext()
	s.drawLens()
	s.label(l.status, a.colors.ink, a.statusLine())
	s.label(l.help, a.colors.faint, "space run or pause   n → step   ↑ ↓ block   h H head   + - speed   ? help   q quit")
	s.add(vulkan.Labels{Font: &s.font.Font, List: s.labels})
	if a.helping {
		s.drawHelp()
	}
	return s.list
}

// drawStory shows the last lines of the text: the prompt faint, the drawn token marked.
func (s *scene) drawStory() {
	st, columns := s.app.story, max(s.story.Dx()/s.glyph.X, 1)
	type piece struct {
		color uint32
		text  string
	}
	lines := [][]piece{nil}
	width := 0
	put := func(color uint32, text string) {
		line := &lines[len(lines)-1]
		*line = append(*line, piece{color, text})
		width += utf8.RuneCountInString(text)
	}
	broken := func() { lines, width = append(lines, nil), 0 }
	from := max(len(st.ids)-storyLines*columns, 0) // more do not fit
	decode, plain := s.app.texts.decoder(), strings.NewReplacer("\t", "    ", "\r", "")
	for i := from; i < len(st.ids); i++ {
		color := s.colors.ink
		switch {
		case i == len(st.ids)-1 && st.drawn != nil:
			color = s.colors.mark
		case i < st.begun:
			color = s.colors.faint
		}
		for k, part := range strings.Split(plain.Replace(decode(st.ids[i])), "\n") {
			if k > 0 {
				broken()
			}
			if width > 0 && width+utf8.RuneCountInString(strings.TrimRight(part, " ")) > columns {
				broken()
				part = strings.TrimLeft(part, " ")
			}
			put(color, shorten(part, columns))
		}
	}
	lines = lines[max(len(lines)-storyLines, 0):]
	for i, line := range lines {
		at := s.story.Min.Add(image.Pt(0, i*s.line))
		for _, p := range line {
			s.label(at, p.color, p.text)
			at.X += utf8.RuneCountInString(p.text) * s.glyph.X
		}
	}
}

// drawAttention shows the map of a head, and the latest token's row of all heads.
func (s *scene) drawAttention() {
	a, v := s.app, s.app.values
	s.label(s.mapTitle, s.colors.ink, fmt.Sprintf("Attention of block %d, head %d: each row's token looks at those of the columns", a.layer, a.head))
	if s.from == s.to {
		note := "the model has read nothing yet"
		if v.end > 0 {
			note = "the context was full: its older half has left it"
		}
		s.label(s.mapTitle.Add(image.Pt(0, 2*s.line)), s.colors.faint, note)
		return
	}
	cell := image.Pt(s.cell, s.cell)
	v.earlier(a.layer, a.head, s.from, s.to-1, func(position int, rows backend.Tensor) {
		s.add(vulkan.Cells{
			At: s.cells.Min.Add(image.Pt(0, (position-s.from)*s.cell)), Cell: cell, Gap: 1,
			Values: rows.Slice(-1, s.columns, s.to), Colors: s.colors.cells,
		})
	})
	latest := v.latest(a.layer).Slice(-1, s.columns, s.to)
	s.add(
		vulkan.Cells{
			At: image.Pt(s.cells.Min.X, s.cells.Max.Y-s.cell), Cell: cell, Gap: 1,
			Values: latest.Slice(-2, a.head, a.head+1), Colors: s.colors.cells,
		},
		vulkan.Cells{At: s.heads.Min, Cell: image.Pt(s.cell, s.headHeight), Gap: 1, Values: latest, Colors: s.colors.cells})
	s.add(vulkan.Cells{At: s.legend.Min, Cell: image.Pt(s.glyph.X, s.glyph.Y), Values: v.ramp, Colors: s.colors.cells})
	s.label(s.legend.Min.Sub(image.Pt(2*s.glyph.X, 0)), s.colors.faint, "0")
	s.label(image.Pt(s.legend.Max.X+s.glyph.X, s.legend.Min.Y), s.colors.faint, "1")
	context := a.story.context()
	middle := (s.cell - 1 - s.glyph.Y) / 2
	for i := s.columns; i < s.to; i++ {
		name := shorten(a.texts.name(context[i]), nameColumns)
		color := s.colors.faint
		if i == s.to-1 {
			color = s.colors.ink
		}
		s.labels = append(s.labels, vulkan.Label{
			At:    image.Pt(s.cells.Min.X+(i-s.columns)*s.cell+middle, s.cells.Min.Y-s.glyph.X/2),
			Color: color, Glyphs: s.font.glyphs(name), Turned: true,
		})
		if i >= s.from {
			width := utf8.RuneCountInString(name) * s.glyph.X
			s.label(image.Pt(s.cells.Min.X-width-s.glyph.X/2, s.cells.Min.Y+(i-s.from)*s.cell+middle), color, name)
		}
	}
	s.label(s.headsTitle, s.colors.ink, fmt.Sprintf("All heads of block %d: where “%s” looks", a.layer, a.texts.name(context[len(context)-1])))
	for head := range v.model.Heads {
		color := s.colors.faint
		every := (s.glyph.Y - 2 + s.headHeight - 1) / s.headHeight // so that names do not overlap
		switch off := head - a.head; {
		case off == 0:
			color = s.colors.mark
		case head%every != 0 || max(off, -off) < every:
			continue
		}
		name := fmt.Sprintf("head %d", head)
		at := image.Pt(s.heads.Min.X-len(name)*s.glyph.X-s.glyph.X/2, s.heads.Min.Y+head*s.headHeight+(s.headHeight-1-s.glyph.Y)/2)
		s.label(at, color, name)
	}
}

// rows draws names, bars and numbers of a list.
func (s *scene) rows(l list, table backend.Tensor, p vulkan.Picked) {
	if l.rows == 0 {
		return
	}
	inset := (l.pitch - s.glyph.Y) / 2
	s.add(
		vulkan.Names{Font: &s.font.Font, At: image.Pt(l.name, l.at.Y+inset), Pitch: l.pitch, Color: s.colors.ink, IDs: p.IDs, Table: table},
		vulkan.Bars{
			At: image.Pt(l.bar, l.at.Y+l.pitch/5), Width: l.barWidth, Height: l.pitch - 2*(l.pitch/5), Pitch: l.pitch,
			Color: s.colors.bar, Track: s.colors.track, Picked: p,
		},
		vulkan.Percents{Font: &s.font.Font, At: image.Pt(l.percent, l.at.Y+inset), Pitch: l.pitch, Color: s.colors.ink, Picked: p})
}

// drawNext shows the likeliest next tokens.
func (s *scene) drawNext() {
	a, v, l := s.app, s.app.values, s.next
	title := "Next token, as the model has it"
	if d := a.story.drawn; d != nil {
		title = fmt.Sprintf("Next token: drawn “%s”", a.texts.name(d.ID))
	}
	s.label(s.nextTitle, s.colors.ink, title)
	if l.rows = min(l.rows, v.shown); l.rows == 0 {
		return
	}
	if d := a.story.drawn; d != nil {
		for i, top := range d.Top[:l.rows] {
			if top.ID == d.ID {
				s.label(image.Pt(l.name-2*s.glyph.X, l.at.Y+i*l.pitch+(l.pitch-s.glyph.Y)/2), s.colors.mark, "►")
			}
		}
	}
	s.rows(l, s.font.table, vulkan.Picked{Values: v.next, IDs: v.nextIDs.Slice(-1, 0, l.rows)})
}

// drawLens shows what each block would say next.
func (s *scene) drawLens() {
	a, v, l := s.app, s.app.values, s.lens
	s.label(s.lensTitle, s.colors.ink, "Lens: what would be said after each block")
	if v.end == 0 || !v.known {
		return
	}
	to := s.lensFrom + s.vectors
	for i := s.lensFrom; i < to; i++ {
		color, name := s.colors.faint, "embedding"
		if i > 0 {
			name = fmt.Sprintf("block %d", i-1)
		}
		if i == a.layer+1 {
			color = s.colors.mark
		}
		s.label(image.Pt(l.at.X, l.at.Y+(i-s.lensFrom)*l.pitch+(l.pitch-s.glyph.Y)/2), color, name)
	}
	s.rows(l, s.font.table, vulkan.Picked{Values: v.probs.Slice(-2, s.lensFrom, to), IDs: v.likely.Slice(-1, s.lensFrom, to)})
}

// statusLine says where the model is.
func (a *app) statusLine() string {
	parts := []string{
		fmt.Sprintf("block %d (of 0 to %d)", a.layer, a.values.model.Layers-1), fmt.Sprintf("head %d (of 0 to %d)", a.head, a.values.model.Heads-1),
		fmt.Sprintf("%d of %d positions", a.values.session.Len(), a.values.session.Size()),
	}
	switch {
	case a.story.over != "":
		parts = append(parts, a.story.over)
	case !a.running:
		parts = append(parts, "paused")
	case a.rate == 0:
		parts = append(parts, "running, as fast as the device can")
	default:
		parts = append(parts, fmt.Sprintf("running, at most %.3g tokens a second", a.rate))
	}
	return strings.Join(parts, "   ")
}

var helpText = strings.Split(`space            run or pause
n, right         one token
up, down         the block before, or after
h, H             the head after, or before
mouse            click a head's row, or a row of the lens
+, -             faster, slower
?                show or hide this
q, escape        quit

Each row of the map is a token: the lighter a cell,
the more the token takes from the one of that column.
The newest row, all heads, the lens and the next tokens
are drawn from the buffers that the model's own kernels
have just written; older rows are copies of these, made
by the device. Colours go by the square root of a value.
Blocks and heads are counted from 0. “embedding” is the
lens on a token's vector before the first block.`, "\n")

// drawHelp lays the keys over the picture.
func (s *scene) drawHelp() {
	columns := 0
	for _, line := range helpText {
		columns = max(columns, utf8.RuneCountInString(line))
	}
	size := image.Pt((columns+4)*s.glyph.X, (len(helpText)+2)*s.line)
	at := s.size.Sub(size).Div(2)
	at = image.Pt(max(at.X, 0), max(at.Y, 0))
	s.labels = nil
	for i, line := range helpText {
		s.label(at.Add(image.Pt(2*s.glyph.X, (i+1)*s.line)), s.colors.ink, line)
	}
	in := image.Rectangle{at, at.Add(size)}
	s.add(vulkan.Fill{In: in, Color: s.colors.mark}, vulkan.Fill{In: in.Inset(2), Color: s.colors.panel}, vulkan.Labels{Font: &s.font.Font, List: s.labels})
}
