package chat

import (
	"context"
	"slices"
	"strings"

	"caldera/gpt/tokenizer"
)

// What stands in a message before and after the text of a special token, until the
// conversation is rendered. Unicode has these characters for a program's own use.
const (
	open  = "\uFDD0"
	close = "\uFDD1"
)

// Encoder turns conversations into tokens. Special tokens that the template writes become
// such; where a message has the text of one, it stays text.
type Encoder struct {
	template  Template
	tokenizer *tokenizer.Tokenizer
	guard     *strings.Replacer // marks special tokens in messages
	special   map[int]bool
}

// NewEncoder returns one for the models that have this tokenizer and this template.
func NewEncoder(t *tokenizer.Tokenizer, template Template) *Encoder {
	e := &Encoder{template: template, tokenizer: t, special: map[int]bool{}}
	v := t.Vocabulary()
	var texts []string
	for id, special := range v.Added {
		if special && v.Tokens[id] != "" {
			texts = append(texts, v.Tokens[id])
			e.special[id] = true
		}
	}
	// The replacer takes the first that fits: the longest.
	slices.SortFunc(texts, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := []string{open, "\uFFFD", close, "\uFFFD"}
	for _, text := range texts {
		pairs = append(pairs, text, open+text+close)
	}
	e.guard = strings.NewReplacer(pairs...)
	return e
}

// Encode returns the tokens of a conversation, and its text.
func (e *Encoder) Encode(ctx context.Context, messages []Message, o RenderOptions) (ids []int, text string, err error) {
	if text, err = e.template.Render(ctx, e.guarded(messages), o); err != nil {
		return nil, "", err
	}
	ids, err = e.encode(text, false)
	return ids, text, err
}

// known is the beginning of a conversation whose tokens are known: what was rendered, and what
// the model answered to it.
type known struct {
	text string // with marks
	ids  []int
}

// encodeAfter is encode for a text that begins as one before did. The tokens of an answer stay
// those that the model chose, which need not be those that its text becomes, so that they are not
// read again. It holds where a special token follows, which no token reaches across.
func (e *Encoder) encodeAfter(k known, text string) ([]int, error) {
	rest, begins := strings.CutPrefix(text, k.text)
	if !begins || k.text == "" {
		return e.encode(text, false)
	}
	more, err := e.encode(rest, true)
	if err != nil || len(more) == 0 || !e.special[more[0]] {
		return e.encode(text, false)
	}
	return append(slices.Clone(k.ids), more...), nil
}

// guarded are messages in which special tokens are marked.
func (e *Encoder) guarded(messages []Message) []Message {
	all := slices.Clone(messages)
	for i, m := range all {
		all[i].Content, all[i].Reasoning = e.guard.Replace(m.Content), e.guard.Replace(m.Reasoning)
	}
	return all
}

// encode returns the tokens of a conversation that was rendered of guarded messages. The
// template writes the token that begins a text, if there is one.
// continued says that it is the rest of a longer one.
func (e *Encoder) encode(text string, continued bool) (ids []int, err error) {
	for first := !continued; text != ""; first = false {
		piece, rest, marked := strings.Cut(text, open)
		options := []tokenizer.Option{tokenizer.AllowSpecial}
		if !first {
			options = append(options, tokenizer.Continued)
		}
		if ids, err = e.add(ids, piece, options); err != nil || !marked {
			return ids, err
		}
		inner, after, _ := strings.Cut(rest, close)
		if ids, err = e.add(ids, strings.ReplaceAll(inner, open, ""), []tokenizer.Option{tokenizer.Continued}); err != nil {
			return nil, err
		}
		text = after
	}
	return ids, nil
}

func (e *Encoder) add(ids []int, text string, options []tokenizer.Option) ([]int, error) {
	more, err := e.tokenizer.Encode(strings.ReplaceAll(text, close, ""), options...)
	return append(ids, more...), err
}

// endTexts are special tokens that end an answer in some family. Files name them as ends of a
// text only in part.
var endTexts = []string{
	"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "<end_of_turn>", "<turn|>", "<|end|>", "<|return|>", "<|call|>",
	"<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>", "</s>", "<eos>", "<|endofturn|>",
}

// ends are the ids of special tokens that end an answer.
func (e *Encoder) ends() (ids []int) {
	_, channels := e.tokenizer.SpecialID("<|channel|>")
	for _, text := range endTexts {
		if channels && text == "<|end|>" { // there it ends a part of an answer
			continue
		}
		if id, is := e.tokenizer.SpecialID(text); is {
			ids = append(ids, id)
		}
	}
	return ids
}
