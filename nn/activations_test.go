package nn_test

import (
	"fmt"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/conformance"
	"caldera/nn"
)

// TestRoundActivations sees which products read blocks, and that those that read
// one tensor share them.
func TestRoundActivations(t *testing.T) {
	for _, c := range []struct {
		d      backend.DType
		trains bool
		want   string
	}{
		{backend.None, false, "add linear:f32 linear:f32 linear:f32 linear:f32"},
		{backend.F32, false, "add linear:f32 linear:f32 linear:f32 linear:f32"},
		{backend.Q8_A, false, "add copy linear:q8_a linear:q8_a linear:f32 copy linear:q8_a"},
		{backend.Q8_A, true, "add linear:f32 linear:f32 linear:f32 linear:f32"},
	} {
		b := newCounting()
		x := f32(t, b, 2, 64)
		tape := nn.NewTape(b)
		tape.RoundActivations(c.d)
		if c.trains {
			p, err := nn.NewParameters(b, nn.Parameter{Value: f32(t, b, 3, 3)})
			if err != nil {
				t.Fatal(err)
			}
			tape.Train(p, nn.Training{Share: 1})
		}
		y := tape.Add(x, x)
		hidden := tape.Linear(nn.Linear{W: tensor(t, b, backend.Q8_0, 32, 64)}, y)
		for i, d := range []backend.DType{backend.Q4_0, backend.BF16} {
			tape.Keep(tape.Linear(nn.Linear{W: tensor(t, b, d, 96+i, 64)}, y))
		}
		tape.Keep(tape.Linear(nn.Linear{W: tensor(t, b, backend.Q8_0, 5, 32)}, hidden))
		p, err := tape.Record()
		if err != nil {
			t.Fatal(err)
		}
		b.told = nil
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		p.Close()
		if got := strings.Join(b.told, " "); got != c.want {
			t.Errorf("%v, trains %v: ran %s, expected %s", c.d, c.trains, got, c.want)
		}
	}
}

// TestRoundedToF16 sees which products round x: those of any number of rows with weights that are not
// f32, on a tape that was told so and does not train.
func TestRoundedToF16(t *testing.T) {
	for _, c := range []struct {
		d      backend.DType
		rows   int
		trains bool
		want   string
	}{
		{backend.F16, 65, false, "round linear:f32 linear:f32 round linear:f32"}, // beside f16, f32 and q8_0
		{backend.F16, 1, false, "round linear:f32 linear:f32 round linear:f32"},
		{backend.F16, 65, true, "linear:f32 linear:f32 linear:f32"},
		{backend.F32, 65, false, "linear:f32 linear:f32 linear:f32"},
		{backend.None, 65, false, "linear:f32 linear:f32 linear:f32"},
	} {
		b := newCounting()
		x := f32(t, b, c.rows, 64)
		tape := nn.NewTape(b)
		tape.RoundActivations(c.d)
		if c.trains {
			p, err := nn.NewParameters(b, nn.Parameter{Value: f32(t, b, 3, 3)})
			if err != nil {
				t.Fatal(err)
			}
			tape.Train(p, nn.Training{Share: 1})
		}
		for i, d := range []backend.DType{backend.F16, backend.F32, backend.Q8_0} {
			tape.Keep(tape.Linear(nn.Linear{W: tensor(t, b, d, 32+i, 64)}, x))
		}
		p, err := tape.Record()
		if err != nil {
			t.Fatal(err)
		}
		b.told = nil
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		p.Close()
		if got := strings.Join(b.told, " "); got != c.want {
			t.Errorf("%v, %d rows, trains %v: ran %s, expected %s", c.d, c.rows, c.trains, got, c.want)
		}
	}
}

// TestRoundActivationsRefused names dtypes in which products do not read activations
// because a tape was told so: blocks of weights, and bf16.
func TestRoundActivationsRefused(t *testing.T) {
	for _, d := range []backend.DType{backend.Q8_0, backend.Q4_0, backend.BF16, backend.I32} {
		tape := nn.NewTape(newCounting())
		tape.RoundActivations(d)
		if _, err := tape.Record(); err == nil || !strings.Contains(err.Error(), "activations in "+d.String()+": expected f32") {
			t.Errorf("%v: got %v", d, err)
		}
	}
}

// TestQuantizedResults computes with blocks in the memory that a tape plans, whose
// places count in blocks.
func TestQuantizedResults(t *testing.T) {
	b := conformance.Reference()
	x, w := f32(t, b, 3, 64), tensor(t, b, backend.Q8_0, 32, 64)
	numbers := make([]float32, 3*64)
	for i := range numbers {
		numbers[i] = float32(i%13) - 6
	}
	if err := backend.SetF32(b, x, numbers); err != nil {
		t.Fatal(err)
	}
	if err := backend.SetF32(b, w, append(make([]float32, 32*64-64), numbers[:64]...)); err != nil {
		t.Fatal(err)
	}
	tape := nn.NewTape(b)
	tape.RoundActivations(backend.Q8_A)
	var sums []nn.Tensor
	for i := range 5 { // so that blocks come to lie behind other results
		y := x
		for range i {
			y = tape.Add(y, x)
		}
		sums = append(sums, tape.Keep(tape.Linear(nn.Linear{W: w}, y)))
	}
	p, err := tape.Record()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for _, v := range numbers[:64] {
		want += float64(v * v)
	}
	for i, s := range sums {
		got := make([]float32, s.Len())
		if err := backend.GetF32(b, p.Tensor(s), got); err != nil {
			t.Fatal(err)
		}
		if far := float64(got[31])/(want*float64(i+1)) - 1; far < -0.02 || far > 0.02 {
			t.Errorf("product %d: got %v, want %v", i, got[31], fmt.Sprint(want*float64(i+1)))
		}
	}
}
