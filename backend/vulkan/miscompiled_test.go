//go:build cgo

package vulkan

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/gpt"
	"caldera/internal/gpttest"
	"caldera/internal/spirv"
	"caldera/shaders"
)

// miscompiled is a shader as a compiler with a fault has it: it subtracts where it should add.
func miscompiled(t *testing.T, v *shaders.Variant) *spirv.Module {
	t.Helper()
	code, changed := subtracting(v)
	m, err := spirv.Parse(code)
	if err != nil || changed == 0 {
		t.Fatalf("%s: %d additions, %v", v.Name(), changed, err)
	}
	return m
}

// subtracting is the code of a shader with differences for sums, of integers where it has no others, and how many.
func subtracting(v *shaders.Variant) (code []byte, changed int) {
	if v == selftestVariant() || v.Source == "argmax" || strings.HasPrefix(v.Source, "sample") {
		return replaced(v, opIAdd, opISub)
	}
	return replaced(v, opFAdd, opFSub)
}

const opIAdd, opFAdd, opISub, opFSub, opIMul, opFMul = 128, 129, 130, 131, 132, 133

// replaced is the code of a shader with one instruction for another, and how many there were.
func replaced(v *shaders.Variant, from, to uint32) (code []byte, changed int) {
	code = slices.Clone(v.SPIRV())
	for at := 20; at < len(code); {
		word := binary.LittleEndian.Uint32(code[at:])
		if word&0xffff == from {
			binary.LittleEndian.PutUint32(code[at:], word&^0xffff|to)
			changed++
		}
		at += 4 * int(word>>16)
	}
	return code, changed
}

// miscompiles are devices of which the compiler has a fault in one kernel.
var miscompiles = []struct {
	source, defines string // the variants of the shader that have these macros among theirs
	card            played
	model           bool   // it computes a model, else products that small models do not have
	instead         string // a kernel that must have been taken
}{
	{"selftest", "", card32, true, "linear_vec"},
	{"linear_one", "", card32, true, "linear_vec"},
	{"linear_rows", "", card32, true, "linear_vec"},
	{"linear", "", card32, false, "linear_vec"},
	{"linear_matrix", "", cardMatrix, false, "linear"},
	{"linear_vec_t", "X4", card32, false, "linear_vec_t"},
	{"linear_vec", "SUBGROUP", cardOdd, false, "linear_vec"},
	{"linear_lanes", "", cardSoftware, true, "linear_texel"},
	{"linear_spread", "", cardSoftware, false, "linear_lanes"},
	{"linear_texel", "", cardNoShuffles, true, "linear_vec"},
	{"linear_vec", "TEXEL", cardNoShuffles, true, "linear_vec"},
	{"attention", "X4", cardPlain, true, "attention"},
	{"attention_one", "", card32, true, "attention"},
	{"attention_tile", "", card32, true, "attention"},
	{"attention_matrix", "", cardMatrix, false, "attention"},
	{"attention", "TEXEL", cardSoftware, true, "attention"},
	{"attention_spread", "", cardSoftware, false, "attention"},
	{"layernorm", "TEXEL", cardSoftware, true, "linear_lanes"},
	{"linear_backward", "X4", cardOdd, false, "linear_backward"},
}

var (
	card32         = played{name: "32 lanes", lanes: 32, checked: true}
	cardPlain      = played{name: "no subgroups", lanes: 32, checked: true, clamp: noSubgroups}
	cardMatrix     = played{name: "matrices", lanes: 32, checked: true, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}}
	cardOdd        = played{name: "no tiles", lanes: 16, checked: true, clamp: func(l *Limits) { l.SharedMemory, l.SubgroupVaries = 16<<10, true }}
	cardNoShuffles = played{name: "no shuffles", lanes: 4, checked: true, software: true, unified: true, clamp: func(l *Limits) { l.SubgroupShuffle = false }}
	cardSoftware   = played{name: "software", lanes: 4, checked: true, software: true, unified: true}
)

// tinyModel returns the scores of a small GPT-2 after a prompt and one token more.
func tinyModel(t *testing.T, b *Backend) []float32 {
	t.Helper()
	m := gpttest.Load(t, b, "../../gpt/testdata/gpt2-tiny", backend.F16)
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: 16, Cache: backend.F32})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var scores []float32
	for _, ids := range [][]int{{7, 3, 9}, {20}} {
		got, err := s.Feed(t.Context(), ids...)
		if err != nil {
			t.Fatal(err)
		}
		scores = append(scores, got...)
	}
	return scores
}

// someProducts returns the results of products that no small model has, and of attention of many queries.
func someProducts(t *testing.T, b *Backend) (all []float32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	operand := func(d backend.DType, dims ...int) backend.Tensor {
		x := newTensor(t, b, d, dims...)
		numbers := make([]float32, x.Len())
		for i := range numbers {
			numbers[i] = float32(rng.IntN(9) - 4)
		}
		if err := backend.SetF32(b, x, numbers); err != nil {
			t.Fatal(err)
		}
		return x
	}
	f16, f32 := backend.F16, backend.F32
	dst := operand(f32, 40, 24)
	wide := func(d backend.DType) backend.Tensor { return operand(d, 1, 20, 16) }
	for _, op := range []backend.Op{
		&backend.Linear{Dst: dst, X: operand(f16, 40, 40), W: operand(f16, 24, 40)},
		&backend.Linear{Dst: dst.Slice(-2, 0, 1), X: operand(f32, 1, 40), W: operand(f32, 24, 40)},
		&backend.Linear{Dst: dst.Slice(-2, 0, 3), X: operand(f32, 3, 40), W: operand(f32, 40, 24).Transpose()},
		&backend.Linear{Dst: dst.Slice(-2, 0, 17), X: operand(f32, 17, 48), W: operand(f32, 24, 48)},
		&backend.Linear{Dst: dst.Slice(-2, 0, 9), X: operand(f32, 9, 48), W: operand(f32, 48, 24).Transpose()},
		&backend.LinearBackward{DW: operand(f32, 24, 40), DY: operand(f32, 9, 24), X: operand(f32, 9, 40)},
		&backend.Attention{Dst: wide(f32), Q: wide(f32), K: wide(f16), V: wide(f16), At: placesOn(t, b, 1, 20, 0), Heads: 2, Scale: 0.1},
		&backend.Attention{Dst: operand(f32, 1, 12, 32), Q: operand(f32, 1, 12, 32), K: operand(f32, 1, 12, 16), V: operand(f32, 1, 12, 16), At: placesOn(t, b, 1, 12, 0), Heads: 2, Scale: 0.25},
	} {
		if err := backend.Run(b, op); err != nil {
			t.Fatal(err)
		}
		to := dst
		switch o := op.(type) {
		case *backend.LinearBackward:
			to = o.DW
		case *backend.Attention:
			to = o.Dst
		}
		all = append(all, values(t, b, to)...)
	}
	return all
}

// TestMiscompiled has the compiler of a device make a fault in one kernel after the other. Its check
// finds it, another kernel computes what it should have, and the device's line names it. Where nothing
// is wrong, nothing is named; a device that has no other kernel is refused.
func TestMiscompiled(t *testing.T) {
	t.Parallel()
	right := map[string][]float32{}
	for _, c := range miscompiles {
		kind, run := c.card.name, someProducts
		if c.model {
			kind, run = kind+", model", tinyModel
		}
		t.Run(c.source+" "+c.defines, func(t *testing.T) {
			c.card.cache = t.TempDir() // what passed counts in the next process
			if right[kind] == nil {
				b, _ := c.card.openChecked(t)
				right[kind] = run(t, b)
				if text := b.Describe(); strings.Contains(text, "without") || b.checks.ran == 0 {
					t.Fatalf("nothing is wrong, and after %d checks this is %s", b.checks.ran, text)
				}
			}
			b, d := c.card.openChecked(t)
			changed := ""
			d.edit = func(v *shaders.Variant, m *spirv.Module) *spirv.Module {
				if v.Source != c.source || c.defines != "" && !slices.Contains(v.Defines, c.defines) {
					return m
				}
				changed = v.Name()
				return miscompiled(t, v)
			}
			got, want := run(t, b), right[kind]
			for i := range want {
				if math.Abs(float64(got[i]-want[i])) > 1e-4*(1+math.Abs(float64(want[i]))) {
					t.Fatalf("result %d is %v, expected %v", i, got[i], want[i])
				}
			}
			if c.source == "selftest" {
				changed = "subgroup operations"
			}
			if text := b.Describe(); changed == "" || !strings.Contains(text, ", without "+changed) || !strings.Contains(text, "which computed wrongly (with ") {
				t.Errorf("%q was wrong, and this is %s", changed, text)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if faults := lastFaults(cacheFolder(c.card.cache), b.phys); !strings.HasPrefix(faults, changed) {
				t.Errorf("%q was wrong, and the list of devices names %q", changed, faults)
			}
			if !slices.Contains(b.taken(), c.instead) && c.instead != "attention" {
				t.Errorf("%v were taken, expected %s", b.taken(), c.instead)
			}
		})
	}
	// Of these there is one kernel, or the plainest is wrong too.
	for _, source := range []string{"layernorm", "rmsnorm", "softmax", "argmax", "attention"} {
		t.Run(source+" alone", func(t *testing.T) {
			run := func(b *Backend) error {
				f32 := func(n int) backend.Tensor { return newTensor(t, b, backend.F32, 1, n) }
				switch source {
				case "layernorm":
					return backend.Run(b, &backend.LayerNorm{Dst: f32(8), X: f32(8), Gamma: f32(8), Beta: f32(8), Epsilon: 1})
				case "rmsnorm":
					return backend.Run(b, &backend.RMSNorm{Dst: f32(8), X: f32(8), Gamma: f32(8), Epsilon: 1})
				case "softmax":
					return backend.Run(b, &backend.Softmax{Dst: f32(8), X: f32(8)})
				case "argmax":
					return backend.Run(b, &backend.Argmax{Dst: newTensor(t, b, backend.I32, 1), X: f32(8)})
				}
				return backend.Run(b, &backend.Attention{Dst: f32(8), Q: f32(8), K: f32(8), V: f32(8), At: newTensor(t, b, backend.I32, 2, 1), Heads: 2, Scale: 1})
			}
			card := cardPlain // where there is no other kernel
			card.cache = t.TempDir()
			b, _ := card.openChecked(t)
			if err := run(b); err != nil {
				t.Fatal(err)
			}
			card.cache = t.TempDir()
			b, d := card.openChecked(t)
			d.edit = func(v *shaders.Variant, m *spirv.Module) *spirv.Module {
				if v.Source == source {
					return miscompiled(t, v)
				}
				return m
			}
			var refused *RefusedError
			if err := run(b); !errors.As(err, &refused) || !strings.Contains(err.Error(), "its kernel "+source) || !strings.Contains(b.Describe(), ", without "+source) {
				t.Errorf("it computes on: %v, and this is %s", err, b.Describe())
			}
		})
	}
	t.Run("all of them", func(t *testing.T) {
		card := card32
		card.cache = t.TempDir()
		b, d := card.openChecked(t)
		d.edit = func(v *shaders.Variant, m *spirv.Module) *spirv.Module {
			if strings.HasPrefix(v.Source, "linear") {
				return miscompiled(t, v)
			}
			return m
		}
		op := &backend.Linear{Dst: newTensor(t, b, backend.F32, 1, 8), X: newTensor(t, b, backend.F32, 1, 8), W: newTensor(t, b, backend.F32, 8, 8)}
		err := backend.Run(b, op)
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "cannot compute a product of 1×8×8 f32·f32: its kernel linear") {
			t.Errorf("a device without a right kernel: %v", err)
		}
	})
}

// TestMiscompiledSample: a device that cannot draw tokens says so, and the host draws them.
func TestMiscompiledSample(t *testing.T) {
	for _, source := range []string{"", "sample_max", "sample_count", "sample"} {
		t.Run(source, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			b, err := openWithHooks(t, lavapipe, gpu, &vk.Hooks{Shader: func(words []uint32) []uint32 {
				code := make([]byte, 4*len(words))
				for i, w := range words {
					binary.LittleEndian.PutUint32(code[4*i:], w)
				}
				if v := variants[string(code)]; v != nil && v.Source == source {
					code, _ = subtracting(v)
					for i := range words {
						words[i] = binary.LittleEndian.Uint32(code[4*i:])
					}
				}
				return words
			}})
			if err != nil {
				t.Fatal(err)
			}
			i32 := func(dims ...int) backend.Tensor { return backend.Of(nil, backend.I32, 0, dims...) }
			op := &backend.Sample{
				Dst: i32(1, backend.SampleWords), Next: i32(1), X: backend.Of(nil, backend.F32, 0, 1, 5000), Slots: i32(1),
				Settings: i32(2, backend.SampleSettingWords), Marks: i32(2, 2, 157), Recent: i32(2, 6),
			}
			if got := b.Supports(op); got != (source == "") || strings.Contains(b.Describe(), ", without sample") == got {
				t.Errorf("that it draws is %v, and this is %s", got, b.Describe())
			}
		})
	}
}

// openChecked opens the card, without reports: what a wrong kernel does may be reported too.
func (c played) openChecked(t *testing.T) (*Backend, *interpreter) {
	t.Helper()
	b, d, err := c.openQuiet()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, d
}
