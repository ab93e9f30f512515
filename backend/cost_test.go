package backend

import "testing"

// scaled is an op of a stranger: it has no Cost.
type scaled struct{ dst, x, room Tensor }

func (*scaled) Name() string { return "scaled" }
func (*scaled) Check() error { return nil }
func (o *scaled) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.dst, Update)
	yield("x", &o.x, Read)
	yield("room", &o.room, Scratch)
}

// TestCost has its figures from the formulas in the comments of the ops.
func TestCost(t *testing.T) {
	f32 := func(dims ...int) Tensor { return Of(nil, F32, 0, dims...) }
	f16 := func(dims ...int) Tensor { return Of(nil, F16, 0, dims...) }
	i32 := func(dims ...int) Tensor { return Of(nil, I32, 0, dims...) }
	places := func(n int) Tensor { return i32(2, n) }
	attention := &Attention{Dst: f32(2, 3, 8), Q: f32(2, 3, 8), K: f16(2, 20, 4), V: f16(2, 20, 4), At: places(6), Heads: 4}
	watched := *attention
	watched.Probs = f32(2, 4, 3, 20)
	narrow, wide := *attention, *attention
	narrow.Window, wide.Window = 4, 19
	beyond := &Attention{Dst: f32(1, 3, 8), Q: f32(1, 3, 8), K: f32(1, 2, 8), V: f32(1, 2, 8), At: places(3), Heads: 2}
	gradient := &AttentionBackward{DQ: f32(2, 3, 4), DK: f32(2, 3, 4), DV: f32(2, 3, 4), Q: f32(2, 3, 4), K: f32(2, 3, 4), V: f32(2, 3, 4),
		DY: f32(2, 3, 4), Stats: f32(2, 2, 3, 2), Heads: 2}
	for name, c := range map[string]struct {
		op           Op
		flops, bytes int64
	}{
		"linear":             {&Linear{Dst: f32(6, 5), X: f32(6, 4), W: f16(5, 4), Bias: f32(5)}, 2 * 6 * 4 * 5, 4*(30+24+5) + 2*20},
		"linear, transposed": {&Linear{Dst: f32(6, 5), X: f32(6, 4), W: f32(4, 5).Transpose()}, 2 * 6 * 4 * 5, 4 * (30 + 24 + 20)},
		"linear of blocks":   {&Linear{Dst: f32(7), X: f32(64), W: Of(nil, Q8_0, 0, 7, 64)}, 2 * 64 * 7, 4*(7+64) + 7*68},
		"linear of batches":  {&Linear{Dst: f32(2, 3, 5), X: f32(2, 3, 4), W: f32(5, 4)}, 2 * 6 * 4 * 5, 4 * (30 + 24 + 20)},
		"linear and sum":     {&Linear{Dst: f32(6, 5), X: f32(6, 4), W: f32(5, 4), Residual: f32(6, 5), Sum: f32(6, 5)}, 2 * 6 * 4 * 5, 4 * (30 + 24 + 20 + 30)},
		"linear and GELU":    {&Linear{Dst: f32(6, 5), X: f32(6, 4), W: f32(5, 4), Activation: GELUTanh, Sum: f32(6, 5)}, 2 * 6 * 4 * 5, 4 * (30 + 24 + 20)},
		"linear of a norm": {&Linear{Dst: f32(6, 5), X: f32(6, 4), W: f32(5, 4), Norm: LinearNorm{Gamma: f32(4), Beta: f32(4), Epsilon: 1, Normed: f32(6, 4)}},
			2 * 6 * 4 * 5, 4 * (30 + 24 + 20 + 8)},
		"linear, rotated and stored": {&Linear{Dst: f32(2, 3, 8), X: f32(2, 3, 4), W: f32(8, 4), Sum: f32(2, 3, 8),
			Rotation: LinearRotation{Angles: f32(50, 4), At: places(6), Heads: 2}, Store: LinearStore{Cache: f16(2, 50, 6), At: places(6), From: 2}},
			2 * 6 * 4 * 8, 4*(48+24+32+6*4+12+12) + 2*36},
		"gradient of a matrix":         {&LinearBackward{DW: f32(5, 4), DBias: f32(5), DY: f16(2, 3, 5), X: f16(2, 3, 4)}, 2 * 6 * 4 * 5, 4*(20+5) + 2*(30+24)},
		"attention":                    {attention, 2 * 2 * 2 * 8 * (18 + 19 + 20), 4*(48+48+12) + 2*2*(2*20*4)},
		"attention in a window":        {&narrow, 2 * 2 * 2 * 8 * (4 + 4 + 4), 4*(48+48+12) + 2*2*(2*6*4)},
		"attention in a wide window":   {&wide, 2 * 2 * 2 * 8 * (18 + 19 + 19), 4*(48+48+12) + 2*2*(2*20*4)},
		"attention and its map":        {&watched, 2 * 2 * 2 * 8 * (18 + 19 + 20), 4*(48+48+12) + 2*2*(2*20*4) + 4*(2*4*3*20)},
		"attention past the cache":     {beyond, 2 * 2 * 8 * (1 + 2), 4 * (24 + 24 + 16 + 16 + 6)},
		"gradient of attention":        {gradient, 5 * 2 * 2 * 4 * (1 + 2 + 3), 4 * (72 + 72 + 24)},
		"embedding":                    {&Embedding{Dst: f32(1, 3, 8), Tokens: f16(100, 8), Positions: f32(50, 8), IDs: i32(1, 3), At: places(3)}, 0, 4*24 + 2*24 + 4*24 + 4*3 + 4*6},
		"picked rows":                  {&Embedding{Dst: f32(1, 3, 8), Tokens: f32(100, 8), IDs: i32(1, 3)}, 0, 4*24 + 4*24 + 4*3},
		"more rows than the table has": {&Embedding{Dst: f32(1, 3, 8), Tokens: f32(2, 8), IDs: i32(1, 3)}, 0, 4*24 + 4*16 + 4*3},
		"gradient of an embedding":     {&EmbeddingBackward{DTokens: f32(100, 8), DPositions: f32(50, 8), DY: f32(1, 3, 8), IDs: i32(1, 3), At: places(3)}, 0, 4 * (3*24 + 3 + 6)},
		"rotary":                       {&Rotary{Dst: f32(2, 3, 8), X: f32(2, 3, 8), Angles: f32(50, 4), At: places(6), Heads: 2}, 0, 4 * (48 + 48 + 6*4 + 12)},
		"rotary of a short table":      {&Rotary{Dst: f32(2, 3, 8), X: f32(2, 3, 8), Angles: f32(4, 4), At: places(6), Heads: 2}, 0, 4 * (48 + 48 + 4*4 + 12)},
		"store":                        {&Store{Dst: f16(1, 50, 8), X: f32(1, 3, 8), At: places(3)}, 0, 2*24 + 4*24 + 4*6},
		"root mean square":             {&RMSNorm{Dst: f32(6, 8), X: f32(6, 8), Gamma: f32(8)}, 0, 4 * (48 + 48 + 8)},
		"gated activation":             {&GatedActivation{Dst: f32(6, 8), Gate: f32(6, 8), Up: f32(6, 8)}, 0, 4 * 3 * 48},
		"scale":                        {&Scale{Dst: f32(6, 8), X: f32(6, 8), By: f32(6, 1)}, 0, 4 * (48 + 48 + 6)},
		"scale by one number":          {&Scale{Dst: f32(6, 8), X: f32(6, 8), By: f32(1)}, 0, 4 * (48 + 48 + 1)},
		"copy":                         {&Copy{Dst: f16(6, 5), X: f32(6, 5)}, 0, 30 * (2 + 4)},
		"an op that updates":           {&CrossEntropy{Loss: f32(6), X: f32(6, 50), Targets: i32(6)}, 0, 4 * (6 + 300 + 6)},
		"an op without a cost":         {&scaled{f32(3, 4), f32(4), f32(99)}, 0, 4 * (12 + 4)},
		"more than 32 bits can count":  {&Linear{Dst: f32(1<<20, 1<<16), X: f32(1<<20, 1<<16), W: f32(1<<16, 1<<16)}, 1 << 53, 4 * (1<<36 + 1<<36 + 1<<32)},
	} {
		if flops, bytes := Cost(c.op); flops != c.flops || bytes != c.bytes {
			t.Errorf("%s: %d FLOP and %d bytes, want %d and %d", name, flops, bytes, c.flops, c.bytes)
		}
	}
}
