package backend_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"

	"caldera/backend"
)

// TestEncodeBlock holds blocks to bytes worked out by hand from ggml's
// reference, quantize_row_q8_0_ref and quantize_row_q4_0_ref.
func TestEncodeBlock(t *testing.T) {
	x := make([]float32, 32)
	x[0], x[1], x[2], x[3], x[16], x[31] = -127, 63.5, 0.5, -0.5, 1, 100 // scale 1
	q8 := append([]byte{0x00, 0x3c}, make([]byte, 32)...)                // f16 1 is 0x3c00
	q8[2], q8[3], q8[4], q8[5], q8[18], q8[33] = 0x81, 64, 1, 0xff, 1, 100
	y := make([]float32, 32)
	y[0], y[1], y[2], y[15], y[16], y[31] = -16, 15, 3, 1, 16, -0.9 // scale 2, and 8 the middle
	q4 := append([]byte{0x00, 0x40}, bytes.Repeat([]byte{0x88}, 16)...)
	q4[2] = 0 | 15<<4 // 16/2 + 8 is 16, which 4 bits do not hold
	q4[3] = 15 | 8<<4 // 7.5 + 8.5 = 16
	q4[4] = 10 | 8<<4 // 1.5 + 8.5
	q4[17] = 9 | 8<<4 // 0.5 + 8.5; −0.45 + 8.5
	flip := make([]float32, 32)
	for i, v := range y {
		flip[i] = -v
	}
	// The scale has the opposite sign of the first of the largest: the same numbers.
	q4flip := bytes.Clone(q4)
	q4flip[1] = 0xc0
	for _, c := range []struct {
		name   string
		d      backend.DType
		values []float32
		want   []byte
	}{
		{"q8_0", backend.Q8_0, x, q8},
		{"q4_0", backend.Q4_0, y, q4},
		{"q4_0 of the other sign", backend.Q4_0, flip, q4flip},
		{"q8_0 of zeros", backend.Q8_0, make([]float32, 32), make([]byte, 34)},
		{"q4_0 of zeros", backend.Q4_0, make([]float32, 32), append([]byte{0x00, 0x80}, bytes.Repeat([]byte{0x88}, 16)...)},
	} {
		got, err := backend.Encode(nil, c.d, c.values)
		if c.name == "q4_0 of zeros" && err == nil {
			got[1] |= 0x80 // ggml's 0/−8 is −0; either sign will do
		}
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: got % x (%v), want % x", c.name, got, err, c.want)
		}
	}
}

// TestEncodeDecode holds what comes back to the bounds that each type allows.
func TestEncodeDecode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		d     backend.DType
		bound func(largest float64) float64 // of the error, by the block's largest number
	}{
		{backend.F32, func(float64) float64 { return 0 }},
		{backend.F16, func(x float64) float64 { return x * 0x1p-11 }},
		{backend.Q8_0, func(x float64) float64 { return x/127*0.5 + x*0x1p-11 }},
		{backend.Q4_0, func(x float64) float64 { return x/8 + x*0x1p-11 }}, // the end that 4 bits lack
	} {
		values := make([]float32, 32*50)
		for i := range values {
			values[i] = float32(r.NormFloat64() * math.Pow(10, float64(i/32%7-3)))
		}
		p, err := backend.Encode([]byte{42}, c.d, values)
		if err != nil || p[0] != 42 || len(p) != 1+c.d.Bytes(len(values)) {
			t.Fatalf("%v: %d bytes, %v", c.d, len(p), err)
		}
		got := make([]float32, len(values))
		if err := backend.Decode(got, c.d, p[1:]); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			largest := 0.0
			for _, w := range values[i/32*32:][:32] {
				largest = max(largest, math.Abs(float64(w)))
			}
			if far := math.Abs(float64(got[i]) - float64(v)); far > c.bound(largest) {
				t.Fatalf("%v: %v came back as %v, off by %v, in a block up to %v", c.d, v, got[i], far, largest)
			}
		}
		// What was rounded once stays as it is.
		again, err := backend.Encode([]byte{42}, c.d, got)
		if err != nil || c.d != backend.Q4_0 && !bytes.Equal(again, p) {
			t.Errorf("%v: encoding what was decoded gave other bytes (%v)", c.d, err)
		}
	}
}

// TestDecodeAll decodes every 4-bit number in every place.
func TestDecodeAll(t *testing.T) {
	p := make([]byte, 18)
	binary.LittleEndian.PutUint16(p, float16.Fromfloat32(0.25).Bits())
	for j := range 16 {
		p[2+j] = byte(j | (15-j)<<4)
	}
	got := make([]float32, 32)
	if err := backend.Decode(got, backend.Q4_0, p); err != nil {
		t.Fatal(err)
	}
	for j := range 16 {
		if low, high := float32(j-8)/4, float32(7-j)/4; got[j] != low || got[j+16] != high {
			t.Errorf("byte %d gave %v and %v, want %v and %v", j, got[j], got[j+16], low, high)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		d     backend.DType
		value float32
		n     int
		want  string
	}{
		{backend.F16, 70000, 1, "does not fit f16"},
		{backend.Q8_0, 1, 31, "not whole blocks of q8_0"},
		{backend.Q8_0, nan, 32, "NaN"},
		{backend.Q4_0, nan, 32, "NaN"},
		{backend.Q8_0, 1e9, 32, "too large for q8_0"},
		{backend.Q4_0, float32(math.Inf(1)), 32, "too large for q4_0"},
		{backend.I32, 1, 1, "cannot store numbers as i32"},
	} {
		values := make([]float32, c.n)
		for i := range values {
			values[i] = c.value
		}
		_, err := backend.Encode(nil, c.d, values)
		wantError(t, err, c.want)
	}
	for _, d := range backend.QuantizedDTypes() {
		for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 3e38} {
			values := make([]float32, d.BlockLen())
			values[d.BlockLen()/3] = float32(x)
			if p, err := backend.Encode(nil, d, values); err == nil && (d != backend.MXFP4 || x != 3e38) {
				t.Errorf("%v holds %v as % x", d, x, p)
			}
		}
	}
	wantError(t, backend.Decode(make([]float32, 32), backend.Q8_0, make([]byte, 33)), "33 bytes do not hold 32 values of q8_0")
	wantError(t, backend.Decode(make([]float32, 31), backend.Q4_0, make([]byte, 34)), "31 values")
	wantError(t, backend.Decode(make([]float32, 1), backend.I32, make([]byte, 4)), "i32 holds no numbers")
}

// TestQuantizedTensor checks what is particular about tensors of blocks.
func TestQuantizedTensor(t *testing.T) {
	f := &fake{}
	x, err := backend.New(f, backend.Q8_0, 3, 64)
	if err != nil || x.Size() != 3*68 || x.Buf.Size() != 3*68 {
		t.Fatalf("%v: %d bytes, %v", x, x.Size(), err)
	}
	if from, to := x.Slice(-2, 1, 2).Span(); from != 68 || to != 136 {
		t.Errorf("row 1 spans bytes %d to %d, expected 68 to 136", from, to)
	}
	if _, err := backend.New(f, backend.Q4_0, 3, 33); err == nil {
		t.Error("a row of 33 is not whole blocks")
	}
	dst, _ := backend.New(f, backend.F32, 1, 3)
	v, _ := backend.New(f, backend.F32, 1, 64)
	half, _ := backend.New(f, backend.F32, 1, 32)
	ok := &backend.Linear{Dst: dst, X: v, W: x}
	if err := backend.Check(ok); err != nil {
		t.Error(err)
	}
	if err := backend.Check(&backend.Linear{Dst: dst, X: half, W: x.Slice(-1, 32, 64)}); err != nil {
		t.Error(err)
	}
	sixteen, _ := backend.New(f, backend.F32, 1, 16)
	for name, op := range map[string]backend.Op{
		"half a block":  &backend.Linear{Dst: dst, X: sixteen, W: x.Slice(-1, 0, 16)},
		"a late begin":  &backend.Linear{Dst: dst, X: half, W: x.Slice(-1, 16, 48)},
		"transposed":    &backend.Linear{Dst: v, X: backend.Of(dst.Buf, backend.F32, 0, 1, 3), W: x.Transpose()},
		"as activation": &backend.Activate{Dst: v, X: x.Slice(-2, 0, 1), Func: backend.GELUTanh},
	} {
		if backend.Check(op) == nil {
			t.Errorf("%s passed Check", name)
		}
	}
}

// TestTable holds the rows of the table to one another.
func TestTable(t *testing.T) {
	names, numbers := map[string]bool{}, map[uint32]bool{}
	for i := range 256 {
		d := backend.DType(i)
		if !d.Valid() {
			continue
		}
		if names[d.String()] || d.BlockBytes()%d.Unit() != 0 {
			t.Errorf("%v: a name that is taken, or a block of %d bytes with numbers of %d", d, d.BlockBytes(), d.Unit())
		}
		names[d.String()] = true
		if n, _, ok := d.GGUF(); ok && d.Is(backend.Weights) {
			if numbers[n] || backend.OfGGUF(n) != d || backend.OfFileName(d.FileName()) != d {
				t.Errorf("%v: GGUF's number %d or the name %s is that of another", d, n, d.FileName())
			}
			numbers[n] = true
		}
		zeros := make([]float32, 2*d.BlockLen())
		if p, err := backend.Encode(nil, d, zeros); d.Is(backend.Weights|backend.Caches|backend.Activations) == (err != nil) || err == nil && len(p) != 2*d.BlockBytes() {
			t.Errorf("%v: two blocks are %d bytes (%v), expected %d", d, len(p), err, 2*d.BlockBytes())
		}
	}
	if !names["f32"] || !names["q4_0"] || !numbers[30] {
		t.Error("the table has no f32, q4_0 or bf16")
	}
	for _, r := range []backend.Role{backend.Weights, backend.Caches, backend.Activations} {
		if ds := backend.DTypes(r); len(ds) == 0 || ds[0] != backend.F32 {
			t.Errorf("dtypes of role %d are %v, expected f32 first, which is the largest", r, ds)
		}
	}
}
