package bench

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/opcases"
)

// yardstick is work of a simple kind that a device is timed at, between the
// repetitions of a test, to learn what it can do at that moment.
type yardstick struct {
	name    string
	unit    string  // of work a second
	work    float64 // of one run: FLOP or bytes
	runs    int     // a measurement
	now     func() time.Time
	program backend.Program
	wait    func() error // until the device has finished
	free    []backend.Buffer
}

// measure times the yardstick: seconds of one run.
func (y *yardstick) measure() (float64, error) {
	start := y.now()
	for range y.runs {
		if err := y.program.Run(); err != nil {
			return 0, y.failed(err)
		}
	}
	if err := y.wait(); err != nil {
		return 0, y.failed(err)
	}
	return y.now().Sub(start).Seconds() / float64(y.runs), nil
}

// long is how many seconds a measurement lasts where a run is shorter: long
// enough that starting and waiting do not count.
const long = 0.1

// warm runs the yardstick and chooses how often a measurement runs it, to last
// so many seconds.
func (y *yardstick) warm(long float64) error {
	const most = 10000
	y.runs = 1
	for range 2 { // the first pays for what is made at first use
		s, err := y.measure()
		if err != nil {
			return err
		}
		y.runs = int(max(1, min(most, long/s)))
	}
	return nil
}

// failed names the yardstick in an error. An op that is measured itself has no
// name here.
func (y *yardstick) failed(err error) error {
	if y.name == "" {
		return err
	}
	return fmt.Errorf("yardstick %s: %w", y.name, err)
}

// newYardstick makes what a test is compared with: for a prompt the products of
// its matrices, for generation the reading of memory.
func (d *Device) newYardstick(m *model.Model, t Test) (*yardstick, error) {
	if t.Prompt > 0 {
		return d.newProducts(m, promptRows(t))
	}
	return d.newBandwidth(d.sizes.read[0], d.sizes.read[1])
}

// promptRows is how many tokens of a test's prompts are read at once; 0 of generation.
// Several prompts share a step while they fit.
func promptRows(t Test) int { return min(t.Prompt*max(1, t.Sequences), max(t.Prompt, gpt.MaxChunk)) }

func (y *yardstick) close() {
	if y.program != nil {
		y.program.Close()
	}
	for _, b := range y.free {
		b.Free()
	}
}

// Units of yardsticks.
const (
	UnitFLOPs = "FLOP/s"
	UnitBytes = "B/s"
)

// newBandwidth measures how fast the device reads memory: one Linear of one
// vector and an f32 matrix of rows × cols, which reads each element once, on
// all threads. The multiplications cost nothing beside it where the backend's
// product of matrix and vector is good; where it is not, figure and yardstick
// are slow together, which the printed GB/s shows.
func (d *Device) newBandwidth(rows, cols int) (*yardstick, error) {
	y := &yardstick{name: "read bandwidth", unit: UnitBytes, work: 4 * float64(rows) * float64(cols), now: d.now}
	w, err := y.tensor(d.b, backend.F32, rows, cols)
	if err == nil {
		err = y.record(d.b, []product{{w: w, rows: 1}})
	}
	return y.made(err)
}

// newProducts measures the products of a prompt's matrices and nothing else:
// each Linear of each block at n rows and the head for one row, with the
// model's own weights, through the backend's Linear, but without biases. They read
// numbers as those of the model do: rounded to the precision of f16, or in blocks.
func (d *Device) newProducts(m *model.Model, n int) (*yardstick, error) {
	w := Count(m, Test{Prompt: n}, backend.F32)
	y := &yardstick{name: "matrix products", unit: UnitFLOPs, work: w.Products + w.Head, now: d.now}
	products := append(productsOf(m, n), product{w: model.Head(m).W, rows: 1})
	for i := range products {
		products[i].round(m.Rounding())
	}
	return y.made(y.record(d.b, products))
}

// productsOf are those of the blocks' matrices with n vectors.
func productsOf(m *model.Model, n int) (list []product) {
	for _, w := range m.Weights() {
		switch {
		case w.Multiplies() && w.Experts() > 0: // as many as a token has
			for e := range m.Config.Settings.(*model.DecoderSettings).Chosen {
				list = append(list, product{w: w.Tensor.Slice(1, e, e+1), rows: n})
			}
		case w.Multiplies():
			list = append(list, product{w: *w.Tensor, rows: n})
		}
	}
	return list
}

// newTrainProducts measures the matrix products of a batch's forward pass and
// nothing else, as newProducts does: each Linear of each block for all tokens,
// and the head, whose scores are computed for some of them at a time. In mixed
// precision both operands are f16.
func (d *Device) newTrainProducts(m *model.Model, t Training, dtype backend.DType) (*yardstick, error) {
	y := &yardstick{name: "matrix products", unit: UnitFLOPs, now: d.now}
	y.work, _ = trainWork(m.Config, t.Batch, t.Time)
	rows := t.Batch * t.Time
	products := productsOf(m, rows)
	for chunk := gpt.TrainChunk(m.Vocab); rows > 0; rows -= chunk {
		products = append(products, product{w: model.Head(m).W, rows: min(rows, chunk)})
	}
	if dtype == backend.F16 {
		halves := map[[2][4]int]backend.Tensor{} // one of each shape: a trainer's memory is full of copies already
		for i, p := range products {
			key := [2][4]int{p.w.Shape, p.w.Strides}
			if _, ok := halves[key]; !ok {
				var err error
				if halves[key], err = y.half(d.b, p.w); err != nil {
					return y.made(err)
				}
			}
			products[i].w, products[i].x = halves[key], backend.F16
		}
	}
	return y.made(y.record(d.b, products))
}

// half is a matrix of f16 that lies as w does.
func (y *yardstick) half(b backend.Backend, w backend.Tensor) (backend.Tensor, error) {
	if !w.Contiguous() {
		x, err := y.half(b, w.Transpose())
		return x.Transpose(), err
	}
	return y.tensor(b, backend.F16, w.Shape[:]...)
}

// made returns y, or closes it where err says that it could not be made.
func (y *yardstick) made(err error) (*yardstick, error) {
	if err != nil {
		y.close()
		return nil, y.failed(err)
	}
	return y, nil
}

// product is a matrix, [out, in], and the vectors that it is multiplied with.
type product struct {
	w       backend.Tensor
	rows    int           // how many vectors
	x       backend.DType // of these; None: f32
	rounded bool          // they are rounded to the precision of f16 first
}

// round has the product read its vectors as those of a model do that rounds them so.
func (p *product) round(to backend.DType) {
	switch {
	case to.Quantized() && p.w.DType.Quantized():
		p.x = to
	case to == backend.F16 && p.w.DType != backend.F32:
		p.rounded = true
	}
}

// record makes the program. All products share their vectors, those of one dtype, and
// results: what they compute does not matter.
func (y *yardstick) record(b backend.Backend, products []product) error {
	dst, x, rounded := 0, map[backend.DType]int{}, 0 // numbers
	for _, p := range products {
		in := p.rows * p.w.Dim(-1)
		d := cmp.Or(p.x, backend.F32)
		x[d], dst = max(x[d], in), max(dst, p.rows*p.w.Dim(-2))
		if p.rounded {
			rounded = max(rounded, in)
		}
	}
	vectors := map[backend.DType]backend.Tensor{}
	var err error
	for _, d := range slices.Sorted(maps.Keys(x)) {
		if vectors[d], err = y.tensor(b, d, x[d]); err != nil {
			return err
		}
	}
	results, err := y.tensor(b, backend.F32, dst)
	if err != nil {
		return err
	}
	var scratch backend.Tensor
	if rounded > 0 {
		if scratch, err = y.tensor(b, backend.F32, rounded); err != nil {
			return err
		}
	}
	var ops []backend.Op
	for _, p := range products {
		d := cmp.Or(p.x, backend.F32)
		op := &backend.Linear{
			Dst: backend.Of(results.Buf, backend.F32, 0, p.rows, p.w.Dim(-2)),
			X:   backend.Of(vectors[d].Buf, d, 0, p.rows, p.w.Dim(-1)),
			W:   p.w,
		}
		if p.rounded {
			op.Rounded = backend.Of(scratch.Buf, backend.F32, 0, p.rows, p.w.Dim(-1))
		}
		ops = append(ops, op)
	}
	return y.run(b, results.Buf, ops...)
}

// run makes ops, the last of which writes to dst, the yardstick's program.
func (y *yardstick) run(b backend.Backend, dst backend.Buffer, ops ...backend.Op) (err error) {
	last := make([]byte, 1)
	y.wait = func() error { return b.Read(last, dst, 0) }
	y.program, err = backend.Record(b, ops...)
	return err
}

// tensor allocates a tensor of small numbers.
func (y *yardstick) tensor(b backend.Backend, d backend.DType, dims ...int) (backend.Tensor, error) {
	t, err := backend.New(b, d, dims...)
	if err != nil {
		return t, err
	}
	y.free = append(y.free, t.Buf)
	return t, opcases.Fill(b, t)
}
