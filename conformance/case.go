package conformance

// A case is one op on data of its own. This file runs it on a backend and compares
// the results with the oracle's.

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"caldera/backend"
)

// Case is one op with the tensors that it is to run on.
type Case struct {
	Name  string // begins with the op's name and a slash; seeds the data
	Large bool   // needs more than 100 MiB: left out with -short
	Edge  bool   // tries something particular: never left out

	// Build makes the op, on tensors of a [Layout], and says what they are
	// filled with. It is called anew each time the case is tried.
	Build func() (backend.Op, Fill)

	// Poison marks a case whose second run has the first one's data with NaN
	// and infinities put in by its Fill: see nonfinite.go.
	Poison Poison
}

// Fill sets the operands that must not be normally distributed: ids, positions,
// extremes, with [Set], [Normal], [Uniform] and [Put]. run is 0 or 1: a case runs on
// two sets of data. A nil Fill sets nothing. What it leaves is normally distributed,
// or 0 where it is of type i32.
type Fill func(r *rand.Rand, run int)

// operand is one operand of a case, on the host.
type operand struct {
	name string
	backend.Tensor
	access backend.Access
}

func (o operand) block() *block { return o.Buf.(*block) }

func operands(op backend.Op) []operand {
	var list []operand
	op.Operands(func(name string, t *backend.Tensor, a backend.Access) {
		list = append(list, operand{name, *t, a})
	})
	return list
}

// rebind copies op onto other buffers.
func rebind(op backend.Op, to map[backend.Buffer]backend.Buffer) backend.Op {
	bound := backend.Clone(op)
	bound.Operands(func(_ string, t *backend.Tensor, _ backend.Access) { t.Buf = to[t.Buf] })
	return bound
}

// storage lists the dtypes of weights and caches that are not f32. A backend may
// lack those; f32 is mandatory, except for longRows.
func storage(list []operand) string {
	var found []string
	for _, o := range list {
		if o.DType != backend.F32 && o.DType != backend.I32 && !strings.Contains(strings.Join(found, " "), o.DType.String()) {
			found = append(found, o.DType.String())
		}
	}
	return strings.Join(found, " ")
}

// usualRow is the length of a vector that every backend must take. One that is
// longer may be more than a small device can bind at once.
const usualRow = 1 << 16

func longRows(list []operand) bool {
	return slices.ContainsFunc(list, func(o operand) bool { return o.Dim(-1) > usualRow })
}

// trial is a case while it runs: data on the host, memory of the backend, expected
// results.
type trial struct {
	*env
	op       backend.Op // on the host
	list     []operand
	fill     Fill
	blocks   []*block
	device   map[backend.Buffer]backend.Buffer
	filled   bool
	first    [][]byte // what blocks hold for run 0, which is tried several times
	poison   Poison
	expected [2]map[string]Values
}

func (c Case) run(e *env) {
	op, fill := c.Build()
	if flops, bytes := backend.Cost(op); e.most > 0 && flops+bytes > int64(e.most) {
		e.skip("large")
		return
	}
	x := &trial{env: e, op: op, list: operands(op), fill: fill, poison: c.Poison, device: map[backend.Buffer]backend.Buffer{}}
	for _, o := range x.list {
		if x.device[o.Buf] == nil {
			buf := e.alloc(o.Buf.Size())
			defer buf.Free()
			x.device[o.Buf] = buf
			x.blocks = append(x.blocks, o.block())
		}
	}
	bound := rebind(op, x.device)
	ops, err := backend.Prepare(e.b, bound)
	if err != nil {
		lacks := storage(x.list)
		switch {
		case kinds[op.Name()].Training:
			lacks = "training"
		case lacks == "" && longRows(x.list):
			lacks = "long rows"
		}
		if lacks == "" || e.b.Supports(bound) {
			e.fatal("%s: %v: every backend must run it: Supports has to be true for it, or for each op of its Lower", e.name, err)
		}
		e.skip(lacks)
		return
	}
	if !x.try("run", 0, func() error { return e.b.Run(ops...) }) {
		return
	}
	program, err := backend.Record(e.b, bound)
	e.must(err, "Record")
	defer program.Close()
	if !x.try("replay1", 1, program.Run) {
		return
	}
	poisoned := x.results()
	if !x.try("replay2", 0, program.Run) {
		return
	}
	before := x.results()
	if c.Poison == SameBits {
		if message := x.reached(before, poisoned); message != "" {
			e.Errorf("%s/replay1: %s", e.name, message)
			return
		}
	}
	x.upload("replay3", 0) // again, for what the op updates
	e.must(program.Run(), "replay3")
	for i, got := range x.results() {
		if !bytes.Equal(before[i], got) {
			e.Errorf("%s/replay3: the same program on the same data gave other bits than replay2: replays must be bit-stable", e.name)
			return
		}
	}
}

// try fills the operands, runs the op and compares. It reports whether all was well.
func (x *trial) try(mode string, run int, do func() error) bool {
	if _, nothing := x.reporter.(deaf); nothing { // is computed
		x.must(do(), mode)
		return mode != "replay1" // twice is enough
	}
	x.upload(mode, run)
	if x.expected[run] == nil {
		answer, err := x.answer(run)
		if err != nil {
			x.Fatalf("%s: %v", x.name, err)
		}
		x.expected[run] = answer
	}
	x.must(do(), mode)
	for _, b := range x.blocks {
		got := make([]byte, len(b.data))
		x.must(x.b.Read(got, x.device[b], 0), mode+": Read")
		if message := x.compare(b, got, x.expected[run]); message != "" {
			x.Errorf("%s/%s: %s", x.name, mode, message)
			return false
		}
	}
	return true
}

// answers are what the oracle has said, by the case's name and the run. Tests of
// one backend run the suite on several devices, and cases are the same each time.
var answers sync.Map // of string to answer

// answer holds what is expected of each operand that the op writes, and a hash of the
// data that it was computed from.
type answer struct {
	of       uint64
	expected map[string]Values
}

var answerSeed = maphash.MakeSeed()

// answer asks the oracle, unless it has answered for the same data already.
func (x *trial) answer(run int) (map[string]Values, error) {
	key := fmt.Sprint(x.name, run)
	var h maphash.Hash
	h.SetSeed(answerSeed)
	fmt.Fprintf(&h, "%#v", rebind(x.op, nil)) // all of it but its buffers
	for _, o := range x.list {
		fmt.Fprint(&h, slices.Index(x.blocks, o.block()))
	}
	for _, b := range x.blocks {
		h.Write(b.data)
	}
	of := h.Sum64()
	if known, ok := answers.Load(key); ok && known.(answer).of == of {
		return known.(answer).expected, nil
	}
	s := sheet{}
	if err := interpret(s, x.op); err != nil {
		return nil, err
	}
	expected := map[string]Values{}
	for _, o := range x.destinations() {
		expected[o.name] = s.Load(o.Tensor)
	}
	if !x.once {
		answers.Store(key, answer{of, expected})
	}
	return expected, nil
}

// upload fills the operands, on the host and on the backend.
func (x *trial) upload(mode string, run int) {
	switch {
	case run > 0:
		x.data(run)
	case x.first == nil:
		x.data(run)
		for _, b := range x.blocks {
			x.first = append(x.first, bytes.Clone(b.data))
		}
	default: // to encode random numbers takes longer than most ops
		for i, b := range x.blocks {
			copy(b.data, x.first[i])
		}
	}
	for _, b := range x.blocks {
		if !b.constant || !x.filled {
			x.must(x.b.Write(x.device[b], 0, b.data), mode+": Write")
		}
	}
	x.filled = true
}

// data fills the host's blocks: guards, destinations that nothing wrote yet,
// sources seeded by the case's name.
func (x *trial) data(run int) {
	draw := run // which random numbers
	if x.poison != Clean {
		draw = 0
	}
	for _, b := range x.blocks {
		if !b.constant {
			b.fillGuard()
		}
	}
	for _, o := range x.list {
		switch {
		case o.access == backend.Scratch: // stays as guarded
		case o.access == backend.Write:
			unset(o.Tensor)
		case o.DType == backend.I32:
			Set(o.Tensor, 0)
		case o.block().constant:
			if !x.filled {
				tile(o.Tensor, seed(x.name+" "+o.name, draw))
			}
		default:
			Normal(o.Tensor, seed(x.name+" "+o.name, draw), 0, 1)
		}
	}
	if x.fill != nil {
		x.fill(seed(x.name, draw), run)
	}
}

// destinations are the operands that hold results.
func (x *trial) destinations() []operand {
	return slices.DeleteFunc(slices.Clone(x.list), func(o operand) bool {
		return o.access != backend.Write && o.access != backend.Update
	})
}

// results reads what the op left in its destinations, element by element.
func (x *trial) results() [][]byte {
	var all [][]byte
	for _, o := range x.destinations() {
		got := make([]byte, o.Buf.Size())
		x.must(x.b.Read(got, x.device[o.Buf], 0), "Read")
		n := o.DType.Bytes(1)
		elements := make([]byte, 0, o.Size())
		eachRow(o.Tensor, func(_, at int) {
			if o.DType.Quantized() {
				elements = append(elements, got[o.DType.Bytes(at):o.DType.Bytes(at+o.Dim(-1))]...)
				return
			}
			for j := range o.Dim(-1) {
				p := n * (at + j*o.Stride(-1))
				elements = append(elements, got[p:p+n]...)
			}
		})
		all = append(all, elements)
	}
	return all
}

// compare compares a buffer's bytes with what was uploaded and with what the oracle
// expects. It returns what is wrong, or "".
func (x *trial) compare(b *block, got []byte, expected map[string]Values) string {
	if bytes.Equal(got, b.data) && !x.writes(b) {
		return ""
	}
	if b.dtype.Quantized() {
		return x.compareBlocks(b, got, expected)
	}
	size := b.dtype.Bytes(1)
	mine := make([]bool, b.len()) // elements that the op may change
	for _, o := range x.list {
		if o.Buf != b || !o.access.Writes() {
			continue
		}
		eachRow(o.Tensor, func(_, at int) {
			for j := range o.Dim(-1) {
				mine[at+j*o.Stride(-1)] = true
			}
		})
		if want, ok := expected[o.name]; ok {
			if message := o.differ(got, want); message != "" {
				return message
			}
		}
	}
	for i := range mine {
		if !mine[i] && !bytes.Equal(got[i*size:(i+1)*size], b.data[i*size:(i+1)*size]) {
			return x.stray(b, i, decode(b.dtype, got, i))
		}
	}
	return ""
}

// compareBlocks is compare for a quantised dtype, whose bytes are exact, but for scratch memory.
func (x *trial) compareBlocks(b *block, got []byte, expected map[string]Values) string {
	if !x.writes(b) {
		return fmt.Sprintf("%s changed: Operands says that the op only reads it", x.owner(b))
	}
	want := bytes.Clone(b.data)
	for _, o := range x.list {
		if o.Buf == b && o.access.Writes() {
			blocks, known := expected[o.name]
			eachRow(o.Tensor, func(_, at int) {
				row, end := o.DType.Bytes(at), o.DType.Bytes(at+o.Dim(-1))
				if !known {
					copy(want[row:end], got[row:end])
					return
				}
				blocks.blocks = blocks.blocks[copy(want[row:end], blocks.blocks):]
			})
		}
	}
	n := b.dtype.BlockBytes()
	for at := 0; at < len(want); at += n {
		if !bytes.Equal(got[at:at+n], want[at:at+n]) {
			return fmt.Sprintf("block %d of the buffer of %s got % x want % x", at/n, x.owner(b), got[at:at+n], want[at:at+n])
		}
	}
	return ""
}

func (x *trial) writes(b *block) bool {
	for _, o := range x.list {
		if o.Buf == b && o.access.Writes() {
			return true
		}
	}
	return false
}

// differ compares a destination with the oracle's values.
func (o operand) differ(got []byte, want Values) string {
	bad, worst, excess := 0, -1, 0.0
	width := o.Dim(-1)
	element := func(i int) int { return o.Row(i/width) + i%width*o.Stride(-1) }
	before, n := newBlock(o.DType, 1), o.DType.Bytes(1)
	before.setBits(0, nothing)
	unwritten := func(i int) bool { // what is in it from before is NaN
		return o.access == backend.Write && bytes.Equal(before.data, got[n*element(i):n*element(i)+n])
	}
	for i, w := range want.v {
		g := decode(o.DType, got, element(i))
		if g == w || (want.e[i] > math.MaxFloat64 && finite(w) || math.IsNaN(g) && math.IsNaN(w)) && !unwritten(i) {
			continue
		}
		delta := math.Abs(g - w)
		if delta <= want.e[i] && finite(w) {
			continue
		}
		bad++
		far := delta / want.e[i] // +Inf where an exact value is missed
		if math.IsNaN(delta) || math.IsInf(delta, 0) {
			far = math.Inf(1)
		}
		if worst < 0 || far > excess {
			worst, excess = i, far
		}
	}
	if bad == 0 {
		return ""
	}
	g := decode(o.DType, got, element(worst))
	message := fmt.Sprintf("%d of %d differ; worst %s got %.8g want %.8g", bad, len(want.v), o.at(worst), g, want.v[worst])
	if delta := math.Abs(g - want.v[worst]); !math.IsNaN(delta) {
		message += fmt.Sprintf(", |Δ|=%.2g > %.2g", delta, want.e[worst])
	}
	if unwritten(worst) {
		message += " (the op did not write it)"
	}
	return message
}

// at names element i of a tensor, "dst[6,64]".
func (o operand) at(i int) string {
	var index []string
	for axis := 3; axis >= 0; axis-- {
		if axis >= 2 || o.Dim(axis) > 1 {
			index = append([]string{fmt.Sprint(i % o.Dim(axis))}, index...)
		}
		i /= o.Dim(axis)
	}
	return o.name + "[" + strings.Join(index, ",") + "]"
}

// stray describes a change outside of what the op writes.
func (x *trial) stray(b *block, i int, got float64) string {
	was := decode(b.dtype, b.data, i)
	for _, o := range x.list {
		if o.Buf != b {
			continue
		}
		if !o.access.Writes() {
			for e := range o.Len() {
				if width := o.Dim(-1); o.Row(e/width)+e%width*o.Stride(-1) == i {
					return fmt.Sprintf("%s changed from %.8g to %.8g: Operands says that the op only reads %s", o.at(e), was, got, o.name)
				}
			}
		}
	}
	for _, o := range x.list {
		if o.Buf == b && o.access.Writes() {
			return fmt.Sprintf("wrote %.8g to element %d of the buffer of %s, outside of %s (%v at offset %d, strides %v)",
				got, i, o.name, o.name, o.Tensor, o.Offset, o.Strides)
		}
	}
	return fmt.Sprintf("wrote %.8g to element %d of the buffer of %s, which the op only reads", got, i, x.owner(b))
}

func (x *trial) owner(b *block) string {
	for _, o := range x.list {
		if o.Buf == b {
			return o.name
		}
	}
	return ""
}
