//go:build watch && cgo

package watch

import "image"

// layout says where in a picture things are. All figures are pixels.
type layout struct {
	size   image.Point
	glyph  image.Point // size of one
	line   int         // from a line of text to the next
	margin int

	story image.Rectangle // of the text, whole lines

	mapTitle image.Point
	from, to int             // the positions that are rows of the map, a token each
	columns  int             // the first position that is a column; the last is the last row's
	cell     int             // width and height of a cell, with a gap of one pixel
	cells    image.Rectangle // the map of one head
	legend   image.Rectangle // the colours of a map, in cells

	heads      image.Rectangle // the strip: a head a row, in the columns of the map
	headsTitle image.Point
	headHeight int

	nextTitle image.Point
	next      list

	lensTitle image.Point
	lens      list
	lensFrom  int // the first of the vectors that are shown
	vectors   int // how many are

	status, help image.Point
}

// list is rows of a label, a name, a bar and a number, one below the other.
type list struct {
	at                           image.Point // top left corner of the first row
	rows                         int
	pitch                        int
	name, bar, barWidth, percent int // x of each, and the width of a bar
}

// contents are what a layout depends on.
type contents struct {
	size          image.Point // of the picture
	glyph         image.Point
	first, end    int // the positions that the maps have
	heads, layers int
	layer         int // the one that is looked at
	likeliest     int
}

const (
	storyLines  = 4
	legendCells = 21
	nameColumns = 12 // glyphs of names beside and above the map
)

// newLayout divides a picture: the story above, attention on the left, next tokens and
// the lens on the right, status and keys below. What does not fit is cut.
func newLayout(c contents) layout {
	g := c.glyph
	l := layout{size: c.size, glyph: g, line: g.Y + g.Y/4, margin: g.Y}
	w, h := c.size.X, c.size.Y
	l.story = image.Rect(l.margin, l.margin/2, w-l.margin, l.margin/2+storyLines*l.line)
	l.help = image.Pt(l.margin, h-l.line-l.margin/4)
	l.status = image.Pt(l.margin, l.help.Y-l.line)
	top, bottom := l.story.Max.Y+l.margin, l.status.Y-l.margin/2

	// The right column.
	barWidth := min(max(w/8, 6*g.X), 24*g.X)
	index := 10 * g.X // "embedding " or "block 12 " before a name
	right := w - l.margin - index - (nameLength+1)*g.X - barWidth - 7*g.X
	listAt := func(y, rows, pitch int) list {
		x := right + index
		bar := x + (nameLength+1)*g.X
		return list{at: image.Pt(right, y), rows: max(rows, 0), pitch: pitch, name: x, bar: bar, barWidth: barWidth, percent: bar + barWidth + g.X}
	}
	pitch := l.line
	l.nextTitle = image.Pt(right, top)
	rows := min(c.likeliest, max((bottom-top)/pitch/2-2, 3))
	l.next = listAt(top+l.line+l.margin/4, rows, pitch)
	l.lensTitle = image.Pt(right, l.next.at.Y+rows*pitch+l.margin)
	y := l.lensTitle.Y + l.line + l.margin/4
	l.vectors = max(min(c.layers+1, (bottom-y)/pitch), 0)
	l.lensFrom = min(max(c.layer+1-l.vectors/2, 0), c.layers+1-l.vectors)
	l.lens = listAt(y, l.vectors, pitch)

	// The left column.
	names := (nameColumns + 1) * g.X
	left := l.margin + names
	l.mapTitle = image.Pt(l.margin, top)
	l.headHeight = min(max((bottom-top)/3/max(c.heads, 1), 3), g.Y)
	strip := l.line + c.heads*l.headHeight + l.margin
	y = top + l.line + nameColumns*g.X + l.margin/4
	room := image.Pt(right-2*l.margin-left, bottom-strip-y)
	least := g.Y - 1 // so that names do not overlap
	rows = min(c.end-c.first, max(room.Y/least, 1))
	l.cell = min(max(room.Y/max(rows, 1), least), 2*g.Y)
	columns := 0
	if rows > 0 {
		columns = min(c.end, max(room.X/l.cell, 1))
	}
	rows = min(rows, columns)
	l.from, l.to, l.columns = c.end-rows, c.end, c.end-columns
	l.cells = image.Rectangle{image.Pt(left, y), image.Pt(left+columns*l.cell, y+rows*l.cell)}
	l.headsTitle = image.Pt(l.margin, l.cells.Max.Y+l.margin)
	l.legend = image.Rect(right-2*l.margin-legendCells*g.X, l.headsTitle.Y, right-2*l.margin, l.headsTitle.Y+g.Y)
	y = l.headsTitle.Y + l.line
	l.heads = image.Rect(left, y, l.cells.Max.X, y+c.heads*l.headHeight)
	return l
}

// headAt returns the head whose row of the strip is at a point, or -1.
func (l *layout) headAt(p image.Point) int {
	in := l.heads
	in.Min.X = l.margin // its label too
	if !p.In(in) || l.headHeight == 0 {
		return -1
	}
	return (p.Y - l.heads.Min.Y) / l.headHeight
}

// blockAt returns the block whose row of the lens is at a point, or -1.
func (l *layout) blockAt(p image.Point) int {
	y := p.Y - l.lens.at.Y
	if p.X < l.lens.at.X || y < 0 || y >= l.lens.rows*l.lens.pitch {
		return -1
	}
	return y/l.lens.pitch + l.lensFrom - 1
}
