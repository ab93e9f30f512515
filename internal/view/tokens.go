package view

import (
	"context"
	"fmt"
	"strings"

	"caldera/inspect"
	"caldera/internal/printable"
)

// Tokens are the parameters of the view of a text's tokens.
type Tokens struct {
	Text
}

// Run cuts the text up.
func (p *Tokens) Run(_ context.Context, in *inspect.Inspector) (Result, error) {
	ids, err := p.ids(in)
	if err != nil {
		return nil, err
	}
	t, err := in.Tokens(ids)
	if err != nil {
		return nil, err
	}
	return TokensResult{t}, nil
}

// TokensResult is what the view shows.
type TokensResult struct{ *inspect.Tokens }

// grounds are colours of a terminal of 256 colours that tell neighbours apart.
var grounds = []int{153, 223, 158, 225, 229}

// Text writes the text with the boundaries of its tokens, and a table.
func (r TokensResult) Text(s *Screen) error {
	var line strings.Builder
	for i, p := range r.Pieces {
		text := printable.Text(p.Text)
		if s.Color {
			text = s.with(fmt.Sprintf("\x1b[48;5;%dm\x1b[38;5;16m", grounds[i%len(grounds)]), text)
		} else if i > 0 {
			text = "|" + text
		}
		line.WriteString(text)
	}
	if err := s.Print("%s\n\n%s tokens of %s bytes, %s characters; the model knows %s tokens\n", line.String(),
		count(len(r.Pieces)), count(r.Bytes), count(r.Characters), count(r.Vocab)); err != nil {
		return err
	}
	rows := r.Table()
	for i, p := range r.Pieces {
		rows[i+1][2] = Quote(p.Token)
	}
	return s.Table(rows)
}

// Table has a row a token.
func (r TokensResult) Table() [][]string {
	rows := [][]string{{"position", "id", "text", "bytes", "from", "to"}}
	for i, p := range r.Pieces {
		rows = append(rows, []string{fmt.Sprint(i), fmt.Sprint(p.ID), p.Text, p.Bytes, fmt.Sprint(p.From), fmt.Sprint(p.To)})
	}
	return rows
}
