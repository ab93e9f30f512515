package nn_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/nn"
)

// counting is a null backend whose ops set every element that they write to the
// number of ops that have run so far: enough to see which memory is whose.
type counting struct {
	null.Backend
	ran  []string
	told []string // as ran, with the dtype of what a product reads
	err  error
}

func newCounting() *counting { return &counting{} }

// used is the number of bytes of all buffers.
func (c *counting) used() int {
	used, _, _ := c.Memory()
	return int(used)
}

func (c *counting) Run(ops ...backend.Op) error {
	for _, op := range ops {
		c.ran, c.told = append(c.ran, backend.Label(op)), append(c.told, backend.Label(op))
		if l, ok := op.(*backend.Linear); ok {
			c.told[len(c.told)-1] += ":" + l.X.DType.String()
		}
		op.Operands(func(_ string, t *backend.Tensor, a backend.Access) {
			if a.Writes() && t.DType == backend.F32 {
				values := make([]float32, t.Dim(-1))
				for i := range values {
					values[i] = float32(len(c.ran))
				}
				for r := range t.Rows() {
					row := backend.Of(t.Buf, t.DType, t.Row(r), len(values))
					if err := backend.SetF32(c, row, values); err != nil && c.err == nil {
						c.err = err
					}
				}
			}
		})
	}
	return c.err
}

func f32(t *testing.T, b backend.Backend, dims ...int) nn.Tensor {
	return tensor(t, b, backend.F32, dims...)
}

func tensor(t *testing.T, b backend.Backend, d backend.DType, dims ...int) nn.Tensor {
	t.Helper()
	x, err := backend.New(b, d, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// value is the number that every element of x has.
func value(t *testing.T, b backend.Backend, x nn.Tensor) float32 {
	t.Helper()
	values := make([]float32, x.Len())
	if err := backend.GetF32(b, x, values); err != nil {
		t.Fatal(err)
	}
	if slices.Min(values) != slices.Max(values) {
		t.Errorf("%v holds numbers from %v to %v, expected one", x, slices.Min(values), slices.Max(values))
	}
	return values[0]
}

// TestTapeShapes expects of each method the op, and a result of the shape,
// that its comment tells.
func TestTapeShapes(t *testing.T) {
	b := newCounting()
	ids := tensor(t, b, backend.I32, 2, 3)
	at, err := nn.NewPlaces(b, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	tape := nn.NewTape(b)
	x := tape.Embed(f32(t, b, 11, 8), f32(t, b, 7, 8), ids, at)
	picked := tape.Pick(x, tensor(t, b, backend.I32, 2, 1))
	normed := tape.LayerNorm(nn.Norm{Gamma: f32(t, b, 8), Beta: f32(t, b, 8), Epsilon: 1e-5}, x)
	scores := tape.Linear(nn.Linear{W: f32(t, b, 5, 8), Bias: f32(t, b, 5)}, normed)
	gelu := tape.Activate(backend.GELUTanh, scores)
	sum := tape.Add(scores, gelu)
	probs := tape.Softmax(sum)
	best := tape.Argmax(probs)
	cache := f32(t, b, 2, 7, 8)
	tape.Store(cache, x, at)
	heard := tape.Attention(nn.Attention{Heads: 2}, x, cache, cache, at)
	for _, c := range []struct {
		got  nn.Tensor
		want string
	}{
		{x, "f32[2 3 8]"}, {picked, "f32[2 1 8]"}, {normed, "f32[2 3 8]"}, {scores, "f32[2 3 5]"}, {gelu, "f32[2 3 5]"},
		{sum, "f32[2 3 5]"}, {probs, "f32[2 3 5]"}, {best, "i32[2 3 1]"}, {heard, "f32[2 3 8]"},
	} {
		if c.got.String() != c.want {
			t.Errorf("a result is %v, expected %s", c.got, c.want)
		}
	}
	p, err := tape.Record()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	want := "embedding embedding layernorm linear activate+gelu_tanh add softmax argmax store attention"
	if got := strings.Join(b.ran, " "); got != want {
		t.Errorf("ran %s, expected %s", got, want)
	}
}

// chain writes a chain of six activations, of which the second is named "two"
// and the fourth "four", onto a tape.
func chain(tape *nn.Tape, x nn.Tensor) (results []nn.Tensor) {
	for i := range 6 {
		x = tape.Activate(backend.GELUTanh, x)
		results = append(results, x)
		switch i {
		case 1:
			tape.Name(x, "two")
		case 3:
			tape.Name(x, "%s.%d", "four", 4)
		}
	}
	return results
}

func TestWatchAndKeep(t *testing.T) {
	b := newCounting()
	x := f32(t, b, 3, 5)
	tape := nn.NewTape(b)
	tape.Watch(func(name string) bool { return strings.HasPrefix(name, "four") })
	results := chain(tape, x)
	last := tape.Keep(results[5])
	kept := tape.Keep(results[0])
	tape.Keep(x) // has memory of its own already
	p, err := tape.Record()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for run := range 2 { // the second run leaves its own results
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		named := p.Named()
		if len(named) != 1 {
			t.Errorf("%d tensors are named, expected the one that was watched", len(named))
		}
		base := float32(6 * run)
		for what, c := range map[string]struct {
			x    nn.Tensor
			want float32
		}{"four": {named["four.4"], 4}, "the last": {p.Tensor(last), 6}, "the first": {p.Tensor(kept), 1}} {
			if got := value(t, b, c.x); got != base+c.want {
				t.Errorf("run %d: %s holds what op %v wrote, expected op %v", run, what, got, base+c.want)
			}
		}
	}
	if got := p.Tensor(x); got != x {
		t.Errorf("a tensor with memory of its own became %v", got)
	}
}

// TestRecordReusesMemory compares a program's memory with and without watching.
func TestRecordReusesMemory(t *testing.T) {
	used := func(watch bool) int {
		b := newCounting()
		x := f32(t, b, 16, 16)
		tape := nn.NewTape(b)
		tape.Watch(func(string) bool { return watch })
		chain(tape, x)
		if _, err := tape.Record(); err != nil {
			t.Fatal(err)
		}
		return b.used() - x.Buf.Size()
	}
	if got := used(false); got != 2*1024 {
		t.Errorf("a chain of results of 1024 bytes takes %d, expected two of them", got)
	}
	if got := used(true); got != 4*1024 {
		t.Errorf("with two of them kept, %d, expected four", got)
	}
}

// TestRecordFuses sees that what is watched is not fused away.
func TestRecordFuses(t *testing.T) {
	for watch, want := range map[bool]string{false: "linear+gelu_tanh", true: "linear activate+gelu_tanh"} {
		b := newCounting()
		tape := nn.NewTape(b)
		tape.Watch(func(string) bool { return watch })
		sum := tape.Linear(nn.Linear{W: f32(t, b, 4, 5)}, f32(t, b, 3, 5))
		tape.Name(sum, "sum")
		tape.Keep(tape.Activate(backend.GELUTanh, sum))
		p, err := tape.Record()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.ran, " "); got != want {
			t.Errorf("watched %v: ran %s, expected %s", watch, got, want)
		}
	}
}

// lastOp is a null backend that remembers what has run last.
type lastOp struct {
	null.Backend
	op backend.Op
}

func (l *lastOp) Run(ops ...backend.Op) error {
	l.op = ops[len(ops)-1]
	return nil
}

// TestAttentionOptions expects of the op what the layer says, and 1/√size where it
// says nothing of the scale.
func TestAttentionOptions(t *testing.T) {
	for _, layer := range []nn.Attention{{Heads: 2}, {Heads: 4, Scale: 0.5, Window: 3, SoftCap: 50}} {
		b := &lastOp{}
		want := layer
		if layer.Heads == 2 { // of 16
			want.Scale = 0.25
		} else {
			layer.Sinks = f32(t, b, 4)
			want.Sinks = layer.Sinks
		}
		tape := nn.NewTape(b)
		kv := f32(t, b, 2, 7, 32/layer.Heads)
		tape.Attention(layer, f32(t, b, 2, 3, 32), kv, kv, placesFrom(t, b, 3, 0, 0))
		run(t, record(t, tape))
		op := b.op.(*backend.Attention)
		if got := (nn.Attention{Heads: op.Heads, Scale: op.Scale, Window: op.Window, SoftCap: op.SoftCap, Sinks: op.Sinks}); got != want {
			t.Errorf("the op has %+v, expected %+v", got, want)
		}
	}
	b := newCounting()
	tape := nn.NewTape(b)
	kv := f32(t, b, 2, 7, 8)
	tape.Attention(nn.Attention{}, f32(t, b, 2, 3, 8), kv, kv, placesFrom(t, b, 3, 0, 0))
	if _, err := tape.Record(); err == nil || !strings.Contains(err.Error(), "0 heads") {
		t.Errorf("without heads: %v", err)
	}
}

// TestAttentionSingle expects one attention of tokens that are single, and one of those
// that follow one another, on slices of the same tensors.
func TestAttentionSingle(t *testing.T) {
	for _, c := range []struct {
		single int
		want   []string
	}{
		{0, []string{"f32[6 8] run 0 at 0, probs f32[2 6 8]"}},
		{6, []string{"f32[6 8] run 1 at 0, probs f32[2 6 8]"}},
		{2, []string{"f32[2 8] run 1 at 0, probs f32[2 2 8]", "f32[4 8] run 0 at 2, probs f32[2 4 8]"}},
	} {
		b := &allOps{}
		tape := nn.NewTape(b)
		tape.Watch(func(name string) bool { return name == "probs" })
		pool, at := f32(t, b, 5, 4, 8), placesFrom(t, b, 6, 0)
		at.Table, at.Single = tensor(t, b, backend.I32, 3, 2), c.single
		x := tape.Activate(backend.ReLU, f32(t, b, 1, 6, 8))
		y := tape.Attention(nn.Attention{Heads: 2}, x, tape.Store(pool, x, at), pool, at)
		run(t, record(t, tape))
		var got []string
		for _, op := range b.ops {
			switch op := op.(type) {
			case *backend.Store:
				if op.Table != at.Table || op.At != at.At {
					t.Errorf("the cache is stored to by %v and %v", op.At, op.Table)
				}
			case *backend.Attention:
				if op.Table != at.Table {
					t.Errorf("attention has the table %v", op.Table)
				}
				got = append(got, fmt.Sprintf("%v run %d at %d, probs %v", op.Dst, op.Run, op.At.Offset, op.Probs))
			}
		}
		if !slices.Equal(got, c.want) || y.String() != "f32[6 8]" {
			t.Errorf("%d single: %q and %v, expected %q", c.single, got, y, c.want)
		}
	}
	b := newCounting()
	tape := nn.NewTape(b)
	at := placesFrom(t, b, 3, 0, 0)
	at.Single = 2
	tape.Attention(nn.Attention{Heads: 2}, f32(t, b, 2, 3, 8), f32(t, b, 2, 7, 8), f32(t, b, 2, 7, 8), at)
	if _, err := tape.Record(); err == nil || !strings.Contains(err.Error(), "single") {
		t.Errorf("single tokens in two rows: %v", err)
	}
}

// allOps remembers the ops of the last run.
type allOps struct {
	null.Backend
	ops []backend.Op
}

func (a *allOps) Run(ops ...backend.Op) error {
	a.ops = ops
	return nil
}

func TestAttentionMap(t *testing.T) {
	for watch, want := range map[bool]string{false: "", true: "f32[2 4 3 7]"} {
		b := newCounting()
		tape := nn.NewTape(b)
		tape.Watch(func(name string) bool { return watch && name == "blocks.5.probs" })
		kv := f32(t, b, 2, 7, 8)
		tape.Scope("blocks.%d", 5).Attention(nn.Attention{Heads: 4}, f32(t, b, 2, 3, 8), kv, kv, placesFrom(t, b, 3, 0, 0))
		p, err := tape.Record()
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if x, ok := p.Named()["blocks.5.probs"]; ok {
			got = x.String()
		}
		if got != want {
			t.Errorf("watched %v: the map is %q, expected %q", watch, got, want)
		}
	}
}

func TestRecordErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(b *counting, tape *nn.Tape)
		parts []string
	}{
		{"shapes", func(b *counting, tape *nn.Tape) {
			x := tape.Activate(backend.GELUTanh, f32(t, b, 3, 5))
			tape.Linear(nn.Linear{W: f32(t, b, 4, 6)}, x)
		}, []string{"op 1 (linear)", "x has shape [3 5], expected [3 6]"}},
		{"absent", func(b *counting, tape *nn.Tape) {
			tape.LayerNorm(nn.Norm{Epsilon: 1}, f32(t, b, 3, 5))
		}, []string{"op 0 (layernorm)", "gamma: absent"}},
		{"unsupported", func(b *counting, tape *nn.Tape) {
			b.Lacks = func(op backend.Op) bool { return op.Name() == "argmax" }
			tape.Argmax(f32(t, b, 3, 5))
		}, []string{"op 0 (argmax)", "null does not support argmax for dst i32[3 1], x f32[3 5]"}},
		{"memory", func(b *counting, tape *nn.Tape) {
			x := f32(t, b, 300, 5)
			b.Limit = int64(b.used()) + 5999
			tape.Activate(backend.GELUTanh, x)
		}, []string{"intermediate results", "out of memory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newCounting()
			tape := nn.NewTape(b)
			c.write(b, tape)
			before := b.Live()
			_, err := tape.Record()
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.parts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
			if b.Live() != before {
				t.Errorf("%d buffers were left behind", b.Live()-before)
			}
		})
	}
}

// refusing cannot record.
type refusing struct{ *counting }

func (refusing) Record(...backend.Op) (backend.Program, error) { return nil, errRefused }

var errRefused = errors.New("too many programs")

func TestProgramFreesMemory(t *testing.T) {
	b := newCounting()
	x := f32(t, b, 3, 5)
	tape := nn.NewTape(b)
	chain(tape, x)
	p, err := tape.Record()
	if err != nil {
		t.Fatal(err)
	}
	if b.Live() != 2 {
		t.Errorf("%d buffers live, expected the input and the results", b.Live())
	}
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Error(err)
	}
	if b.Live() != 1 || b.used() != x.Buf.Size() {
		t.Errorf("%d buffers live after Close, expected the input alone", b.Live())
	}
	if err := p.Run(); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("Run after Close gave %v", err)
	}

	tape = nn.NewTape(refusing{b})
	chain(tape, x)
	if _, err := tape.Record(); !errors.Is(err, errRefused) || b.Live() != 1 {
		t.Errorf("a recording that failed left %d buffers, error %v", b.Live()-1, err)
	}
}

func TestEmptyTape(t *testing.T) {
	b := newCounting()
	p, err := nn.NewTape(b).Record()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Run(), p.Close()); err != nil {
		t.Error(err)
	}
	if len(b.ran) > 0 || len(p.Named()) > 0 {
		t.Error(fmt.Sprint("an empty tape ran ", b.ran))
	}
}
