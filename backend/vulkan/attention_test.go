//go:build cgo

package vulkan

import (
	"fmt"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// TestAttentionTakes counts dispatches, barriers and pipelines: of attention one
// dispatch; of its gradient three, whose results follow one from another, whether
// queries, keys and values are slices of one tensor or apart, and a fourth for
// sinks. Windows, soft-caps and sinks share pipelines, and take none of those that
// have none of them.
func TestAttentionTakes(t *testing.T) {
	const batch, time, heads, groups, size = 2, 16, 4, 2, 8
	r := &recorder{open: map[vk.CommandBuffer][]vk.Command{}}
	b, err := openWithHooks(t, lavapipe, nil, &vk.Hooks{Command: r.command})
	if err != nil {
		t.Fatal(err)
	}
	f32 := func(dims ...int) backend.Tensor {
		x, err := backend.New(b, backend.F32, dims...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	at := placesOn(t, b, batch, time, 0)
	three := func(apart bool) (q, k, v backend.Tensor) {
		width, kv := heads*size, groups*size
		if apart {
			return f32(batch, time, width), f32(batch, time, kv), f32(batch, time, kv)
		}
		x := f32(batch, time, width+2*kv)
		return x.Slice(-1, 0, width), x.Slice(-1, width, width+kv), x.Slice(-1, width+kv, width+2*kv)
	}
	b.checks.trusted = true // what checks take does not count
	takes := func(op backend.Op) string {
		t.Helper()
		pipelines, recordings := b.Stats().Pipelines, len(r.whole)
		if err := backend.Run(b, op); err != nil {
			t.Fatal(err)
		}
		if err := b.waitAll(); err != nil {
			t.Fatal(err)
		}
		dispatches, barriers := 0, -2 // two at the ends
		for _, commands := range r.whole[recordings:] {
			for _, c := range commands {
				switch c.Kind {
				case vk.Dispatch:
					dispatches++
				case vk.Barrier:
					barriers++
				}
			}
		}
		return fmt.Sprintf("%d dispatches, %d barriers, %d new pipelines", dispatches, barriers, b.Stats().Pipelines-pipelines)
	}
	takes(&backend.Add{Dst: f32(3), A: f32(3), B: f32(3)}) // and what the first op of an open device takes
	for _, c := range []struct {
		name          string
		window        int
		softCap       float32
		sinks, apart  bool
		forward, back string
	}{
		{"as GPT-2", 0, 0, false, false, "1 dispatches, 0 barriers, 1 new pipelines", "3 dispatches, 2 barriers, 3 new pipelines"},
		{"apart", 0, 0, false, true, "1 dispatches, 0 barriers, 0 new pipelines", "3 dispatches, 2 barriers, 0 new pipelines"},
		{"window", 4, 0, false, false, "1 dispatches, 0 barriers, 1 new pipelines", "3 dispatches, 2 barriers, 3 new pipelines"},
		{"another window", 7, 0, false, true, "1 dispatches, 0 barriers, 0 new pipelines", "3 dispatches, 2 barriers, 0 new pipelines"},
		{"soft-cap", 0, 50, false, false, "1 dispatches, 0 barriers, 0 new pipelines", "3 dispatches, 2 barriers, 0 new pipelines"},
		{"sinks", 4, 50, true, false, "1 dispatches, 0 barriers, 0 new pipelines", "4 dispatches, 3 barriers, 1 new pipelines"},
	} {
		q, k, v := three(c.apart)
		dq, dk, dv := three(c.apart)
		forward := &backend.Attention{Dst: f32(batch, time, heads*size), Q: q, K: k, V: v, At: at, Heads: heads, Scale: 0.5, Window: c.window, SoftCap: c.softCap}
		back := &backend.AttentionBackward{DQ: dq, DK: dk, DV: dv, Q: q, K: k, V: v, DY: f32(batch, time, heads*size), Stats: f32(batch, heads, time, 2),
			Heads: heads, Scale: 0.5, Window: c.window, SoftCap: c.softCap}
		if c.sinks {
			forward.Sinks, back.Sinks, back.DSinks = f32(heads), f32(heads), f32(heads)
		}
		if got := takes(forward); got != c.forward {
			t.Errorf("%s: %s, expected %s", c.name, got, c.forward)
		}
		if got := takes(back); got != c.back {
			t.Errorf("%s: the gradient takes %s, expected %s", c.name, got, c.back)
		}
	}
}

// TestStepTakes counts dispatches and pipelines of tokens of many sequences: one dispatch
// each of Store and of Attention, and with a table one pipeline each, whatever the size of
// a block.
func TestStepTakes(t *testing.T) {
	const heads, size, width = 2, 8, 16
	b := openTest(t, lavapipe, nil)
	tensor := func(d backend.DType, dims ...int) backend.Tensor {
		x, err := backend.New(b, d, dims...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	if err := backend.Run(b, &backend.Add{Dst: tensor(backend.F32, 3), A: tensor(backend.F32, 3), B: tensor(backend.F32, 3)}); err != nil { // and what the first op of an open device takes
		t.Fatal(err)
	}
	for _, c := range []struct {
		name               string
		block, tokens, run int
		store, attention   int // new pipelines
	}{
		{name: "one sequence", tokens: 1, run: 1, store: 1, attention: 1},
		{name: "several", tokens: 5, run: 1},
		{name: "blocks", block: 16, tokens: 5, run: 1, store: 1, attention: 1},
		{name: "larger blocks", block: 64, tokens: 7, run: 1},
		{name: "runs", tokens: 40, run: 8, attention: 1},
		{name: "runs in blocks", block: 4, tokens: 40, run: 8, attention: 1},
		{name: "one long run in blocks", block: 1, tokens: 64, run: 64},
	} {
		cache, table := tensor(backend.F32, 64, 128, 2*width), backend.Tensor{}
		if c.block > 0 {
			cache, table = tensor(backend.F32, 100, c.block, 2*width), tensor(backend.I32, 9, 64/c.block)
		}
		at := placesOn(t, b, c.tokens/c.run, c.run, 0)
		for _, o := range []struct {
			op        backend.Op
			pipelines int
		}{
			{&backend.Store{Dst: cache, X: tensor(backend.F32, 1, c.tokens, 2*width), At: at, Table: table}, c.store},
			{&backend.Attention{Dst: tensor(backend.F32, 1, c.tokens, width), Q: tensor(backend.F32, 1, c.tokens, width),
				K: cache.Slice(-1, 0, width), V: cache.Slice(-1, width, 2*width), At: at, Table: table, Run: c.run, Heads: heads, Scale: 1}, c.attention},
		} {
			before := b.Stats().Pipelines
			spans, err := backend.Profile(b, func(b backend.Backend) error { return backend.Run(b, o.op) })
			if err != nil {
				t.Fatal(err)
			}
			if n := b.Stats().Pipelines - before; n != o.pipelines || len(spans) != 1 || spans[0].Dispatches != 1 {
				t.Errorf("%s: %s takes %d new pipelines and %+v, expected %d and one dispatch", c.name, o.op.Name(), n, spans, o.pipelines)
			}
		}
	}
}

// TestStepBarriers counts the barriers of a step of single tokens and a chunk of a prompt:
// their attentions may run at the same time, behind one barrier, for they write other rows.
func TestStepBarriers(t *testing.T) {
	const heads, width, single, chunk, block = 2, 16, 3, 4, 16
	r := &recorder{open: map[vk.CommandBuffer][]vk.Command{}}
	b, err := openWithHooks(t, lavapipe, nil, &vk.Hooks{Command: r.command})
	if err != nil {
		t.Fatal(err)
	}
	b.checks.trusted = true // so that what is recorded last is the step, and no check
	const n = single + chunk
	qkv, dst := newTensor(t, b, backend.F32, 1, n, 3*width), newTensor(t, b, backend.F32, 1, n, width)
	pool, table := newTensor(t, b, backend.F32, 20, block, 2*width), newTensor(t, b, backend.I32, 4, 4)
	at := placesOn(t, b, n, 1, 0)
	attention := func(from, to, run int) backend.Op {
		return &backend.Attention{Dst: dst.Slice(-2, from, to), Q: qkv.Slice(-1, 0, width).Slice(-2, from, to), K: pool.Slice(-1, 0, width), V: pool.Slice(-1, width, 2*width),
			At: at.Slice(-1, from, to), Table: table, Run: run, Heads: heads, Scale: 1}
	}
	program, err := backend.Record(b,
		&backend.Store{Dst: pool, X: qkv.Slice(-1, width, 3*width), At: at, Table: table},
		attention(0, single, 1), attention(single, n, chunk))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	order := ""
	for _, c := range r.whole[len(r.whole)-1] {
		switch c.Kind {
		case vk.Dispatch:
			order += "dispatch "
		case vk.Barrier:
			order += "barrier "
		}
	}
	if want := "barrier dispatch barrier dispatch dispatch barrier "; order != want {
		t.Errorf("the step is %q, expected %q", order, want)
	}
}

// placesOn are the places of batch sequences of time tokens each, from a position on.
func placesOn(tb testing.TB, b backend.Backend, batch, time, from int) backend.Tensor {
	tb.Helper()
	n := batch * time
	at, err := backend.New(b, backend.I32, 2, n)
	if err != nil {
		tb.Fatal(err)
	}
	values := make([]int32, 2*n)
	for i := range n {
		values[i], values[n+i] = int32(i/time), int32(from+i%time)
	}
	if err := backend.SetI32(b, at, values); err != nil {
		tb.Fatal(err)
	}
	return at
}

// TestPoolIsBoundAsAWhole takes pools of blocks up to the size of a binding, and no larger
// ones. A cache without a table may be of any size, for it is split.
func TestPoolIsBoundAsAWhole(t *testing.T) {
	const width, block, blocks = 32, 16, 127 // with what an offset is rounded down by, nearly 256 KiB of f32
	b := openTest(t, lavapipe, small)
	of := func(d backend.DType, dims ...int) backend.Tensor { return backend.Of(nil, d, 0, dims...) }
	for _, c := range []struct {
		blocks int
		dtype  backend.DType
		table  bool
		want   bool
	}{
		{blocks, backend.F32, true, true},
		{blocks + 1, backend.F32, true, false},
		{blocks + 1, backend.F32, false, true},
		{blocks + 1, backend.F16, true, true},
		{2*blocks + 2, backend.F16, true, false},
	} {
		pool, at, table, x := of(c.dtype, c.blocks, block, width), of(backend.I32, 2, 3), backend.Tensor{}, of(backend.F32, 1, 3, width)
		if c.table {
			table = of(backend.I32, 4, 20)
		}
		for _, op := range []backend.Op{
			&backend.Store{Dst: pool, X: x, At: at, Table: table},
			&backend.Attention{Dst: x, Q: x, K: pool, V: pool, At: at, Table: table, Heads: 4, Run: 1, Scale: 1},
		} {
			if got := b.Supports(op); got != c.want {
				t.Errorf("%s with a table: %v, cache of %v: supported is %v, expected %v", op.Name(), c.table, pool, got, c.want)
			}
		}
	}
}
