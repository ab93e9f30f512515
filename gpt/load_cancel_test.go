package gpt_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"caldera/backend"
	"caldera/gpt"
)

// TestLoadCancelled ends ctx in the middle of loading, where weights are mapped
// and where they are copied. What was loaded must not be left behind.
func TestLoadCancelled(t *testing.T) {
	account := openCPU(t)
	dir := base(t).write(t)
	config, err := gpt.ReadConfig(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	for name, load := range map[string]func(ctx context.Context, b backend.Backend) (*gpt.Model, error){
		"Load": func(ctx context.Context, b backend.Backend) (*gpt.Model, error) {
			return gpt.Load(ctx, b, dir, gpt.LoadOptions{})
		},
		"Random": func(ctx context.Context, b backend.Backend) (*gpt.Model, error) {
			return gpt.Random(ctx, b, config, gpt.LoadOptions{}, 1)
		},
	} {
		for _, b := range []backend.Backend{account, device{account}} {
			for _, asked := range []int{0, 7} {
				before := account.allocated + len(account.mapped)
				_, err := load(&countdown{t.Context(), asked}, b)
				if !errors.Is(err, context.Canceled) || account.inUse() != 0 {
					t.Errorf("%s on %T, cancelled after being asked %d times: %v, %d buffers left", name, b, asked, err, account.inUse())
				}
				if touched := account.allocated + len(account.mapped) - before; (touched > 0) != (asked > 0) {
					t.Errorf("%s on %T, cancelled after being asked %d times: it had taken %d bytes or mappings", name, b, asked, touched)
				}
			}
		}
	}
}
