package conformance

// Tensors on the host: the memory of the cases and of the oracle. Bytes that belong
// to no tensor hold guards: NaN, or an integer that is outside of every table. So an
// op that reads past its operands gives wrong results, and one that writes past them
// changes a guard.

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"caldera/backend"

	"github.com/x448/float16"
)

// block is host memory of one dtype. It serves as the Buffer of a case's
// tensors until they are bound to a backend.
type block struct {
	dtype backend.DType
	data  []byte
	// constant marks data that is too large to make anew for each run: it is
	// filled and uploaded once. It is one contiguous tensor.
	constant bool
}

func (b *block) Size() int { return len(b.data) }
func (b *block) Free()     {}

// Bit patterns of what no op has written. The payloads tell them apart from
// the NaN that arithmetic gives.
var (
	guard   = pattern{f32: 0x7fc0dead, f16: 0x7ead, bf16: 0x7fed, i32: -0x21524111} // as an id or a position it is outside of every table
	nothing = pattern{f32: 0x7fc0beef, f16: 0x7eef, bf16: 0x7fee, i32: -0x11223344}
)

const guardTail = 16 // elements

// pattern is what stands in an element, by its dtype.
type pattern struct {
	f32       uint32
	f16, bf16 uint16
	i32       int32
}

func newBlock(d backend.DType, n int) *block {
	b := &block{dtype: d, data: make([]byte, d.Bytes(n))}
	b.fillGuard()
	return b
}

func (b *block) fillGuard() {
	if b.dtype.Quantized() {
		for at := 0; at < len(b.data); at += b.dtype.BlockBytes() {
			spoil(b.dtype, b.data[at:at+b.dtype.BlockBytes()], guard.f16)
		}
		return
	}
	for i := range b.len() {
		b.setBits(i, guard)
	}
}

// spoil puts bits of an f16 that is not finite where a block has the scale of all its
// numbers. Numbers of a type that has no such scale become infinite, or as large as can
// be.
func spoil(d backend.DType, block []byte, bits uint16) {
	if at, ok := scaleAt(d); ok {
		binary.LittleEndian.PutUint16(block[at:], bits)
		return
	}
	for i := range block {
		block[i] = 0xff
	}
}

// scaleAt is where blocks of d have an f16 that makes all numbers NaN if it is NaN.
var scaleAt = func() func(d backend.DType) (at int, ok bool) {
	all := map[backend.DType]int{}
	for _, d := range append(backend.QuantizedDTypes(), backend.Q8_A) {
		for _, at := range []int{0, d.BlockBytes() - 2} {
			block := make([]byte, d.BlockBytes())
			binary.LittleEndian.PutUint16(block[at:], guard.f16)
			if x := decodeBlocks(d, block, 0, d.BlockLen()); !slices.ContainsFunc(x, func(v float32) bool { return v == v }) {
				all[d] = at
				break
			}
		}
	}
	return func(d backend.DType) (int, bool) { at, ok := all[d]; return at, ok }
}()

func (b *block) len() int { return len(b.data) / b.dtype.BlockBytes() * b.dtype.BlockLen() }

func (b *block) setBits(i int, p pattern) {
	switch b.dtype {
	case backend.F16:
		binary.LittleEndian.PutUint16(b.data[2*i:], p.f16)
	case backend.BF16:
		binary.LittleEndian.PutUint16(b.data[2*i:], p.bf16)
	case backend.I32:
		binary.LittleEndian.PutUint32(b.data[4*i:], uint32(p.i32))
	default:
		binary.LittleEndian.PutUint32(b.data[4*i:], p.f32)
	}
}

// decode is element i of data.
func decode(d backend.DType, data []byte, i int) float64 {
	switch d {
	case backend.F16:
		return float64(float16.Frombits(binary.LittleEndian.Uint16(data[2*i:])).Float32())
	case backend.BF16:
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16))
	case backend.I32:
		return float64(int32(binary.LittleEndian.Uint32(data[4*i:])))
	}
	if d.Quantized() {
		return float64(decodeBlocks(d, data, i/d.BlockLen()*d.BlockLen(), d.BlockLen())[i%d.BlockLen()])
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
}

// decodeBlocks decodes n elements from one on, whole blocks. The formula of a block
// is that of package backend, whose tests hold it to bytes worked out by hand.
func decodeBlocks(d backend.DType, data []byte, from, n int) []float32 {
	x := make([]float32, n)
	if err := backend.Decode(x, d, data[d.Bytes(from):]); err != nil {
		panic(err)
	}
	return x
}

// decodeRow decodes elements at, at+stride, … of data.
func decodeRow(out []float64, d backend.DType, data []byte, at, stride int) {
	if d == backend.F32 { // most of the oracle's time goes here
		for i := range out {
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*(at+i*stride):])))
		}
		return
	}
	if d.Quantized() {
		for i, v := range decodeBlocks(d, data, at, len(out)) {
			out[i] = float64(v)
		}
		return
	}
	for i := range out {
		out[i] = decode(d, data, at+i*stride)
	}
}

// encode sets element i of data to v, rounded to the dtype.
func encode(d backend.DType, data []byte, i int, v float64) {
	switch d {
	case backend.F16:
		binary.LittleEndian.PutUint16(data[2*i:], float16.Fromfloat32(float32(v)).Bits())
	case backend.BF16:
		binary.LittleEndian.PutUint16(data[2*i:], uint16(math.Float32bits(float32(nearest(d, v)))>>16))
	case backend.I32:
		binary.LittleEndian.PutUint32(data[4*i:], uint32(int32(v)))
	default:
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(float32(v)))
	}
}

// nearest is v rounded to the nearest number that d, a plain dtype, holds, the even
// one of two that are as near.
func nearest(d backend.DType, v float64) float64 {
	switch d {
	case backend.F16:
		return float64(float16.Fromfloat32(float32(v)).Float32())
	case backend.BF16:
		if v == 0 || !finite(v) {
			return v
		}
		_, exponent := math.Frexp(v)
		step := math.Ldexp(1, max(exponent-8, -133)) // 8 bits, or what is left of them below 2⁻¹²⁶
		if v = math.RoundToEven(v/step) * step; math.Abs(v) > 0x1.fep127 {
			return math.Inf(int(math.Copysign(1, v)))
		}
		return v
	}
	return v
}

// spacing bounds the distance of neighbours of v among the numbers of d.
func spacing(d backend.DType, v float64) float64 {
	switch d {
	case backend.F16:
		return math.Max(math.Abs(v)*0x1p-10, 0x1p-24)
	case backend.BF16:
		return math.Max(math.Abs(v)*0x1p-7, 0x1p-133)
	}
	return 0
}

// eachRow calls f for each vector along t's last axis: i counts elements in
// row-major order, at is the offset of the first in the buffer, in elements.
func eachRow(t backend.Tensor, f func(i, at int)) {
	for r := range t.Rows() {
		f(r*t.Dim(-1), t.Row(r))
	}
}

// Layout says where a tensor lies in its buffer: how many elements stand before it
// and between its rows. String is a suffix for the name of a case.
type Layout struct {
	offset int  // elements before it
	gap    int  // elements between rows
	exact  bool // the buffer ends with the tensor
}

var (
	packed  = Layout{}                  // begins with its buffer
	exact   = Layout{exact: true}       // fills its buffer, as backend.New makes it
	shifted = Layout{offset: 3}         // an f16 tensor is not aligned to 4 bytes then, nor f32 to 16
	strided = Layout{offset: 5, gap: 3} // also the outer axes do not line up

	// Layouts are those that each op should be tried with: the tensor begins with
	// its buffer, fills it, begins in the middle of it, has gaps between its rows.
	Layouts = []Layout{packed, exact, shifted, strided}
)

func (l Layout) String() string {
	switch {
	case l.exact:
		return ",exact"
	case l.gap > 0:
		return fmt.Sprintf(",offset=%d,strided", l.offset)
	case l.offset > 0:
		return fmt.Sprintf(",offset=%d", l.offset)
	}
	return ""
}

// Tensor returns a tensor of this layout in a buffer of its own on the host. The suite
// binds the op to buffers of the backend when it runs the case.
func (l Layout) Tensor(d backend.DType, dims ...int) backend.Tensor {
	unit := d.BlockLen()
	t := backend.Of(nil, d, l.offset*unit, dims...)
	stride := 1
	for i := 3; i >= 0; i-- {
		t.Strides[i] = stride
		stride = stride*t.Shape[i] + l.gap*unit
	}
	n := t.Offset + 1
	for i := range t.Shape {
		n += (t.Shape[i] - 1) * t.Strides[i]
	}
	if !l.exact {
		n += guardTail * unit
	}
	t.Buf = newBlock(d, n)
	return t
}

// fours lays out a tensor whose rows begin at multiples of eight numbers, though
// they may be of any length, if l's offset and gap are such too.
func (l Layout) fours(d backend.DType, dims ...int) backend.Tensor {
	n := len(dims) - 1
	return l.Tensor(d, append(append([]int{}, dims[:n]...), (dims[n]+7)/8*8)...).Slice(-1, 0, dims[n])
}

// Ints is Tensor for ids or positions of type i32, which may have gaps along the last
// axis too.
func (l Layout) Ints(dims ...int) backend.Tensor {
	if l.gap == 0 {
		return l.Tensor(backend.I32, dims...)
	}
	t := l.Tensor(backend.I32, append(append([]int{}, dims...), 1)...) // an axis of 1, and a gap after it
	copy(t.Shape[1:], t.Shape[:3])
	copy(t.Strides[1:], t.Strides[:3])
	t.Shape[0] = 1
	return t
}

// seed returns random numbers that follow from a case's name.
func seed(name string, set int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(h.Sum64(), uint64(set)))
}

// fill sets the elements of a tensor on the host, in row-major order.
func fill(t backend.Tensor, f func(i int) float64) {
	b := t.Buf.(*block)
	eachRow(t, func(i, at int) {
		for j := range t.Dim(-1) {
			encode(b.dtype, b.data, at+j*t.Stride(-1), f(i+j))
		}
	})
}

// Set sets the elements of a tensor of a case, in row-major order, to values, which
// repeat where there are fewer of them.
func Set(t backend.Tensor, values ...float64) {
	fill(t, func(i int) float64 { return values[i%len(values)] })
}

// Normal fills a tensor of a case with normally distributed values, or one of a
// quantised type with evenly distributed ones of about that size.
func Normal(t backend.Tensor, r *rand.Rand, mean, deviation float64) {
	if d := t.DType; d.Quantized() {
		data := t.Buf.(*block).data
		eachRow(t, func(_, from int) {
			for at := d.Bytes(from); at < d.Bytes(from+t.Dim(-1)); at += d.BlockBytes() {
				randomBlock(d, data[at:at+d.BlockBytes()], r, deviation)
			}
		})
		return
	}
	fill(t, func(int) float64 { return mean + deviation*r.NormFloat64() })
}

// randomBlock makes a block of random numbers. Where one scale that comes first
// multiplies all of it, that has either sign.
func randomBlock(d backend.DType, block []byte, r *rand.Rand, deviation float64) {
	x := make([]float32, d.BlockLen())
	for i := range x {
		x[i] = float32(deviation * (2*r.Float64() - 1))
	}
	p, err := backend.Encode(block[:0], d, x)
	if err != nil || len(p) != len(block) {
		panic(fmt.Sprint(d, len(p), err))
	}
	if r.IntN(2) == 0 {
		return
	}
	before := decodeBlocks(d, block, 0, d.BlockLen())
	block[1] ^= 0x80
	for i, v := range decodeBlocks(d, block, 0, d.BlockLen()) {
		if v != -before[i] {
			block[1] ^= 0x80
			return
		}
	}
}

// tile fills a large contiguous tensor with normally distributed values that
// repeat after a prime number of elements, so that rows differ but take little
// time to make.
func tile(t backend.Tensor, r *rand.Rand) {
	period := exact.Tensor(t.DType, 65521)
	Normal(period, r, 0, 1)
	from, to := t.Span()
	pattern, data := period.Buf.(*block).data, t.Buf.(*block).data[from:to]
	for len(data) > 0 {
		data = data[copy(data, pattern):]
	}
}

// Uniform fills a tensor of a case with integers from lo to hi-1.
func Uniform(t backend.Tensor, r *rand.Rand, lo, hi int) {
	fill(t, func(int) float64 { return float64(lo + r.IntN(hi-lo)) })
}

// unset sets the elements of a destination to a NaN that no op computes.
func unset(t backend.Tensor) {
	b := t.Buf.(*block)
	eachRow(t, func(_, at int) {
		if b.dtype.Quantized() {
			row := b.data[b.dtype.Bytes(at):b.dtype.Bytes(at+t.Dim(-1))]
			for i := range row {
				row[i] = 0x5a
			}
			return
		}
		for j := range t.Dim(-1) {
			b.setBits(at+j*t.Stride(-1), nothing)
		}
	})
}

// RandomLayout returns a layout for a random case: up to 8 elements before the tensor
// and between its rows.
func RandomLayout(r *rand.Rand) Layout {
	l := Layout{offset: r.IntN(9), gap: r.IntN(9)}
	if r.IntN(2) == 0 {
		l.gap = 0
	}
	return l
}

// anyOf is one of several dtypes.
func anyOf(r *rand.Rand, ds []backend.DType) backend.DType { return ds[r.IntN(len(ds))] }
