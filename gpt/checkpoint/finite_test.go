package checkpoint_test

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/checkpoint/tensorfile"
	"caldera/internal/gpttest"
)

// TestLoadNonFinite loads checkpoints with a weight that is NaN or infinite: to
// be trained they are refused, with the tensor and the element named, and to
// compute with they are not.
func TestLoadNonFinite(t *testing.T) {
	for _, c := range []struct {
		tensor string
		dtype  safetensors.DType
		at     int // element
		bits   uint32
		index  []int
		parts  []string
	}{
		{"wte.weight", safetensors.F32, 3, 0x7fc00000, []int{0, 3}, []string{"wte.weight", "element [0 3] is NaN", "cannot be trained"}},
		{"h.0.mlp.c_fc.weight", safetensors.F32, -1, 0xff800000, nil, []string{"h.0.mlp.c_fc.weight", "is -Inf"}},
		{"ln_f.bias", safetensors.F32, 5, 0x7f800001, []int{5}, []string{"ln_f.bias", "element [5] is NaN"}},
		{"h.0.attn.c_attn.weight", safetensors.F16, 7, 0x7c00, []int{0, 7}, []string{"h.0.attn.c_attn.weight", "is +Inf"}},
		{"h.0.attn.c_attn.weight", safetensors.BF16, 7, 0xffc0, []int{0, 7}, []string{"h.0.attn.c_attn.weight", "is NaN"}},
	} {
		file := gpttest.Base(t)
		file.Store(c.dtype)
		x := file.Tensor(c.tensor)
		at, index := c.at, c.index
		if at < 0 {
			at += tensorfile.Elements(x.Shape)
			index = []int{x.Shape[0] - 1, x.Shape[1] - 1}
		}
		if c.dtype == safetensors.F32 {
			binary.LittleEndian.PutUint32(x.Data[4*at:], c.bits)
		} else {
			binary.LittleEndian.PutUint16(x.Data[2*at:], uint16(c.bits))
		}
		dir := file.Write(t)
		b := gpttest.OpenCPU(t)
		m, err := gpt.Load(t.Context(), b, dir, gpt.LoadOptions{})
		if err != nil {
			t.Fatalf("to compute with: %v", err)
		}
		m.Close()
		for _, b := range []backend.Backend{b, gpttest.DeviceOf(b)} {
			_, err = gpt.Load(t.Context(), b, dir, gpt.LoadOptions{Train: true})
			gpttest.WantError(t, err, append(c.parts, "model.safetensors")...)
			var bad *checkpoint.NonFiniteError
			if !errors.As(err, &bad) || bad.Tensor != c.tensor || !slices.Equal(bad.Index, index) || !math.IsNaN(float64(bad.Value-bad.Value)) {
				t.Errorf("%v: found %+v, expected element %v of %s", err, bad, index, c.tensor)
			}
		}
		if n := b.InUse(); n != 0 {
			t.Errorf("%d buffers are left behind", n)
		}
	}
}
