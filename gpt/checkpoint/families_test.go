package checkpoint_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/checkpoint/safetensors"
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
		if strings.HasSuffix(name, "-window") { // which llama.cpp does not read of these families
			path := filepath.Join(t.TempDir(), "x.gguf")
			gpttest.WantError(t, gpttest.OpenCheckpoint(t, "../testdata/"+name).SaveGGUF(t.Context(), path, checkpoint.SaveOptions{}), "GGUF cannot say that use_sliding_window is true")
			dir := gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, "../testdata/"+name), backend.None)
			gpttest.CheckNear(t, name+", saved", gpttest.Logits(t, b, dir, gpt.LoadOptions{}), gpttest.Logits(t, b, "../testdata/"+name, gpt.LoadOptions{}), 0)
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
				if x.DType == safetensors.U8 { // blocks become numbers, which scores show
					continue
				}
				if !slices.Equal(second.Tensor(x.Name).Data, x.Data) {
					t.Errorf("%s: saved again it differs", x.Name)
				}
				gpttest.CheckNear(t, x.Name+" by GGUF", gpttest.Numbers(t, *third.Tensor(x.Name)), gpttest.Numbers(t, x), 5e-7) // 1 is added to scales of norms and taken off
			}
			if len(third.Tensors) != len(second.Tensors) {
				t.Errorf("%d tensors, expected %d", len(third.Tensors), len(second.Tensors))
			}
			scores := gpttest.Logits(t, b, "../testdata/"+name, gpt.LoadOptions{Activations: backend.F32})
			for _, path := range []string{dir, path, back} {
				gpttest.CheckNear(t, path, gpttest.Logits(t, b, path, gpt.LoadOptions{Activations: backend.F32}), scores, 2e-6)
				gpttest.CheckNear(t, path+" on a device", gpttest.Logits(t, gpttest.DeviceOf(b), path, gpt.LoadOptions{Activations: backend.F32}), scores, 2e-6)
				if from.Config.Architecture().Untrained != "" {
					continue
				}
				gpttest.CheckNear(t, path+" to be trained", gpttest.Logits(t, b, path, gpt.LoadOptions{Train: true}), scores, 2e-6)
			}
		})
	}
}

// FuzzFamiliesGGUF replaces a value of the metadata of models whose layers are of two kinds,
// or whose positions are scaled.
func FuzzFamiliesGGUF(f *testing.F) {
	keys := []string{
		"attention.sliding_window", "attention.sliding_window_pattern", "rope.freq_base", "rope.freq_base_swa", "rope.scaling.type", "rope.scaling.factor",
		"rope.scaling.original_context_length", "rope.scaling.attn_factor", "rope.dimension_count", "attention.key_length", "attention.head_count_kv", "final_logit_softcapping", "block_count",
	}
	names := []string{"gemma3", "olmo3", "phi3-long", "mistral"}
	paths := map[string]string{}
	for _, name := range names {
		c, err := checkpoint.Open("../testdata/" + name)
		if err == nil {
			paths[name] = filepath.Join(f.TempDir(), name+".gguf")
			err = errors.Join(c.SaveGGUF(f.Context(), paths[name], checkpoint.SaveOptions{Warn: func(string) {}}), c.Close())
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Add(uint8(0), uint8(1), uint8(9), append(binary.LittleEndian.AppendUint64([]byte("\x07\x00\x00\x00"), 3), 1, 0, 1)) // a list that is too short
	f.Add(uint8(1), uint8(4), uint8(8), []byte("\x04\x00\x00\x00\x00\x00\x00\x00none"))
	f.Add(uint8(1), uint8(6), uint8(4), []byte("\x01\x00\x00\x00"))
	f.Add(uint8(2), uint8(8), uint8(4), []byte("\xff\xff\xff\xff"))
	f.Add(uint8(3), uint8(0), uint8(4), []byte("\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, model, key, kind uint8, value []byte) {
		m := readGGUF(t, paths[names[int(model)%len(names)]])
		architecture := map[string]string{"gemma3": "gemma3", "olmo3": "olmo2", "phi3-long": "phi3", "mistral": "llama"}[names[int(model)%len(names)]]
		name := architecture + "." + keys[int(key)%len(keys)]
		file := binary.LittleEndian.AppendUint64([]byte("GGUF\x03\x00\x00\x00"), 0)
		file = binary.LittleEndian.AppendUint64(file, 1)
		file = append(binary.LittleEndian.AppendUint64(file, uint64(len(name))), name...)
		file = append(binary.LittleEndian.AppendUint32(file, uint32(kind)), value...)
		one, err := gguf.Parse(file, "value")
		if err != nil {
			return
		}
		v, _ := one.Value(name)
		m.set(name, v)
		c, err := checkpoint.Open(m.write(t))
		if err != nil {
			return
		}
		defer c.Close()
		if err := c.Config.Validate(); err != nil {
			t.Errorf("a shape was read that is none: %v", err)
		}
		if c.Config.Layers > 100 || c.Config.Context > 100 {
			return // of which the file has not the weights
		}
		b := gpttest.OpenCPU(t)
		loaded, err := gpt.LoadCheckpoint(t.Context(), b, gpttest.OpenCheckpoint(t, c.Path), gpt.LoadOptions{Activations: backend.F32})
		if err != nil {
			return
		}
		defer loaded.Close()
		gpttest.Feed(t, loaded, 3, 1, 4, 1, 5)
	})
}
