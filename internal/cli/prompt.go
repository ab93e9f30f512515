package cli

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"caldera/gpt"
	"caldera/gpt/chat"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/printable"
)

// maxPrompt bounds what is read from a file: far more than any context holds.
const maxPrompt = 64 << 20

// Prompt has the flags that give the text to continue.
type Prompt struct {
	Words   []string `arg:"" optional:"" empty:"" name:"prompt" help:"The text to continue."`
	Prompt  *string  `short:"p" empty:"" xor:"prompt" placeholder:"TEXT" help:"The text to continue; without any, standard input if it is not a terminal."`
	File    *string  `short:"f" xor:"prompt" placeholder:"FILE" help:"A file with the text to continue, - for standard input; a newline at its end is left out."`
	Tokens  *string  `xor:"prompt" placeholder:"IDS" help:"Token ids to continue, such as 5,17,3, in place of text."`
	Special bool     `help:"Read <|endoftext|> and other special tokens in the text as such, not as letters."`

	// Chat, if not nil, makes the text a message, which the model is to answer.
	Chat *ChatPrompt `kong:"-"`
}

// ChatPrompt is how a message is written.
type ChatPrompt struct {
	Template chat.Template
	System   string // what the system says before; empty for nothing
	Thinking *bool  // as in [chat.RenderOptions]
	encoder  *chat.Encoder
	before   []int // what the template writes before a message, with what the system says
}

// Text returns the prompt as the user gave it, or "" if there is none.
func (f Prompt) Text(ctx context.Context) (text string, err error) {
	if len(f.Words) > 0 && (f.Prompt != nil || f.File != nil || f.Tokens != nil) {
		return "", Usagef("two prompts: %q and another by a flag", strings.Join(f.Words, " "))
	}
	source := "the prompt"
	switch {
	case f.Tokens != nil:
		return "", nil
	case len(f.Words) > 0:
		text = strings.Join(f.Words, " ")
	case f.Prompt != nil:
		text = *f.Prompt
	case f.File != nil:
		source = *f.File
		text, err = readPrompt(ctx, *f.File)
	case !term.IsTerminal(int(os.Stdin.Fd())):
		source = "standard input"
		text, err = readPrompt(ctx, "-")
	}
	if err != nil {
		return "", err
	}
	if at := printable.InvalidUTF8([]byte(text)); at >= 0 {
		return "", Usagef("%s is not valid UTF-8: byte %d is 0x%02x; convert it to UTF-8", source, at, text[at])
	}
	return text, nil
}

// readPrompt reads a file, or standard input for "-". The newline with which
// editors and echo end a text is no part of the prompt, as in llama.cpp; on
// Windows it is two characters.
func readPrompt(ctx context.Context, path string) (string, error) {
	text, err := ReadInput(ctx, path, maxPrompt)
	if end, found := strings.CutSuffix(text, "\r\n"); found {
		return end, err
	}
	return strings.TrimSuffix(text, "\n"), err
}

// IDs returns the tokens to continue: those of the text, which Text has returned, or of
// --tokens. Without any they are what begins a text. It returns an error for a prompt
// that does not fit in the room of a context.
func (f Prompt) IDs(ctx context.Context, text string, c model.Config, t *tokenizer.Tokenizer, room gpt.Room) (ids []int, err error) {
	if f.Tokens != nil {
		ids, err = parseIDs(*f.Tokens, Known(c, t))
	} else {
		ids, err = f.Encode(ctx, text, c, t, room)
	}
	if err == nil {
		err = room.Fits(ids)
	}
	if err != nil {
		return nil, err
	}
	return ids, ctx.Err()
}

// Beginning is how many of a prompt's tokens are to stay in a context that gets full: those that
// begin a text, or a conversation with what the system says.
func (f Prompt) Beginning(ids []int, c model.Config, t *tokenizer.Tokenizer) int {
	same := func(begin []int) int {
		n := 0
		for n < min(len(ids), len(begin)) && ids[n] == begin[n] {
			n++
		}
		return n
	}
	n := 0
	if len(ids) > 0 && slices.Contains(c.BOS, ids[0]) {
		n = 1
	}
	if t != nil {
		n = max(n, same(t.Prefix()))
	}
	if f.Chat != nil {
		n = max(n, same(f.Chat.before))
	}
	return n
}

// Known is how many tokens there are: a prompt may have ids below it. t is nil for none.
func Known(c model.Config, t *tokenizer.Tokenizer) int {
	if t != nil {
		return t.VocabSize()
	}
	return c.Vocab
}

// Encode returns the tokens of a text, or for "" what begins a text. It returns an error
// for a text of so many bytes that it cannot fit in the room of a context; ids of other
// texts may still be too many for it.
func (f Prompt) Encode(ctx context.Context, text string, c model.Config, t *tokenizer.Tokenizer, room gpt.Room) ([]int, error) {
	if f.Chat != nil {
		return f.Chat.encode(ctx, text, t, room)
	}
	if text == "" {
		if t != nil && len(t.Prefix()) > 0 {
			return t.Prefix(), nil
		}
		if len(c.BOS) == 0 {
			return nil, Usagef("no prompt: this model has no token that begins a text, so give it one with -p, -f or --tokens")
		}
		return c.BOS[:1], nil
	}
	if t == nil {
		return nil, errNoTokenizer
	}
	if err := room.FitsText(len(text), t.Longest()); err != nil {
		return nil, err
	}
	var options []tokenizer.Option
	if f.Special {
		options = append(options, tokenizer.AllowSpecial)
	}
	return t.EncodePrompt(text, options...)
}

// encode returns the tokens of a message and what the template writes around it.
func (p *ChatPrompt) encode(ctx context.Context, text string, t *tokenizer.Tokenizer, room gpt.Room) ([]int, error) {
	if text == "" {
		return nil, Usagef("no prompt: give the message that the model is to answer with -p, -f or standard input")
	}
	if t == nil {
		return nil, errNoTokenizer
	}
	if err := room.FitsText(len(text), t.Longest()); err != nil {
		return nil, err
	}
	var messages []chat.Message
	if p.System != "" {
		messages = append(messages, chat.Message{Role: chat.System, Content: p.System})
	}
	if p.encoder == nil {
		p.encoder = chat.NewEncoder(t, p.Template)
		if len(messages) > 0 { // a template that refuses them alone keeps what begins a text
			p.before, _, _ = p.encoder.Encode(ctx, messages, chat.RenderOptions{Thinking: p.Thinking})
		}
	}
	ids, _, err := p.encoder.Encode(ctx, append(messages, chat.Message{Role: chat.User, Content: text}), chat.RenderOptions{Answer: true, Thinking: p.Thinking})
	return ids, err
}

// errNoTokenizer is the error of a text for a checkpoint without a tokenizer.
var errNoTokenizer = errors.New("the checkpoint has no tokenizer files (tokenizer.json, or vocab.json and merges.txt): give ids with --tokens=5,17,…")

func parseIDs(list string, vocab int) ([]int, error) {
	var ids []int
	for _, s := range strings.Split(list, ",") {
		id, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || id < 0 || id >= vocab {
			return nil, Usagef("--tokens: %q is not the id of a token: expected numbers from 0 to %d with commas between", s, vocab-1)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
