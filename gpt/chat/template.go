package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxTemplate is how many bytes a template may have. Published ones have up to 20,000.
const MaxTemplate = 1 << 20

// A Template is a program in Jinja that writes a conversation as the text that a model
// learned to answer. It comes with the model, and nobody vouches for it.
type Template struct {
	Source string

	// Tokens are the texts of special tokens by their names in tokenizer_config.json, such as
	// bos_token, which the template may write.
	Tokens map[string]string
}

// A Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // system, user or assistant
	Content string `json:"content"`

	// Reasoning is what a model wrote for itself before it answered. Most templates leave that
	// of earlier turns out.
	Reasoning string `json:"reasoning_content,omitempty"`
}

// Roles of messages.
const (
	System    = "system"
	User      = "user"
	Assistant = "assistant"
)

// RenderOptions say how a conversation is written.
type RenderOptions struct {
	Answer   bool  // end with what comes before an answer of the model
	Thinking *bool // whether the model is to reason first, where its template knows enable_thinking; nil: as the template has it
}

// Render writes a conversation. The template runs in a process of its own, with bounds on its
// time and memory: see worker.go. An error that the template raises is a [RefusedError]; one that writes nothing where the
// model is to answer is an error too.
func (t Template) Render(ctx context.Context, messages []Message, o RenderOptions) (string, error) {
	values := map[string]any{"messages": messages, "add_generation_prompt": o.Answer, "tools": nil, "documents": nil}
	for name, text := range t.Tokens {
		values[name] = text
	}
	if o.Thinking != nil {
		values["enable_thinking"] = *o.Thinking
	}
	text, err := json.Marshal(values)
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	written, err := t.render(ctx, text)
	if err == nil && written == "" && o.Answer {
		err = errors.New("chat template: it writes nothing for this conversation")
	}
	return written, err
}

// A RefusedError is what a template says of a conversation that it cannot write, such as one
// with a system prompt that the model does not know.
type RefusedError struct{ Message string }

func (e *RefusedError) Error() string { return "the chat template refuses: " + e.Message }

// render writes values, a JSON object of what the template's names stand for.
func (t Template) render(ctx context.Context, values []byte) (string, error) {
	switch {
	case len(t.Source) > MaxTemplate:
		return "", fmt.Errorf("chat template: found %d bytes, expected at most %d", len(t.Source), MaxTemplate)
	case !utf8.ValidString(t.Source):
		return "", errors.New("chat template: it is not valid UTF-8")
	}
	a, err := isolated(ctx, request{Template: t.Source, Values: values})
	switch {
	case err != nil:
		return "", fmt.Errorf("chat template: %w", err)
	case a.Refused != "":
		return "", &RefusedError{a.Refused}
	case a.Error != "":
		return "", fmt.Errorf("chat template: %s", a.Error)
	}
	return a.Text, nil
}

// KnowsThinking reports whether the template asks whether the model is to reason.
func (t Template) KnowsThinking() bool { return strings.Contains(t.Source, "enable_thinking") }
