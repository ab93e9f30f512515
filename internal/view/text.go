package view

import (
	"strconv"
	"strings"

	"caldera/gpt/tokenizer"
	"caldera/inspect"
)

// Text is the text that a view looks at.
type Text struct {
	Words   []string `arg:"" optional:"" empty:"" name:"text" help:"The text."`
	Tokens  *string  `placeholder:"IDS" help:"Token ids such as 5,17,3, in place of a text."`
	Special bool     `help:"Read <|endoftext|> and other special tokens in the text as such, not as letters."`
}

// Source is where a command puts a text that it reads from a file.
func (t *Text) Source() *Text { return t }

// IDs are the tokens of the text.
func (t *Text) IDs(in *inspect.Inspector) ([]int, error) { return t.ids(in) }

func (t *Text) ids(in *inspect.Inspector) ([]int, error) { return t.idsUpTo(in.Model.Context, in) }

// idsUpTo are the tokens of a text of up to so many.
func (t *Text) idsUpTo(most int, in *inspect.Inspector) ([]int, error) {
	if t.Tokens != nil {
		if len(t.Words) > 0 {
			return nil, inspect.Userf("both a text and tokens: give one of them")
		}
		return parseIDs(*t.Tokens, in.Model.Vocab)
	}
	var options []tokenizer.Option
	if t.Special {
		options = append(options, tokenizer.AllowSpecial)
	}
	return in.EncodeUpTo(most, strings.Join(t.Words, " "), options...)
}

func parseIDs(list string, vocab int) ([]int, error) {
	var ids []int
	for _, s := range strings.Split(list, ",") {
		id, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || id < 0 || id >= vocab {
			return nil, inspect.Userf("tokens: %q is not the id of a token: expected numbers from 0 to %d with commas between", s, vocab-1)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
