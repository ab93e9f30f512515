package nn_test

import (
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/conformance"
	"caldera/nn"
)

const towerRows, towerWidth, towerInner = 16, 8, 64

// tower records a step of training a tower of blocks.
func tower(t *testing.T, b backend.Backend, blocks int, recompute bool) (*nn.Program, *nn.Parameters) {
	t.Helper()
	fill := func(x nn.Tensor, from int) nn.Tensor {
		values := make([]float32, x.Len())
		for i := range values {
			values[i] = float32((from+i*7)%13-6) / 16
		}
		set(t, b, x, values)
		return x
	}
	var list []nn.Parameter
	linear := func(out, in int) nn.Linear {
		l := nn.Linear{W: fill(f32(t, b, out, in), len(list)), Bias: f32(t, b, out)}
		list = append(list, nn.Parameter{Value: l.W}, nn.Parameter{Value: l.Bias})
		return l
	}
	head := linear(netVocab, towerWidth)
	layers := make([][2]nn.Linear, blocks)
	for i := range layers {
		layers[i] = [2]nn.Linear{linear(towerInner, towerWidth), linear(towerWidth, towerInner)}
	}
	params, err := nn.NewParameters(b, list...)
	if err != nil {
		t.Fatal(err)
	}
	x := fill(f32(t, b, 1, towerRows, towerWidth), 3)
	targets, seed := tensor(t, b, backend.I32, 1, towerRows), tensor(t, b, backend.I32, 4)
	tape := nn.NewTape(b)
	tape.Train(params, nn.Training{Share: 1, Dropout: 0.2, Seed: seed, Recompute: recompute})
	for _, l := range layers {
		x = tape.Add(x, tape.Dropout(tape.Linear(l[1], tape.Activate(backend.GELUTanh, tape.Linear(l[0], x)))))
		tape.Segment()
	}
	tape.Backward(tape.Keep(tape.CrossEntropy(head, x, targets, towerRows)))
	return record(t, tape), params
}

// TestRecompute computes the insides of blocks again, which must change no
// gradient.
func TestRecompute(t *testing.T) {
	for _, blocks := range []int{1, 4} {
		var grads [2][][]float32
		for i, recompute := range []bool{false, true} {
			b := conformance.Reference()
			program, params := tower(t, b, blocks, recompute)
			run(t, program)
			for _, p := range params.List {
				grads[i] = append(grads[i], get(t, b, p.Grad))
			}
		}
		for i, kept := range grads[0] {
			if !slices.Equal(kept, grads[1][i]) {
				t.Errorf("%d blocks: the gradient of parameter %d is %v, computed again %v", blocks, i, kept, grads[1][i])
			}
			if slices.Max(kept) == 0 && slices.Min(kept) == 0 {
				t.Errorf("%d blocks: the gradient of parameter %d is 0: that shows nothing", blocks, i)
			}
		}
	}
}

// TestRecomputeMemory expects a block to take the memory of its insides, or
// where they are computed again little more than that of its result.
func TestRecomputeMemory(t *testing.T) {
	used := func(blocks int, recompute bool) (bytes int) {
		b := newCounting()
		_, params := tower(t, b, blocks, recompute)
		bytes = b.used()
		for _, p := range params.List {
			bytes -= 4 * p.Value.Size()
		}
		return bytes
	}
	const inside, result = 4 * towerRows * towerInner, 4 * towerRows * towerWidth // bytes
	if few, many := used(2, false), used(6, false); many-few < 4*2*inside {
		t.Errorf("2 blocks take %d bytes, 6 take %d: expected each to keep two results of %d", few, many, inside)
	}
	if few, many := used(2, true), used(6, true); many-few > 4*2*result {
		t.Errorf("computed again, 2 blocks take %d bytes, 6 take %d: expected little more than %d each", few, many, result)
	}
}

// TestRecomputeOps expects nothing to be computed again that nothing reads: the
// second product of a block, its dropout and the sum.
func TestRecomputeOps(t *testing.T) {
	b := newCounting()
	program, _ := tower(t, b, 1, true)
	run(t, program)
	const (
		forward  = "linear+gelu_tanh linear dropout add" // nothing else reads between the first two, so they fuse
		head     = "linear cross_entropy linear_backward linear"
		again    = "linear activate+gelu_tanh"
		backward = "dropout linear_backward linear activate_backward+gelu_tanh linear_backward linear"
	)
	if got, want := strings.Join(b.ran, " "), strings.Join([]string{forward, head, again, backward}, " "); got != want {
		t.Errorf("ran      %s\nexpected %s", got, want)
	}
}
