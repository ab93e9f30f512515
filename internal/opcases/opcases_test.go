package opcases

import (
	"testing"

	"caldera/backend"
	_ "caldera/backend/cpu"
)

// shape is of GPT-2's kind.
func shape(width, inner int) Shape {
	return Shape{
		Width: width, Inner: inner, Heads: 2, KVHeads: 2, HeadSize: width / 2, Vocab: 50, Context: 16, Positions: true,
		Products: []Product{{In: width, Out: 3 * width}, {In: width, Out: width, Residual: true}, {In: width, Out: inner, Activation: backend.GELUTanh}, {In: inner, Out: width, Residual: true}},
	}
}

var all = backend.DTypes(backend.Weights)

// TestCases builds every case at a small shape and runs those that the CPU
// backend takes. The figures are worked out by hand.
func TestCases(t *testing.T) {
	b, err := backend.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	want := map[string][2]float64{ // FLOP, bytes
		"linear/1x32x96/f32":            {2 * 32 * 96, 4 * (96 + 32 + 32*96 + 96)},
		"linear/16x32x96/f16":           {2 * 16 * 32 * 96, 4*(16*96+16*32+96) + 2*32*96},
		"linear/1x32x50/q8_0":           {2 * 32 * 50, 4*(50+32+50) + 34*50},
		"linear+gelu_tanh/1x32x128/f32": {2 * 32 * 128, 4 * (128 + 32 + 32*128 + 128)},
		"linear+residual/16x128x32/f32": {2 * 16 * 128 * 32, 4 * (16*32 + 16*128 + 128*32 + 32 + 16*32)},
		// Queries 0 to 15 of 16 look at 1 to 16 rows: 136 pairs, of 32 products and as many sums, twice.
		"attention/16x16x32/f32": {4 * 136 * 32, 4 * (4*16*32 + 32)},
		"attention/1x16x32/f16":  {4 * 16 * 32, 4*(2*32+2) + 2*2*16*32},
		"embedding/16x32/q4_0":   {0, 4*16*32 + 18*16 + 4*16*32 + 4*16 + 4*32},
		"store/16x64/f16":        {0, 2*16*64 + 4*16*64 + 4*32},
		"copy/16x32/f16":         {0, 16 * 32 * (2 + 4)},
		"layernorm/1x32/f32":     {0, 4 * 4 * 32},
		"rmsnorm/16x32/f32":      {0, 4 * (2*16*32 + 32)},
		"rotary/1x64/f32":        {0, 4 * (2*64 + 16 + 2)},
		"argmax/1x50/f32":        {0, 4 * 51},

		"gated_activation/16x128/f32":          {0, 4 * 3 * 16 * 128},
		"gated_activation_backward/16x128/f32": {0, 4 * 5 * 16 * 128},
		"rmsnorm_backward/16x32/f32":           {0, 4 * (3*16*32 + 2*32)},

		"linear_backward/16x32x128/f32":          {2 * 16 * 32 * 128, 4 * (128*32 + 128 + 16*128 + 16*32)},
		"cross_entropy/16x50/f32":                {0, 4 * (16 + 16*50 + 16)},
		"embedding_backward/16x32/f32":           {0, 4 * (3*16*32 + 16 + 32)},
		"dropout/16x32/f32":                      {0, 4 * (2*16*32 + 4)},
		"activate_backward+gelu_tanh/16x128/f32": {0, 4 * 3 * 16 * 128},
		"layernorm_backward/16x32/f32":           {0, 4 * (3*16*32 + 3*32)},
		"attention_backward/16x32/f32":           {10 * 136 * 32, 4 * 7 * 16 * 32},
		"sum_squares/128x32/f32":                 {0, 4 * (128*32 + 128)},
		"global_norm/128/f32":                    {0, 4 * (2 + 128)},
		"adamw/128x32/f32":                       {0, 4 * (4*128*32 + 4)},
	}
	seen := map[string]bool{}
	for _, c := range Cases(shape(32, 128), all) {
		if seen[c.Name()] {
			t.Errorf("%s is there twice", c.Name())
		}
		seen[c.Name()] = true
		op, err := c.Build(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := backend.Check(op.Op); err != nil || backend.Label(op.Op) != c.Op {
			t.Errorf("%s builds a %s: %v", c.Name(), backend.Label(op.Op), err)
		}
		if w, ok := want[c.Name()]; ok && w != [2]float64{op.FLOP, op.Bytes} {
			t.Errorf("%s: %v FLOP and %v bytes, expected %v", c.Name(), op.FLOP, op.Bytes, w)
		}
		if !c.DType.Quantized() {
			if err := backend.Run(b, op.Op); err != nil {
				t.Errorf("%s: %v", c.Name(), err)
			}
			if err := op.Wait(); err != nil {
				t.Error(err)
			}
		}
		op.Free()
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("%s is not there", name)
		}
	}
	if used, _, _ := backend.Memory(b); used != 0 {
		t.Errorf("%d bytes are still allocated", used)
	}
}

// TestExperts counts the experts that are read: of one token those that it has, of many all. What chooses
// them is f32 where they are in blocks.
func TestExperts(t *testing.T) {
	b, err := backend.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s := shape(64, 32)
	s.Experts, s.Chosen, s.Sinks = 8, 3, true
	s.Products = []Product{{In: 64, Out: 8, Plain: true}, {In: 64, Out: 32, Experts: 8, Chosen: 3}, {In: 32, Out: 64, Experts: 8, Chosen: 3, Apart: true}}
	const matrix = 64 * 32
	want := map[string][2]float64{
		"expert_linear/1x64x32x3of8/mxfp4":  {2 * 3 * matrix, 3*matrix/32*17 + 4*(3*32+64+3*32+3)},
		"expert_linear/16x64x32x3of8/mxfp4": {2 * 16 * 3 * matrix, 8*matrix/32*17 + 4*(48*32+16*64+8*32+48)},
		"expert_linear/16x32x64x3of8/f16":   {2 * 16 * 3 * matrix, 8*matrix*2 + 4*(48*64+48*32+8*64+48)},
		"linear/16x64x8/f32":                {2 * 16 * 64 * 8, 4 * (16*8 + 16*64 + 64*8 + 8)},
		"route/16x3of8/f32":                 {0, 4 * (16*8 + 2*16*3)},
		"gated_activation/48x32/f32":        {0, 4 * 3 * 48 * 32},
		"expert_sum/16x3x64/f32":            {0, 4 * (16*64 + 48*64 + 48)},
	}
	for _, c := range Cases(s, []backend.DType{backend.MXFP4, backend.F16}) {
		w, ok := want[c.Name()]
		if !ok {
			if c.Op == "expert_linear" && c.DType == backend.F32 || c.Op == "linear" && c.DType == backend.MXFP4 && c.Shape != "1x64x50" {
				t.Errorf("%s is there", c.Name())
			}
			continue
		}
		delete(want, c.Name())
		op, err := c.Build(b)
		if err != nil {
			t.Fatal(err)
		}
		if w != [2]float64{op.FLOP, op.Bytes} {
			t.Errorf("%s: %v FLOP and %v bytes, expected %v", c.Name(), op.FLOP, op.Bytes, w)
		}
		if e, ok := op.Op.(*backend.ExpertLinear); ok {
			ids, seen := make([]int32, e.IDs.Len()), map[int32]bool{}
			if err := backend.GetI32(b, e.IDs, ids); err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				seen[id] = true
			}
			if len(seen) != min(len(ids), 8) {
				t.Errorf("%s reads the matrices of %d experts", c.Name(), len(seen))
			}
		}
		if err := backend.Run(b, op.Op); err != nil {
			t.Errorf("%s: %v", c.Name(), err)
		}
		op.Free()
	}
	for name := range want {
		t.Errorf("%s is not there", name)
	}
}

// TestBlocks leaves out what cannot be stored.
func TestBlocks(t *testing.T) {
	for _, c := range Cases(shape(40, 64), all) {
		if c.DType.Quantized() && c.Shape != "1x64x40" && c.Shape != "16x64x40" {
			t.Errorf("%s has rows that are no blocks of 32", c.Name())
		}
	}
}
