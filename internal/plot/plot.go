// Package plot has what the project's plots share: the font, an axis of steps with whole numbers, and writing to SVG or
// PNG, chosen by the extension of the file's name.
package plot

import (
	"bytes"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Okabe and Ito's colours, which colour-blind people can distinguish too.
var (
	SkyBlue    = color.RGBA{86, 180, 233, 255}
	Vermillion = color.RGBA{213, 94, 0, 255}
)

// Format is a file format.
type Format string

// The formats of plots.
const (
	SVG Format = "svg"
	PNG Format = "png"
)

// FormatOf returns the format for the extension of a file's name; SVG if it has none.
func FormatOf(path string) (Format, error) {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case "", ".svg":
		return SVG, nil
	case ".png":
		return PNG, nil
	default:
		return "", fmt.Errorf("%q ends in %q: expected a name that ends in .svg or .png", path, ext)
	}
}

// family is the font of all text. The program contains the font.
var family = font.Font{Typeface: "Liberation", Variant: "Sans"}

// New returns an empty plot with the font of all plots.
func New() *plot.Plot {
	p := plot.New()
	for _, f := range []*font.Font{
		&p.Title.TextStyle.Font, &p.Legend.TextStyle.Font,
		&p.X.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Label.TextStyle.Font, &p.Y.Tick.Label.Font,
	} {
		size := f.Size
		*f = family
		f.Size = size
	}
	p.Title.Padding = vg.Points(4)
	p.X.Tick.Marker, p.Y.Tick.Marker = numbers{}, numbers{}
	return p
}

const (
	margin    = vg.Length(10) // in points, around the plot
	dpi       = 144
	maxPixels = 64 << 20 // of a PNG, 4 bytes each in memory
)

// Write writes a picture of the given size. paint draws it on a white background.
func Write(w io.Writer, format Format, width, height vg.Length, paint func(draw.Canvas)) error {
	if format == PNG {
		if pixels := width.Dots(dpi) * height.Dots(dpi); pixels > maxPixels {
			return fmt.Errorf("a PNG of %.0f million pixels: expected at most %d million; write it as SVG", pixels/1e6, maxPixels/1000000)
		}
		canvas := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dpi))
		paint(inside(draw.New(canvas)))
		return png.Encode(w, canvas.Image())
	}
	// Embed the font, so that the picture looks the same on machines without it.
	canvas := vgsvg.NewWith(vgsvg.UseWH(width, height), vgsvg.EmbedFonts(true))
	area := draw.New(canvas)
	area.SetColor(color.White)
	area.Fill(area.Rectangle.Path())
	paint(inside(area))
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	text := svg.Bytes()
	for _, change := range [][2]string{
		// Some viewers ignore embedded fonts: name a fallback whose letters have the same widths.
		{"font-family:Liberation Sans;", "font-family:'Liberation Sans',Arimo,Arial,Helvetica,sans-serif;"},
		{`xlink:href="data:image/jpg;`, `xlink:href="data:image/png;`}, // which is what pictures within are
	} {
		text = bytes.ReplaceAll(text, []byte(change[0]), []byte(change[1]))
	}
	_, err := w.Write(text)
	return err
}

func inside(c draw.Canvas) draw.Canvas { return draw.Crop(c, margin, -margin, margin, -margin) }
