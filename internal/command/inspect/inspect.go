// Package inspect is the command that looks into a GPT while it reads a text:
//
//	inspect tokens "It is a truth universally acknowledged"
//	inspect tally --shape=gpt3
//	inspect serve
//
// What each command below inspect may be asked, and how it answers, is in package
// view; ask.go runs a view on a model, and output.go writes the answer. serve.go serves
// all of them as a page.
package inspect

import (
	"context"
	"strings"

	"github.com/alecthomas/kong"

	"caldera/gpt/model"
	"caldera/internal/cli"
	"caldera/internal/view"
	"caldera/models"
)

type commands struct {
	Tally     tallyCommand                             `cmd:"" help:"${help_tally}"`
	Tokens    command[view.Tokens, *view.Tokens]       `cmd:"" help:"${help_tokens}"`
	Embed     command[view.Embed, *view.Embed]         `cmd:"" help:"${help_embed}"`
	Next      command[view.Next, *view.Next]           `cmd:"" help:"${help_next}"`
	Attention command[view.Attention, *view.Attention] `cmd:"" help:"${help_attention}"`
	Context   command[view.Context, *view.Context]     `cmd:"" help:"${help_context}"`
	Lens      command[view.Lens, *view.Lens]           `cmd:"" help:"${help_lens}"`
	MLP       command[view.MLP, *view.MLP]             `cmd:"" name:"mlp" help:"${help_mlp}"`
	Forget    command[view.Forget, *view.Forget]       `cmd:"" help:"${help_forget}"`
	Learn     learnCommand                             `cmd:"" help:"${help_learn}"`

	Serve serveCommand `cmd:"" help:"Serve a page in which all of this is seen on one text, with sampling step by step and a model that learns."`
}

// Command returns the command, with flags of its own.
func Command() cli.Command {
	var names []string
	for _, v := range view.All() {
		names = append(names, v.Name)
	}
	return cli.Command{
		Name: "inspect", Help: "Look into a GPT while it reads a text.", Flags: &commands{}, Vars: Vars(),
		Arguments: "expected one of the commands " + strings.Join(append(names, "serve"), ", "),
	}
}

// Vars are the values of ${…} in the tags of flags and of views.
func Vars() kong.Vars {
	vars := cli.Vars(kong.Vars{"embedded": models.Name, "shapes": strings.Join(model.ShapeNames(), ", ")})
	for _, v := range view.All() {
		vars["help_"+v.Name] = v.Help
	}
	return vars
}

// command is the command of a view, whose parameters are its flags.
type command[P any, View interface {
	*P
	view.Params
}] struct {
	lookFlags
	Params P `embed:""`
}

// Run looks.
func (c *command[P, View]) Run(ctx context.Context) error { return c.ask(ctx, View(&c.Params)) }

// tallyCommand counts weights. It loads none, and needs no device.
type tallyCommand struct {
	outputFlags
	Model  string     `short:"m" placeholder:"PATH" help:"Checkpoint, or a model of Hugging Face's hub (default: the embedded model, ${embedded})."`
	Wide   cli.Wide   `help:"Write tables whole, however wide."`
	Params view.Tally `embed:""`
}

// Run counts.
func (c *tallyCommand) Run(ctx context.Context) error {
	if c.Model != "" && c.Params.Shape != "" {
		return cli.Usagef("both --model=%s and --shape=%s: give one of them", c.Model, c.Params.Shape)
	}
	var config model.Config
	flags := cli.ModelFlags{Model: c.Model}
	if c.Params.Shape == "" {
		checkpoint, err := flags.Open(ctx, stderr)
		if err != nil {
			return err
		}
		config = checkpoint.Config
		if err := checkpoint.Close(); err != nil {
			return err
		}
	}
	result, err := c.Params.Of(config, flags.Name())
	if err != nil {
		return usage(err)
	}
	return c.write(&view.Answer{View: "tally", Model: flags.Name(), Result: result})
}
