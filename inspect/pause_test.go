package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/gpttest"
)

// TestPause uses an Inspector for something else in the pauses of long work, which must
// give the same as without.
func TestPause(t *testing.T) {
	in := random(t, gpttest.OpenCPU(t), model.Config{Family: "gpt2", Layers: 2, Heads: 2, Width: 16, Context: 200, Vocab: 37})
	offs := [][]inspect.Part{{{Block: 0, Kind: inspect.Head, Head: 1}}, {{Block: 1, Kind: inspect.MLP}}, {{Block: 1, Kind: inspect.WholeBlock}}}
	works := map[string]func(ctx context.Context) (any, error){
		"ablation": func(ctx context.Context) (any, error) {
			return in.AblateEach(ctx, ids(100, 37), offs, inspect.AblationOptions{Position: -1, Token: -1, Top: 3})
		},
		"forget": func(ctx context.Context) (any, error) {
			return in.Forget(ctx, ids(5, 37), inspect.ForgetOptions{Context: 4, Predict: 2, Sampling: gpt.Sampling{Temperature: 1, Seed: 3}, Top: 3})
		},
	}
	for name, work := range works {
		want, err := work(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pauses := 0
		got, err := work(inspect.WithPause(t.Context(), func() error {
			pauses++
			if _, err := in.Run(t.Context(), ids(7, 37), "hidden.*"); err != nil {
				return err
			}
			// Another text than that of the work: what reads it is made anew.
			_, err := in.Ablate(t.Context(), ids(60*pauses, 37), offs[0], inspect.AblationOptions{Position: -1, Token: -1})
			return err
		}))
		if a, b := text(t, got), text(t, want); err != nil || a != b {
			t.Errorf("%s: found %s (%v), expected %s", name, a, err, b)
		}
		if pauses != 3 {
			t.Errorf("%s pauses %d times, expected 3", name, pauses)
		}
		failed := errors.New("no more")
		if _, err := work(inspect.WithPause(t.Context(), func() error { return failed })); !errors.Is(err, failed) {
			t.Errorf("%s goes on after a pause that failed: %v", name, err)
		}
		if _, err := in.Profile(func() error {
			_, err := work(inspect.WithPause(t.Context(), func() error { return failed }))
			return err
		}); err != nil {
			t.Errorf("%s pauses while it is measured: %v", name, err)
		}
	}
}

func text(t *testing.T, result any) string {
	t.Helper()
	b, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
