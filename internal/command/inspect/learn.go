package inspect

import (
	"context"

	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/cli"
	"caldera/internal/view"
)

// learnCommand looks at the checkpoints of a training run. It needs a device, and
// loads one of them after the other.
type learnCommand struct {
	deviceFlags
	Params view.Learn `embed:""`
}

// Run looks.
func (c *learnCommand) Run(ctx context.Context) error { return c.ask(ctx, &c.Params, c.open) }

// open makes an Inspector that has a device and no model.
func (c *learnCommand) open(_ context.Context, h cli.Hardware) (*inspect.Inspector, func() error, error) {
	b, _, err := h.Open(stderr)
	if err != nil {
		return nil, nil, err
	}
	in := inspect.New(&model.Model{Backend: b}, nil, inspect.Options{Name: c.Params.Folder})
	return in, func() error {
		in.Close()
		return b.Close()
	}, nil
}
