package gpttest

import (
	"context"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/inspect"
	"caldera/models"
)

// Inspect loads the embedded model and its tokenizer, to look into it.
func Inspect(tb testing.TB, b backend.Backend) *inspect.Inspector {
	tb.Helper()
	c, err := checkpoint.OpenFS(models.Default(), models.Name)
	if err != nil {
		tb.Fatal(err)
	}
	t, err := c.Tokenizer()
	if err != nil {
		tb.Fatal(err)
	}
	m, err := gpt.LoadCheckpoint(context.Background(), b, c, gpt.LoadOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	in := inspect.New(m, t, inspect.Options{Name: models.Name})
	tb.Cleanup(func() {
		in.Close()
		m.Close()
	})
	return in
}
