//go:build watch && cgo

package watch

import (
	"fmt"
	"image"
	"unicode"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"caldera/backend"
	"caldera/backend/vulkan"
	"caldera/gpt/tokenizer"
)

// alphabet is Go Mono in one size, on the device: Latin, Greek, Cyrillic and some signs.
type alphabet struct {
	vulkan.Font
	glyph map[rune]int32
	table backend.Tensor // i32 [vocab, nameLength]: the texts of all tokens
}

const (
	fontSize   = 14 // pixels, where the screen has its usual density
	nameLength = 14 // glyphs of a token's text that are shown
	lastRune   = 0x2fff
	ellipsis   = '…'
	noGlyph    = '□' // stands for a rune that the font lacks
)

// newAlphabet draws the glyphs for a screen of a density, 1 or more, and writes them and
// the texts of a vocabulary to the device.
func newAlphabet(b backend.Backend, density float64, vocab int, names texts) (_ *alphabet, err error) {
	parsed, err := opentype.Parse(gomono.TTF)
	if err != nil {
		return nil, err
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: fontSize * density, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, err
	}
	defer face.Close()
	advance, ok := face.GlyphAdvance('M')
	if !ok {
		return nil, fmt.Errorf("the font has no M")
	}
	metrics := face.Metrics()
	a := &alphabet{glyph: map[rune]int32{}}
	a.Width, a.Height = advance.Ceil(), (metrics.Ascent + metrics.Descent).Ceil()
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	words := vulkan.AtlasWords(a.Width, a.Height)
	var atlas []int32
	for r := ' '; r <= lastRune; r++ {
		// A font gives its own sign for what it lacks, index 0.
		if index, err := parsed.GlyphIndex(nil, r); err != nil || index == 0 && r != ' ' || !unicode.IsPrint(r) {
			continue
		}
		a.glyph[r] = int32(len(atlas) / words)
		atlas = append(atlas, draw(face, r, a.Width, a.Height, metrics.Ascent)...)
	}
	var digits []int32
	for _, r := range "0123456789.% ?" {
		digits = append(digits, a.glyph[r])
	}
	table := make([]int32, 0, vocab*nameLength)
	for id := range vocab {
		name := a.glyphs(shorten(names.name(id), nameLength))
		for len(name) < nameLength {
			name = append(name, -1) // none
		}
		table = append(table, name...)
	}
	for _, t := range []struct {
		to     *backend.Tensor
		values []int32
		dims   []int
	}{
		{&a.Atlas, atlas, []int{len(atlas) / words, words}},
		{&a.Digits, digits, []int{len(digits)}},
		{&a.table, table, []int{vocab, nameLength}},
	} {
		if *t.to, err = backend.New(b, backend.I32, t.dims...); err != nil {
			return nil, fmt.Errorf("memory for glyphs: %w", err)
		}
		if err = backend.SetI32(b, *t.to, t.values); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *alphabet) close() {
	for _, t := range []backend.Tensor{a.Atlas, a.Digits, a.table} {
		if t.Buf != nil {
			t.Buf.Free()
		}
	}
}

// draw returns the coverage of a glyph in the layout of a vulkan.Font.
func draw(face font.Face, r rune, width, height int, ascent fixed.Int26_6) []int32 {
	dst := image.NewAlpha(image.Rect(0, 0, width, height))
	d := font.Drawer{Dst: dst, Src: image.Opaque, Face: face, Dot: fixed.Point26_6{Y: ascent}}
	d.DrawString(string(r))
	words := (width + 3) / 4
	out := make([]int32, height*words)
	for y := range height {
		for x := range width {
			out[y*words+x/4] |= int32(uint32(dst.AlphaAt(x, y).A) << (x % 4 * 8))
		}
	}
	return out
}

// glyphs returns the glyphs of a text, in which every rune is shown.
func (a *alphabet) glyphs(text string) []int32 {
	out := make([]int32, 0, len(text))
	for _, r := range text {
		g, ok := a.glyph[r]
		if !ok {
			g = a.glyph[noGlyph]
		}
		out = append(out, g)
	}
	return out
}

// texts are the texts of tokens, for people.
type texts struct{ tokenizer *tokenizer.Tokenizer } // nil: there is none

// name is a token's text in one line: a space is ·, a line break ¶, a tab →, and a byte
// that is no character of its own its two digits.
func (t texts) name(id int) string {
	if t.tokenizer == nil {
		return fmt.Sprintf("%d", id)
	}
	text, ok := t.tokenizer.Token(id)
	if !ok {
		return fmt.Sprintf("<%d>", id)
	}
	var out []rune
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == ' ':
			r = '·'
		case r == '\n':
			r = '¶'
		case r == '\t':
			r = '→'
		case r == utf8.RuneError && n == 1 || !unicode.IsPrint(r):
			for _, b := range []byte(text[:n]) {
				out = append(out, []rune(fmt.Sprintf("‹%02x›", b))...)
			}
			text = text[n:]
			continue
		}
		out, text = append(out, r), text[n:]
	}
	return string(out)
}

// decoder returns a function that turns the tokens of a text, one after the other, into
// characters.
func (t texts) decoder() func(id int) string {
	if t.tokenizer == nil {
		return func(id int) string { return fmt.Sprintf("%d ", id) }
	}
	d := t.tokenizer.NewDecoder()
	return func(id int) string {
		text, err := d.Next(id)
		if err != nil {
			return t.name(id) // a row of the model that no token belongs to
		}
		return text
	}
}

// shorten returns a text of at most n runes: its beginning, and a sign that there is more.
func shorten(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + string(ellipsis)
}
