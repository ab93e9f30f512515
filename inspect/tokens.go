package inspect

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Token is a token of the vocabulary.
type Token struct {
	ID   int    `json:"id"`
	Text string `json:"text"` // bytes that are no whole characters as <0xE4>; of a model without a tokenizer the id
}

// Tokens is a text, cut into tokens.
type Tokens struct {
	Text       string  `json:"text"`
	Pieces     []Piece `json:"pieces"`
	Bytes      int     `json:"bytes"`
	Characters int     `json:"characters"`
	Vocab      int     `json:"vocab"` // how many tokens the model knows
}

// Piece is a token of a text.
type Piece struct {
	Token
	Bytes   string `json:"bytes"`   // in hexadecimal
	From    int    `json:"from"`    // where it begins in the text, in bytes; -1: it is not part of the text
	To      int    `json:"to"`      // where it ends
	Special bool   `json:"special"` // it stands for no text, such as the token that begins one
}

// Token is the token of an id that the model knows.
func (in *Inspector) Token(id int) Token {
	text, ok := in.text(id)
	switch {
	case in.Tokenizer == nil:
		return Token{id, fmt.Sprint(id)}
	case !ok:
		return Token{id, fmt.Sprintf("<no token %d>", id)}
	}
	return Token{id, visible(text)}
}

// text is the bytes of a token.
func (in *Inspector) text(id int) (string, bool) {
	if in.Tokenizer == nil {
		return "", false
	}
	return in.Tokenizer.Token(id)
}

// visible is s with bytes that are no characters spelled out.
func visible(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var out strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&out, "<0x%02X>", s[0])
		} else {
			out.WriteString(s[:n])
		}
		s = s[n:]
	}
	return out.String()
}

// Tokens tells of what tokens ids are. Their texts, one after the other, are the text.
func (in *Inspector) Tokens(ids []int) (*Tokens, error) {
	if err := in.known(ids); err != nil {
		return nil, err
	}
	t := &Tokens{Vocab: in.Model.Vocab, Pieces: []Piece{}}
	var all strings.Builder
	for _, id := range ids {
		p := Piece{Token: in.Token(id), From: -1, To: -1}
		if text, ok := in.text(id); ok {
			p.Special = in.special(id, text)
			p.Bytes = fmt.Sprintf("%x", text)
			if !p.Special {
				p.From = all.Len()
				all.WriteString(text)
				p.To = all.Len()
			}
		}
		t.Pieces = append(t.Pieces, p)
	}
	t.Text, t.Bytes = visible(all.String()), all.Len()
	t.Characters = utf8.RuneCountInString(all.String())
	return t, nil
}

func (in *Inspector) special(id int, text string) bool {
	special, ok := in.Tokenizer.SpecialID(text)
	return ok && special == id
}
