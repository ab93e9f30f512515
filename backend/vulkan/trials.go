//go:build cgo

package vulkan

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

// trials are small ops with known results, for the check of pipelines. All of their operands
// lie in one buffer, so that many are one upload, one submit and one read.
type trials struct {
	b     *Backend
	rng   *rand.Rand
	slab  *buffer // is allocated when the image is complete
	image []byte  // what is in it before the ops run
	list  []trial
	fours bool // rows of results begin at multiples of four numbers
}

// trial is an op, and what it must write.
type trial struct {
	what    string // "9 rows, 36 inputs, 5 outputs"
	encode  func(e *encoder) error
	results []result
}

// result is a range of memory after the op: what it writes, and what it must leave alone.
type result struct {
	name   string
	at     int // bytes in the slab
	dtype  backend.DType
	stride int       // elements from row to row, for messages
	want   []float64 // NaN: it must be
	most   []float64 // how far each element may be off
}

// untouched is what is around a result, and stays there.
const untouched = -12288 // exact in f16 and bf16

// begin has the trials of a pipeline use the same random numbers in each process, so that
// what is found can be found again.
func (t *trials) begin(p pipelineSpec) {
	h := fnv.New64a()
	h.Write([]byte(p.variant.Name()))
	t.rng = rand.New(rand.NewPCG(h.Sum64(), 1))
}

// integers are n random ones of at most most in magnitude, with few bits, so that sums of
// products of them are exact in f32.
func (t *trials) integers(n, most int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(t.rng.IntN(2*most+1) - most)
	}
	return values
}

// place appends bytes to the image, aligned for every binding, and returns where they are.
func (t *trials) place(p []byte) int {
	for len(t.image)%rangeUnit != 0 {
		t.image = append(t.image, 0)
	}
	at := len(t.image)
	t.image = append(t.image, p...)
	return at
}

// tensor is a contiguous operand of a dtype whose elements begin at a byte of the slab.
func (t *trials) tensor(d backend.DType, at int, dims ...int) backend.Tensor {
	return backend.Of(t.slab, d, at/d.BlockBytes()*d.BlockLen(), dims...)
}

// padding is how many elements operand leaves between rows of n: none between those of blocks; else pad,
// or some eights more, so that rows lie as well as before: Mesa compiles a shader again for texel buffers whose length
// is a power of two, which those of models seldom are.
func padding(d backend.DType, rows, n, pad int) int {
	if d.Quantized() {
		return 0
	}
	if pad > 0 && rows > 1 {
		for span := (rows-1)*(n+pad) + n; span%4 == 0 && powerOfTwo(span/4); span = (rows-1)*(n+pad) + n {
			pad += 8
		}
	}
	return pad
}

// operand places numbers, rounded to a dtype, and returns what they are then. Rows are padding apart.
func (t *trials) operand(d backend.DType, values []float32, rows, n, pad int) (backend.Tensor, []float32) {
	pad = padding(d, rows, n, pad)
	wide := make([]float32, rows*(n+pad))
	for r := range rows {
		copy(wide[r*(n+pad):], values[r*n:(r+1)*n])
	}
	p, err := backend.Encode(nil, d, wide)
	if err != nil {
		panic(err) // they are small integers, in whole blocks
	}
	got := make([]float32, len(wide))
	if err := backend.Decode(got, d, p); err != nil {
		panic(err)
	}
	// Blocks need not divide the alignment of bindings: the offset counts whole ones.
	for d.Quantized() && len(t.image)%(rangeUnit*d.BlockBytes()) != 0 {
		t.image = append(t.image, 0)
	}
	x := t.tensor(d, t.place(p), rows, n+pad).Slice(-1, 0, n)
	rounded := make([]float32, rows*n)
	for r := range rows {
		copy(rounded[r*n:(r+1)*n], got[r*(n+pad):])
	}
	return x, rounded
}

func powerOfTwo(n int) bool { return n&(n-1) == 0 }

// numbers places i32.
func (t *trials) numbers(values ...int32) backend.Tensor {
	var p []byte
	for _, v := range values {
		p = binary.LittleEndian.AppendUint32(p, uint32(v))
	}
	return t.tensor(backend.I32, t.place(p), len(values))
}

// resultStride is the distance between rows of n numbers that expect places.
func (t *trials) resultStride(n int) int {
	const right = 8
	if t.fours {
		return (n + right + 3) / 4 * 4
	}
	return n + right
}

// expect places a matrix [rows, n] that the op is to write, in a wider and longer one, and
// returns it. before is what is in it first; want what it must be, and most how far off.
func (t *trials) expect(tr *trial, name string, d backend.DType, rows, n int, before []float32, want, most []float64) backend.Tensor {
	const below = 1
	stride := t.resultStride(n)
	r := result{name: name, dtype: d, stride: stride, want: make([]float64, (rows+below)*stride), most: make([]float64, (rows+below)*stride)}
	wide := make([]float32, len(r.want))
	for i := range wide {
		row, col := i/stride, i%stride
		wide[i], r.want[i] = untouched, untouched
		if row < rows && col < n && before != nil {
			wide[i] = before[row*n+col]
		}
	}
	r.set(rows, n, want, most)
	p, err := backend.Encode(nil, d, wide)
	if err != nil {
		panic(err)
	}
	r.at = t.place(p)
	tr.results = append(tr.results, r)
	return t.tensor(d, r.at, rows+below, stride).Slice(-2, 0, rows).Slice(-1, 0, n)
}

// set says what a result [rows, n] must be, and how far off: nil: not at all.
func (r *result) set(rows, n int, want, most []float64) {
	for at := range rows * n {
		i := at/n*r.stride + at%n
		r.want[i] = want[at]
		if most != nil {
			r.most[i] = most[at]
		}
	}
}

func (t *trials) add(tr trial) { t.list = append(t.list, tr) }

// upload allocates the buffer and writes the image to it. After an error there is no buffer.
func (t *trials) upload() error {
	t.place(nil)
	buf, err := t.b.alloc(uint64(len(t.image)) + 256) // kernels may read a little past the last element
	if err != nil {
		return err
	}
	*t.slab = *buf
	if err := t.b.write(t.slab, 0, t.image); err != nil {
		t.slab.Free()
		return err
	}
	return nil
}

// check compares the results with what they must be.
func (tr *trial) check(image []byte) error {
	for _, r := range tr.results {
		got := make([]float64, len(r.want))
		if r.dtype == backend.I32 {
			for i := range got {
				got[i] = float64(int32(binary.LittleEndian.Uint32(image[r.at+4*i:])))
			}
		} else {
			numbers := make([]float32, len(got))
			if err := backend.Decode(numbers, r.dtype, image[r.at:]); err != nil {
				return err
			}
			got = float64s(numbers)
		}
		for i, want := range r.want {
			if math.IsNaN(got[i]) && math.IsNaN(want) {
				continue
			}
			if d := math.Abs(got[i] - want); !(d <= r.most[i]) {
				return fmt.Errorf("with %s, %s at [%d, %d] is %v, expected %v", tr.what, r.name, i/r.stride, i%r.stride, got[i], want)
			}
		}
	}
	return nil
}
