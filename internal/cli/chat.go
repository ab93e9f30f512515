package cli

import (
	"context"
	"errors"
	"fmt"

	"caldera/gpt/chat"
	"caldera/gpt/checkpoint"
)

// ChatTemplate has the flag for the template of chats.
type ChatTemplate struct {
	ChatTemplate string `aliases:"chat-template-file" placeholder:"FILE" help:"A chat template, in Jinja, in place of the model's own."`
}

// Read reads the template that the user names, or that of a checkpoint. instead says what to do
// with a model that has none.
func (f ChatTemplate) Read(ctx context.Context, c *checkpoint.Checkpoint, instead string) (t chat.Template, err error) {
	source := ""
	if f.ChatTemplate != "" {
		if source, err = ReadInput(ctx, f.ChatTemplate, chat.MaxTemplate); err != nil {
			return t, err
		}
	}
	own, err := c.ChatTemplate()
	switch {
	case source != "" && own.Tokens != nil:
		return chat.Template{Source: source, Tokens: own.Tokens}, nil
	case errors.Is(err, checkpoint.ErrNoChatTemplate):
		return t, Usagef("%s: %w, so it is a base model, which continues texts: %s, or give a template with --chat-template=FILE", c.Name, err, instead)
	}
	if err != nil && own.Tokens != nil {
		err = fmt.Errorf("%s: %w: give a template with --chat-template=FILE", c.Name, err)
	}
	return chat.Template(own), err
}

// Thinking has the flag for what a model writes for itself before it answers.
type Thinking struct {
	Thinking string `enum:"auto,on,off" default:"auto" placeholder:"WHEN" help:"Have the model reason before it answers, where its template can say so: on, off, or auto for the template's own choice (${default})."`
}

// Setting is what the flag says; nil for auto.
func (f Thinking) Setting() *bool {
	if f.Thinking == "auto" {
		return nil
	}
	on := f.Thinking == "on"
	return &on
}
