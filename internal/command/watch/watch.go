// Package watch is the command that shows in a window what a GPT computes while it
// writes a text: who attends to whom, what each block would say next, and how probable
// the next tokens are:
//
//	watch -p "It is a truth universally acknowledged"
//
// The model runs on Vulkan, and so does the drawing: shaders read the buffers that the
// model's own kernels have just written. Only labels come from the host. The window
// needs cgo and the headers of the window system, so cmd/watch and cmd/caldera have it
// where they are built with the tag watch: make watch. Without the tag the command says so.
//
// run.go loads the model and opens the device. story.go writes the text, token by token.
// values.go has what is kept on the device for the drawing. layout.go says where things
// are, scene.go draws them, font.go makes glyphs. window.go shows the pictures and hears
// the keys.
package watch

import (
	"context"

	"github.com/alecthomas/kong"

	"caldera/internal/cli"
	"caldera/models"
)

type flags struct {
	cli.Hardware   `group:"Hardware"`
	cli.ListJSON   `group:"Hardware"`
	cli.ModelFlags `group:"Model"`
	Prompt         cli.Prompt   `embed:"" group:"Prompt"`
	Sampling       cli.Sampling `embed:"" group:"Sampling"`

	Predict   int     `short:"n" aliases:"n-predict,num-predict,max-tokens,max-new-tokens" default:"-1" placeholder:"N" help:"How many tokens to write; -1: until the model ends the text (${default})."`
	CtxSize   int     `short:"c" aliases:"n-ctx,num-ctx,context" placeholder:"N" help:"Positions that the context holds (default: as many as the model can, at most 1024). When it is full the older half leaves it."`
	CacheType string  `aliases:"cache-type-k,cache-type-v" enum:"auto,${caches}" default:"auto" placeholder:"TYPE" help:"Keep keys and values as one of ${caches} (auto: f16, or f32 where matrices are)."`
	IgnoreEOS bool    `name:"ignore-eos" help:"Never let the model end the text."`
	Rate      float64 `default:"4" placeholder:"R" help:"Tokens a second, at most; 0: as many as the device can (${default})."`
	Paused    bool    `help:"Wait for the key of a step, or of running, before the first token."`
	Layer     int     `placeholder:"N" help:"Show the attention of block N at first, from 0 (0)."`
	Head      int     `placeholder:"N" help:"Show head N at first, from 0 (0)."`
	Size      string  `default:"1280x800" placeholder:"WxH" help:"Width and height of the window at first, in the units of the screen (${default})."`
}

// Run shows the window.
func (f *flags) Run(ctx context.Context) error {
	if listed, err := f.List(f.ListDevices); listed || err != nil {
		return err
	}
	return f.run(ctx)
}

// Command returns the command, with flags of its own.
func Command() cli.Command {
	return cli.Command{
		Name: "watch", Help: "Show in a window what a GPT computes while it writes.",
		MainThread: true,
		Flags:      &flags{}, Vars: cli.Vars(kong.Vars{"embedded": models.Name}),
	}
}
