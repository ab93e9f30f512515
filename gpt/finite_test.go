package gpt_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/safetensors"
)

// TestCheckFinite finds the one number that is none in any tensor of a
// checkpoint, whatever backend holds it.
func TestCheckFinite(t *testing.T) {
	const from = "testdata/gpt2-one"
	m := trainable(t, openCPU(t), from)
	if err := m.CheckFinite(t.Context()); err != nil {
		t.Errorf("a good model: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.CheckFinite(ctx); err != context.Canceled {
		t.Errorf("after Ctrl-C: %v", err)
	}
	if err := loadModel(t, openCPU(t), from, backend.F32).CheckFinite(t.Context()); err == nil {
		t.Error("a model that is not for training was checked")
	}
	good := t.TempDir()
	save(t, m, good)
	file, err := safetensors.OpenDir(good)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	names := file.Tensors()
	for i, name := range names {
		value := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat32}[i%4]
		dir := t.TempDir()
		save(t, m, dir)
		var tensors []safetensors.Tensor
		for _, other := range names {
			x, _ := file.Tensor(other)
			if other == name {
				x.Data = append([]byte(nil), x.Data...)
				at := len(x.Data) / 4 * (i % 3) / 2 // the first, one between, the last
				binary.LittleEndian.PutUint32(x.Data[4*min(at, len(x.Data)/4-1):], math.Float32bits(float32(value)))
			}
			tensors = append(tensors, x)
		}
		if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
			t.Fatal(err)
		}
		for _, b := range []backend.Backend{openCPU(t), &device{openCPU(t)}} {
			err := trainable(t, b, dir).CheckFinite(t.Context())
			var bad *gpt.NotFiniteError
			switch {
			case value == math.MaxFloat32:
				if err != nil {
					t.Errorf("%s with %v: %v", name, value, err)
				}
			case !errors.As(err, &bad) || bad.Tensor != strings.TrimPrefix(name, "transformer.") || bad.Count != 1:
				t.Errorf("%s with %v: %v", name, value, err)
			}
		}
	}
}
