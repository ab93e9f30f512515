package conformance

// Numbers that are not finite. Package backend says what an op computes from them;
// this file checks that a backend does so.
//
// A poisoned case runs on finite data, and then on the same data with NaN and
// infinities in a few places. The oracle computes in float64 by the same
// formulas, so its results are NaN or infinite where they must be. A backend
// has to give NaN where the oracle does, the same infinity where it does, and
// elsewhere, where they have no influence, the same bits as on finite data.

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

// Poison says whether a case has numbers that are not finite, and what is
// expected of results that they do not reach.
type Poison uint8

const (
	Clean     Poison = iota // all numbers are finite, or the case does not test the others
	SameBits                // results that do not depend on them must have the same bits as without them; other changes may be tried so, too
	SameValue               // these results are only compared with the oracle: a backend may compute them in another way
)

var (
	nan         = math.NaN()
	negativeNaN = math.Copysign(nan, -1) // what x86 makes of 0/0
	inf         = math.Inf(1)
)

// reached compares the results on finite data with those on poisoned data. It
// says which element changed though no formula leads there, or nothing.
func (x *trial) reached(clean, poisoned [][]byte) string {
	for d, o := range x.destinations() {
		if o.DType.Quantized() {
			continue // whose bytes are exact
		}
		want, again, n := x.expected[0][o.name], x.expected[1][o.name], o.DType.Bytes(1)
		for i, v := range want.v {
			if math.Float64bits(v) != math.Float64bits(again.v[i]) { // -0 is another number than 0
				continue
			}
			was, is := clean[d][i*n:(i+1)*n], poisoned[d][i*n:(i+1)*n]
			if !bytes.Equal(was, is) {
				return fmt.Sprintf("%s changed from %.9g to %.9g when only what it does not depend on changed",
					o.at(i), decode(o.DType, was, 0), decode(o.DType, is, 0))
			}
		}
	}
	return ""
}

// poisoned makes a case for each layout. build makes the op and says what is
// filled in both runs; put adds what is not finite in the second.
func poisoned[O backend.Op](p Poison, what string, ls []Layout, build func(l Layout) (O, Fill), put func(o O)) []Case {
	var cases []Case
	for _, l := range ls {
		op, _ := build(l)
		cases = append(cases, Case{Name: op.Name() + "/" + what + l.String(), Edge: true, Poison: p, Build: func() (backend.Op, Fill) {
			op, fill := build(l)
			return op, func(r *rand.Rand, run int) {
				if fill != nil {
					fill(r, run)
				}
				if run == 1 {
					put(op)
				}
			}
		}})
	}
	return cases
}

// Put sets element i of a row of a case's tensor to v. A negative i counts from the end.
// In a quantised type it sets the scale of the element's block: see spoil.
func Put(t backend.Tensor, row, i int, v float64) {
	if i < 0 {
		i += t.Dim(-1)
	}
	if t.DType.Quantized() { // the scale of its block
		block := t.Buf.(*block).data[t.DType.Bytes(t.Row(row)+i/t.DType.BlockLen()*t.DType.BlockLen()):]
		var bits [2]byte
		encode(backend.F16, bits[:], 0, v)
		spoil(t.DType, block[:t.DType.BlockBytes()], binary.LittleEndian.Uint16(bits[:]))
		return
	}
	encode(t.DType, t.Buf.(*block).data, t.Row(row)+i*t.Stride(-1), v)
}

// putRow sets all elements of a row.
func putRow(t backend.Tensor, row int, v float64) {
	for i := range t.Dim(-1) {
		Put(t, row, i, v)
	}
}

// poisonedRows is how many rows putRows needs.
const poisonedRows = 11

// putRows makes each row of x one that is not finite in another way. Rows 1, 6
// and 10 stay as they are.
func putRows(x backend.Tensor) {
	Put(x, 0, 0, nan)
	Put(x, 2, -1, negativeNaN)
	Put(x, 3, x.Dim(-1)/2, inf)
	Put(x, 4, x.Dim(-1)/2, -inf)
	putRow(x, 5, -inf)
	Put(x, 7, 1, inf)
	Put(x, 7, -2, -inf)
	putRow(x, 8, negativeNaN)
	putRow(x, 9, inf)
}

// rowLayouts are those of cases that putRows makes: a backend reads the first
// in fours, and the other not.
var rowLayouts = []Layout{exact, strided}

// rowsOf makes a tensor for putRows. Rows of the second layout end in the
// middle of a vector of any processor.
func rowsOf(l Layout) backend.Tensor {
	if l == exact {
		return l.Tensor(backend.F32, poisonedRows, 64)
	}
	return l.Tensor(backend.F32, poisonedRows, 37)
}
