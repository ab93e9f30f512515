package inspect_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/inspect"
)

// TestTally counts models whose numbers are published.
func TestTally(t *testing.T) {
	for _, c := range []struct {
		shape          string
		matrices       int
		weights, all   int64
		kinds, leftOut int
		f32Bytes       int64
		q8Bytes        int64
	}{
		{"gpt3", 27_938, 175_181_291_520, 175_221_817_344, 8, 3, 4 * 175_221_817_344, 175_181_291_520/32*34 + 4*(175_221_817_344-175_181_291_520)},
		{"gpt2", 470, 162_129_408, 124_439_808, 8, 4, 4 * 124_439_808, (162_129_408-38_597_376)/32*34 + 4*(786_432+38_400+82_944)},
		{"llama-3.2-1b", 2 + 16*(32+8+8+1+3), 1_235_746_816 + 128256*2048, 1_235_814_400, 9, 2, 4 * 1_235_814_400, 1_235_746_816/32*34 + 4*(1_235_814_400-1_235_746_816)},
	} {
		shape, err := model.Shape(c.shape)
		if err != nil {
			t.Fatal(err)
		}
		got := inspect.NewTally(shape, shape.Complete().Context)
		if got.Matrices != c.matrices || got.Weights != c.weights || got.Parameters != c.all || len(got.Kinds) != c.kinds || len(got.LeftOut) != c.leftOut {
			t.Errorf("%s: %d weights in %d matrices of %d kinds, %d rests, %d in all", c.shape, got.Weights, got.Matrices, len(got.Kinds), len(got.LeftOut), got.Parameters)
		}
		sum, share := got.Weights, 0.0
		for _, r := range got.LeftOut {
			sum += r.Weights
		}
		for _, k := range got.Kinds {
			share += float64(k.Share)
		}
		if last := got.Kinds[len(got.Kinds)-1]; sum != got.Parameters || math.Abs(share-1) > 1e-12 || last.Total != got.Weights {
			t.Errorf("%s: kinds and rests add up to %d of %d, shares to %v, the last total is %d", c.shape, sum, got.Parameters, share, last.Total)
		}
		for _, b := range got.Bytes {
			if want := map[string]int64{"f32": c.f32Bytes, "q8_0": c.q8Bytes}[b.DType]; want != 0 && b.Bytes != want {
				t.Errorf("%s takes %d bytes as %s, expected %d", c.shape, b.Bytes, b.DType, want)
			}
		}
		if len(got.Bytes) != len(backend.DTypes(backend.Weights)) {
			t.Errorf("%s: bytes as %v", c.shape, got.Bytes)
		}
	}
}

// TestTallyCache counts keys and values by hand: of Gemma 3 1B four of 26 layers have all positions, the others a window of 512 and room for two steps.
func TestTallyCache(t *testing.T) {
	for _, c := range []struct {
		shape   string
		context int
		want    int64 // numbers
	}{
		{"gpt2", 1024, 12 * 1024 * 2 * 768},
		{"llama-3.2-1b", 131072, 16 * 131072 * 2 * 8 * 64},
		{"gemma-3-1b", 100, 26 * 100 * 2 * 256},
		{"gemma-3-1b", 32768, (4*32768 + 22*(511+2*int64(gpt.MaxChunk))) * 2 * 256},
	} {
		shape, err := model.Shape(c.shape)
		if err != nil {
			t.Fatal(err)
		}
		tally := inspect.NewTally(shape, c.context)
		want := []inspect.DTypeBytes{{DType: "f32", Bytes: 4 * c.want}, {DType: "f16", Bytes: 2 * c.want}, {DType: "bf16", Bytes: 2 * c.want}}
		if tally.CacheContext != c.context || !slices.Equal(tally.CacheBytes, want) {
			t.Errorf("%s: %d tokens, %v, expected %v", c.shape, tally.CacheContext, tally.CacheBytes, want)
		}
	}
}

// TestFloat writes what JSON cannot say as null.
func TestFloat(t *testing.T) {
	for f, want := range map[inspect.Float]string{
		inspect.Float(math.NaN()): "null", inspect.Float(math.Inf(-1)): "null", 0.5: "0.5", inspect.Float(float32(0.1)): "0.1", 0.1: "0.1", inspect.Float(1) / 3: "0.3333333333333333", 1e300: "1e+300",
	} {
		if got, err := json.Marshal(f); err != nil || string(got) != want {
			t.Errorf("%v is %s, %v; expected %s", float64(f), got, err, want)
		}
	}
	var f inspect.Float
	if err := json.Unmarshal([]byte("0.1"), &f); err != nil || float64(f) != float64(float32(0.1)) {
		t.Errorf("0.1 is read as %v, %v", float64(f), err)
	}
	if err := json.Unmarshal([]byte("null"), &f); err != nil || !math.IsNaN(float64(f)) {
		t.Errorf("null is read as %v, %v", float64(f), err)
	}
}
