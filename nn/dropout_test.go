package nn_test

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/conformance"
	"caldera/nn"
)

// dropouts is a tape with two dropouts side by side, of tables whose rows are
// looked up once each: where an element is dropped it is 0 in the result, and so
// is the gradient of its table there, and nowhere else.
type dropouts struct {
	b       backend.Backend
	program *nn.Program
	seed    nn.Tensor
	watched []nn.Tensor // the results of both, unless they are computed again; then the gradients of both tables
}

func newDropouts(t *testing.T, recompute bool) *dropouts {
	const rows, width, vocab = 6, 8, 5
	d := &dropouts{b: conformance.Reference()}
	fill := func(dims ...int) nn.Tensor {
		x := f32(t, d.b, dims...)
		values := make([]float32, x.Len())
		for i := range values {
			values[i] = 1 + float32(i%7)/16 // nothing is 0
		}
		if err := backend.SetF32(d.b, x, values); err != nil {
			t.Fatal(err)
		}
		return x
	}
	ints := func(values ...int32) nn.Tensor {
		x := tensor(t, d.b, backend.I32, 1, len(values))
		if err := backend.SetI32(d.b, x, values); err != nil {
			t.Fatal(err)
		}
		return x
	}
	positions := f32(t, d.b, 1+rows, width) // 0
	head := nn.Linear{W: fill(vocab, width)}
	d.seed = tensor(t, d.b, backend.I32, 4)
	ids, targets := ints(0, 1, 2, 3, 4, 5), ints(1, 2, 3, 4, 0, 1)
	at, err := nn.NewPlaces(d.b, 1, 6)
	if err != nil {
		t.Fatal(err)
	}
	tables := []nn.Tensor{fill(rows, width), fill(rows, width)}
	params, err := nn.NewParameters(d.b, nn.Parameter{Value: tables[0]}, nn.Parameter{Value: tables[1]}, nn.Parameter{Value: head.W}, nn.Parameter{Value: positions})
	if err != nil {
		t.Fatal(err)
	}
	tape := nn.NewTape(d.b)
	tape.Train(params, nn.Training{Share: 1, Dropout: 0.5, Seed: d.seed, Recompute: recompute})
	tape.ClearGradients(params)
	var dropped []nn.Tensor
	for _, table := range tables {
		dropped = append(dropped, tape.Dropout(tape.Embed(table, positions, ids, at)))
	}
	if !recompute {
		tape.Keep(dropped[0])
		tape.Keep(dropped[1])
	}
	x := tape.Add(dropped[0], dropped[1])
	tape.Segment()
	tape.Backward(tape.Keep(tape.CrossEntropy(head, x, targets, 4)))
	d.program = record(t, tape)
	if !recompute {
		d.watched = append(d.watched, d.program.Tensor(dropped[0]), d.program.Tensor(dropped[1]))
	}
	d.watched = append(d.watched, params.List[0].Grad, params.List[1].Grad)
	return d
}

// masks runs the tape, and tells which elements of what is watched are not 0.
func (d *dropouts) masks(t *testing.T, seed ...int32) (masks [][]bool) {
	t.Helper()
	if err := backend.SetI32(d.b, d.seed, seed); err != nil {
		t.Fatal(err)
	}
	run(t, d.program)
	for _, x := range d.watched {
		var mask []bool
		for _, v := range get(t, d.b, x) {
			mask = append(mask, v != 0)
		}
		masks = append(masks, mask)
	}
	return masks
}

// TestDropoutMasks: backward each dropout drops what it dropped forward, also
// where it is computed again, two dropouts drop different elements, and every
// word of the seed makes others.
func TestDropoutMasks(t *testing.T) {
	d, again := newDropouts(t, false), newDropouts(t, true)
	var before [][]bool
	seeds := [][]int32{{7, -3, 11, 0}, {8, -3, 11, 0}, {7, -2, 11, 0}, {7, -3, 12, 0}, {7, -3, 11, 1}} // the last two words count steps
	for _, seed := range append(seeds, seeds[0]) {
		masks := d.masks(t, seed...)
		for i, mask := range masks[:2] {
			if !slices.Contains(mask, true) || !slices.Contains(mask, false) {
				t.Fatalf("dropout %d keeps %v, expected about half", i, mask)
			}
			if !slices.Equal(mask, masks[2+i]) {
				t.Errorf("seed %v: dropout %d keeps %v forward and %v backward", seed, i, mask, masks[2+i])
			}
		}
		if slices.Equal(masks[0], masks[1]) {
			t.Errorf("seed %v: both dropouts keep %v", seed, masks[0])
		}
		for i, mask := range again.masks(t, seed...) {
			if !slices.Equal(mask, masks[i]) {
				t.Errorf("seed %v: dropout %d keeps %v, and %v in gradients where it is computed again", seed, i, masks[i], mask)
			}
		}
		if before == nil {
			before = masks
			continue
		}
		for i := range 2 {
			if same := slices.Equal(masks[i], before[i]); same != slices.Equal(seed, seeds[0]) {
				t.Errorf("dropout %d keeps the same with seeds %v and %v: %v", i, seeds[0], seed, same)
			}
		}
	}
}
