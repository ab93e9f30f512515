package checkpoint_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

// TestLoadCancelled ends ctx in the middle of loading, where weights are mapped
// and where they are copied. What was loaded must not be left behind.
func TestLoadCancelled(t *testing.T) {
	account := gpttest.OpenCPU(t)
	dir := gpttest.Base(t).Write(t)
	config, err := checkpoint.ReadConfig(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	for name, load := range map[string]func(ctx context.Context, b backend.Backend) (*model.Model, error){
		"Load": func(ctx context.Context, b backend.Backend) (*model.Model, error) {
			return gpt.Load(ctx, b, dir, gpt.LoadOptions{})
		},
		"Random": func(ctx context.Context, b backend.Backend) (*model.Model, error) {
			return gpt.Random(ctx, b, config, gpt.LoadOptions{}, 1)
		},
	} {
		for _, b := range []backend.Backend{account, gpttest.DeviceOf(account)} {
			for _, asked := range []int{0, 7} {
				before := account.Allocated + len(account.Mapped)
				_, err := load(gpttest.Countdown(t.Context(), asked), b)
				if !errors.Is(err, context.Canceled) || account.InUse() != 0 {
					t.Errorf("%s on %T, cancelled after being asked %d times: %v, %d buffers left", name, b, asked, err, account.InUse())
				}
				if touched := account.Allocated + len(account.Mapped) - before; (touched > 0) != (asked > 0) {
					t.Errorf("%s on %T, cancelled after being asked %d times: it had taken %d bytes or mappings", name, b, asked, touched)
				}
			}
		}
	}
}
