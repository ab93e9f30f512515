package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"caldera/gpt"
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
// --tokens. Without any they are what begins a text.
func (f Prompt) IDs(ctx context.Context, text string, m *model.Model, t *tokenizer.Tokenizer, s *gpt.Session) ([]int, error) {
	if f.Tokens != nil {
		known := m.Vocab
		if t != nil {
			known = t.VocabSize()
		}
		return parseIDs(*f.Tokens, known)
	}
	if text == "" {
		if t != nil && len(t.Prefix()) > 0 {
			return t.Prefix(), nil
		}
		if len(m.BOS) == 0 {
			return nil, Usagef("no prompt: this model has no token that begins a text, so give it one with -p, -f or --tokens")
		}
		return m.BOS[:1], nil
	}
	if t == nil {
		return nil, fmt.Errorf("the checkpoint has no tokenizer files (tokenizer.json, or vocab.json and merges.txt): give ids with --tokens=5,17,…")
	}
	if err := s.FitsText(len(text), t.Longest()); err != nil {
		return nil, err
	}
	var options []tokenizer.Option
	if f.Special {
		options = append(options, tokenizer.AllowSpecial)
	}
	ids, err := t.EncodePrompt(text, options...)
	if err != nil {
		return nil, err
	}
	return ids, ctx.Err()
}

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
