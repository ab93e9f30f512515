package checkpoint_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/internal/gpttest"
)

// TestFamiliesRoundTrip converts a model of each family to GGUF and back: weights and
// settings are the same, and all files give the same scores, on a backend that maps them
// and on one that does not, and to be trained.
func TestFamiliesRoundTrip(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for _, name := range gpttest.FamilyReferences {
		if name == "gemma3-layers" { // whose scores are divided by what GGUF cannot say
			gpttest.WantError(t, gpttest.OpenCheckpoint(t, "../testdata/"+name).SaveGGUF(t.Context(), filepath.Join(t.TempDir(), "x.gguf"), checkpoint.SaveOptions{}),
				"GGUF cannot say that query_pre_attn_scalar is 6: programs that read it would take 8")
			continue
		}
		t.Run(name, func(t *testing.T) {
			from := gpttest.OpenCheckpoint(t, "../testdata/"+name)
			dir := gpttest.SaveDir(t, from, backend.None)
			path := filepath.Join(t.TempDir(), "model.gguf")
			if err := from.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{Warn: func(what string) { t.Log(what) }}); err != nil {
				t.Fatal(err)
			}
			back := gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, path), backend.None)
			want, err := os.ReadFile(filepath.Join(dir, "config.json"))
			got, err2 := os.ReadFile(filepath.Join(back, "config.json"))
			if diff := cmp.Diff(string(want), string(got)); diff != "" || err != nil || err2 != nil {
				t.Errorf("config.json (-want +got): %v, %v\n%s", err, err2, diff)
			}
			first, second, third := gpttest.ReadDirectory(t, "../testdata/"+name), gpttest.ReadDirectory(t, dir), gpttest.ReadDirectory(t, back)
			for _, x := range first.Tensors {
				if !slices.Equal(second.Tensor(x.Name).Data, x.Data) {
					t.Errorf("%s: saved again it differs", x.Name)
				}
				gpttest.CheckNear(t, x.Name+" by GGUF", gpttest.Numbers(t, *third.Tensor(x.Name)), gpttest.Numbers(t, x), 5e-7) // 1 is added to scales of norms and taken off
			}
			if len(third.Tensors) != len(first.Tensors) {
				t.Errorf("%d tensors, expected %d", len(third.Tensors), len(first.Tensors))
			}
			scores := gpttest.Logits(t, b, "../testdata/"+name, gpt.LoadOptions{})
			for _, path := range []string{dir, path, back} {
				gpttest.CheckNear(t, path, gpttest.Logits(t, b, path, gpt.LoadOptions{}), scores, 2e-6)
				gpttest.CheckNear(t, path+" on a device", gpttest.Logits(t, gpttest.DeviceOf(b), path, gpt.LoadOptions{}), scores, 2e-6)
				gpttest.CheckNear(t, path+" to be trained", gpttest.Logits(t, b, path, gpt.LoadOptions{Train: true}), scores, 2e-6)
			}
		})
	}
}
