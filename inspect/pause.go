package inspect

import "context"

type pauseKey struct{}

// WithPause has work of many runs of the model call pause between two of them. While
// pause runs, the Inspector may be used for something else, so that long work does not
// keep others waiting. An error of pause ends the work. Work that [Inspector.Profile]
// measures does not pause.
func WithPause(ctx context.Context, pause func() error) context.Context {
	return context.WithValue(ctx, pauseKey{}, pause)
}

func (in *Inspector) pause(ctx context.Context) error {
	pause, ok := ctx.Value(pauseKey{}).(func() error)
	if !ok || pause == nil || in.profiling {
		return nil
	}
	return pause()
}
