//go:build cgo

package vulkan

import (
	"fmt"
	"math"
	"slices"

	"caldera/backend"
	"caldera/shaders"
)

// tryLinear makes the trials of a kernel for products: the same product with few rows, inputs
// and outputs, one less, as many and one more than a workgroup or a round of its loop takes.
// Numbers are small integers, so that sums are exact where nothing but the product is computed.
func tryLinear(t *trials, p *product, c *linearChoice) {
	spec := c.pipeline(&t.b.limits, p)
	split := c.parts(&t.b.limits, p) > 1
	if split && !p.columns {
		product := p.withoutEpilogue()
		p = &product
	}
	t.fours = c.source == "linear_matrix"
	outs := edges(c.outs, p.outUnit(c))
	if h := p.joined.head; h > 0 {
		outs = []int{2 * h, h} // of the two heads the second one is not rotated
	}
	ins := p.edgesOfIn(c)
	rows := []int{1}
	if c.source != "linear_one" {
		rows = edges(c.rows, 1)
	}
	// One head fits where the op does, and so do two tiles of outputs.
	fits := func(n, in int) bool {
		return fit(&t.b.limits, backend.Of(nil, p.w, 0, n, in)) && tiles(n, c.outs) <= int(t.b.limits.Groups[0])
	}
	tried := false
	for i := range max(len(outs), len(ins), len(rows)) {
		q := *p
		// The longest of one with the shortest of another.
		q.rows, q.in, q.out = rows[i%len(rows)], ins[i%len(ins)], outs[len(outs)-1-i%len(outs)]
		if !split && !p.columns && c.parts(&t.b.limits, &q) > 1 { // whose pipeline is another one
			q.in = ins[0]
		}
		if (c.texel || c.xTexel) && powerOfTwo(q.in) {
			q.rows = max(q.rows, 2) // see operand
		}
		if !fits(q.out, q.in) && (tried || !fits(1, q.in)) {
			continue
		}
		for !fits(q.out, q.in) && p.joined.head == 0 {
			q.out = max(q.out-p.outUnit(c), p.outUnit(c))
		}
		// Blocks of 256 inputs and a tile of rows may be more of x than a binding takes.
		for wide := q.in + c.pad(q.in); q.rows > 1 && !fit(&t.b.limits, backend.Of(nil, backend.F32, 0, q.rows, wide)); {
			q.rows--
		}
		tried = true
		if p.columns {
			tryGradient(t, &q, c, spec)
		} else {
			tryProduct(t, &q, c, spec)
		}
	}
}

// edges are the sizes around one at which a tile ends, in units, at least one.
func edges(size, unit int) (list []int) {
	size = (size + unit - 1) / unit * unit
	for _, n := range []int{size - unit, size, size + unit} {
		if n >= unit {
			list = append(list, n)
		}
	}
	return list
}

// inFours reports whether a choice reads four neighbours at once.
func (c *linearChoice) inFours() bool {
	return c.fours || c.texel || c.xTexel || c.words || c.source == "linear_matrix"
}

// outUnit is of how many outputs the number is a multiple.
func (p *product) outUnit(c *linearChoice) int {
	switch {
	case p.transposed && !p.columns && c.inFours() && c.source != "linear_matrix":
		return 4
	case p.joined.pairs():
		return 2
	case p.joined.gate:
		return 2
	}
	return 1
}

// edgesOfIn are the numbers of inputs at which a round of the kernel's loop ends.
func (p *product) edgesOfIn(c *linearChoice) []int {
	unit := 1
	if c.inFours() {
		unit = 4
	}
	round := unit // inputs
	switch c.source {
	case "linear_one":
		return []int{p.in}
	case "linear":
		round = 32
	case "linear_matrix":
		round = depth
		if p.rounded {
			unit = 8
		}
	case "linear_rows", "linear_vec":
		round *= int(c.lanes)
		if p.w.Quantized() {
			round = 4 * int(c.lanes)
			switch {
			case c.source == "linear_rows" && takesRuns(p.w):
				round = 32 * int(c.lanes)
			case c.source == "linear_rows":
				round = 8 * int(c.lanes)
			}
		}
	case "linear_spread":
		unit, round = spreadInputs, spreadInputs
	case "linear_lanes":
		if steps := int(laneSteps(p, c)); p.w.Quantized() {
			round = 32 * int(c.lanes)
		} else if round *= steps * int(c.lanes); steps > 1 {
			unit = round
		}
	case "linear_vec_t":
		round *= int(c.lanesY)
	}
	if c.texel || c.xTexel {
		// Lavapipe compiles a shader again for texel buffers of less than 256 bytes: all have more.
		round *= (96 + round - 1) / round
	}
	unit = max(unit, p.x.BlockLen(), p.w.BlockLen())
	list := edges(round, unit)
	if p.joined.norm != 0 { // of which a lane takes as many numbers as p needs, and no more
		most := normedSteps(p, c) * 4 * c.lanes * c.lanesY / c.rowsEach
		list = append(slices.DeleteFunc(list, func(n int) bool { return n >= p.in || n > int(most) }), p.in)
	}
	return list
}

// values are integers for an operand of so many inputs. With few inputs their sums are too
// large to be exact in f16, so that what adds in f16 fails; before an activation they are such that
// many results are near 0, where it bends.
func (p *product) values(t *trials, n int) []float32 {
	values := t.integers(n, 60)
	switch {
	case p.activation != backend.NoActivation || p.joined.norm != 0:
		for i, v := range values {
			values[i] = float32(int(v) % 2)
		}
	case p.in <= 512:
		for i := range values {
			values[i] += 40
		}
	default:
		for i, v := range values {
			values[i] = float32(int(v)%10 + 5)
		}
	}
	return values
}

// pad is how far behind a row of so many numbers the next one begins, so that rows lie as the
// kernel may ask, and no better.
func (c *linearChoice) pad(n int) int {
	switch {
	case c.source == "linear_one":
		return 8
	case c.source == "linear_matrix":
		return 8 + (8-n%8)%8
	case c.inFours():
		return 4 + (4-n%4)%4
	}
	return 1 + n%2 // so that rows are an odd distance apart
}

// factors places x and w as the product has them, and what comes before it, and returns the numbers that are
// multiplied, as [rows, in] and [out, in]. apart is how far off those of x may be, none if they are exact.
func (p *product) factors(t *trials, c *linearChoice) (o linearOp, x, w []float32, apart []float64) {
	place := func(d backend.DType, rows int, transposed bool, values []float32) (backend.Tensor, []float32) {
		if !transposed {
			return t.operand(d, values, rows, p.in, c.pad(p.in))
		}
		m, got := t.operand(d, transpose(values, rows, p.in), p.in, rows, c.pad(rows))
		return m.Transpose(), transpose(got, p.in, rows)
	}
	values := p.values(t, p.rows*p.in)
	for i := range values {
		values[i] *= p.sizeOfX()
		if p.rounded && p.joined.norm != 0 { // a norm of few numbers may leave nothing to round
			values[i] *= float32(64+i%61) / 64
		}
	}
	o.x, x = place(p.x, p.rows, p.columns, values)
	var before []float32 // x, before it is rounded
	if p.rounded && p.joined.norm == 0 {
		o.x, before = p.unrounded(t, c, x)
	}
	if p.joined.norm != 0 {
		before = p.tryNorm(t, &o, x)
		x = before
	}
	switch {
	case p.rounded:
		o.rounded = o.x // present: it is not used
		x, apart = p.tryRounded(before)
	case p.joined.blocks != backend.None:
		x, apart = p.tryInBlocks(&o, x)
	}
	values = p.values(t, p.out*p.in)
	for i := range values {
		values[i] *= p.sizeOfW()
	}
	o.w, w = place(p.w, p.out, p.transposed, values)
	if !p.rounded {
		return o, x, w, apart
	}
	scales := []float32{1}
	if c.source == "linear_matrix" && p.w == backend.BF16 { // so that outputs need scales
		scales = []float32{1, 0x1p12, 0x1p-30, 1}
	}
	for i := range w {
		w[i] *= scales[i/p.in%len(scales)]
	}
	p.showRounding(w[:p.in], x, before)
	if p.joined.gate {
		p.showRounding(w[p.out/2*p.in:][:p.in], x, before)
	}
	if p.transposed {
		w = transpose(w, p.out, p.in)
		o.w, w = t.operand(p.w, w, p.in, p.out, c.pad(p.out))
		o.w, w = o.w.Transpose(), transpose(w, p.in, p.out)
		return o, x, w, apart
	}
	o.w, w = t.operand(p.w, w, p.out, p.in, c.pad(p.in))
	return o, x, w, apart
}

// transpose returns a matrix [rows, n] as [n, rows].
func transpose(m []float32, rows, n int) []float32 {
	t := make([]float32, len(m))
	for r := range rows {
		for i := range n {
			t[i*rows+r] = m[r*n+i]
		}
	}
	return t
}

// sums are x · wᵀ over inputs from one to another, and how far off f32 may be.
func (p *product) sums(x, w []float32, from, to int) (sums, most []float64) {
	sums, most = make([]float64, p.rows*p.out), make([]float64, p.rows*p.out)
	exact := !p.x.Quantized() && !p.w.Quantized() && p.joined.norm == 0 && !p.rounded
	for r := range p.rows {
		x := x[r*p.in:][:p.in]
		for out := range p.out {
			w := w[out*p.in:][:p.in]
			sum, size := 0.0, 0.0
			for i := from; i < to; i++ {
				v := float64(x[i]) * float64(w[i])
				sum, size = sum+v, size+math.Abs(v)
			}
			sums[r*p.out+out] = sum
			if !exact { // no more than 32 sums follow one another in long products
				most[r*p.out+out] = size * float64(64+p.in/32) / (1 << 24)
			}
		}
	}
	return sums, most
}

func (p *product) what() string {
	return fmt.Sprintf("%d rows, %d inputs, %d outputs", p.rows, p.in, p.out)
}

// tryProduct makes a trial of a Linear.
func tryProduct(t *trials, p *product, c *linearChoice, spec pipelineSpec) {
	o, x, w, apart := p.factors(t, c)
	tr := trial{what: p.what()}
	want, most := p.sums(x, w, 0, p.in)
	for i := range most {
		if apart == nil {
			break
		}
		for j, d := range apart[i/p.out*p.in:][:p.in] {
			most[i] += d * math.Abs(float64(w[i%p.out*p.in+j]))
		}
	}
	bias := t.integers(p.out, 3)
	o.bias, _ = t.operand(backend.F32, bias, 1, p.out, 0)
	o.bias = o.bias.Reshape(p.out)
	before, residual := t.integers(len(want), 50), t.integers(len(want), 50)
	if p.residual {
		pad := 1
		if t.fours {
			pad = 4 + (4-p.out%4)%4
		}
		o.residual, _ = t.operand(backend.F32, residual, p.rows, p.out, pad)
	}
	for i := range want {
		want[i] += float64(bias[i%p.out])
		if p.accumulate {
			want[i] += float64(before[i])
		}
		if p.activation != backend.NoActivation && !p.joined.gate {
			want[i] = activate(p.activation, want[i])
			most[i] = 1.2*most[i] + 1e-5*(1+math.Abs(want[i]))
		}
		if p.residual {
			want[i] += float64(residual[i])
		}
		if most[i] > 0 { // rounded to f32 in between
			most[i] += (math.Abs(want[i]) + math.Abs(float64(bias[i%p.out])) + math.Abs(float64(residual[i])) + math.Abs(float64(before[i]))) / (1 << 22)
		}
	}
	if p.joined.places() {
		p.tryPlaces(t, &tr, &o, want, most)
	}
	if !p.accumulate {
		before = nil
	}
	o.accumulate, o.activation = p.accumulate, p.activation
	outs := p.out
	if p.joined.gate {
		outs /= 2
		want, most = p.tryGate(&o, want, most)
	}
	o.dst = t.expect(&tr, "dst", backend.F32, p.rows, outs, before, want, most)
	q := *p
	tr.encode = func(e *encoder) error { return linearDispatch(e, &o, &q, c, spec) }
	t.add(tr)
}

// tryGradient makes a trial of a LinearBackward: whole, or in two parts where the pipeline is
// for parts.
func tryGradient(t *trials, p *product, c *linearChoice, spec pipelineSpec) {
	o, x, w, _ := p.factors(t, c)
	tr := trial{what: p.what()}
	parts := 1
	if s, ok := tilesOf(spec); ok && !s.Accumulate {
		parts = 2
	}
	part := (p.in + parts - 1) / parts
	if c.inFours() {
		part = (part + 3) / 4 * 4
	}
	var want []float64
	var before []float32
	for i := range parts {
		sums, _ := p.sums(x, w, i*part, min((i+1)*part, p.in))
		want = append(want, sums...)
	}
	access := backend.Write
	if parts == 1 {
		before, access = t.integers(len(want), 50), backend.Update
		for i := range want {
			want[i] += float64(before[i])
		}
	}
	target := t.expect(&tr, "dst", backend.F32, parts*p.rows, p.out, before, want, nil)
	push := shaders.LinearPush{
		Bias: shaders.Absent, Rows: uint32(p.rows), In: uint32(p.in), Out: uint32(p.out),
		Part: uint32(part), PartStride: uint32(p.rows * target.Stride(2)),
	}
	if parts == 1 {
		push.Part = push.In
	}
	across, along := (p.out+c.outs-1)/c.outs, (p.rows+c.rows-1)/c.rows
	o.dst = target.Slice(-2, 0, p.rows)
	tr.encode = func(e *encoder) error {
		return gradientTiles(e, &o, c, target, access, push, [3]uint32{uint32(across), uint32(along), uint32(parts)}, spec)
	}
	t.add(tr)
}

// tilesOf are the constants of linear.comp or linear_matrix.comp.
func tilesOf(p pipelineSpec) (s shaders.LinearSpec, ok bool) {
	switch spec := p.spec.(type) {
	case shaders.LinearTileSpec:
		return spec.LinearSpec, true
	case shaders.LinearMatrixSpec:
		return spec.LinearSpec, true
	}
	return s, false
}

// triedLimit is the limit of gates in trials.
const triedLimit = 40

// tryGate adds a gate to the product of a row, and returns what passes it.
func (p *product) tryGate(o *linearOp, want, most []float64) (passed, off []float64) {
	const limit, shift = triedLimit, 1
	o.activation, o.gate = backend.NoActivation, backend.LinearGate{On: true, Func: p.activation, Limit: limit, Shift: shift}
	n := len(want) / 2
	passed, off = make([]float64, n), make([]float64, n)
	for i := range n {
		gate, up := activate(p.activation, min(want[i], limit)), max(-limit, min(want[n+i], limit))+shift
		passed[i] = gate * up
		gateOff := 1.2*most[i] + 1e-5*(1+math.Abs(gate))
		off[i] = gateOff*(math.Abs(up)+most[n+i]) + math.Abs(gate)*most[n+i] + math.Abs(passed[i])/(1<<22)
	}
	return passed, off
}

// tryPlaces adds a rotation and a store to the product of a token, whose results are in want.
func (p *product) tryPlaces(t *trials, tr *trial, o *linearOp, want, most []float64) {
	const sequences, context, seq, pos, block = 2, 8, 1, 6, 4
	at := t.numbers(seq, pos).Reshape(2, 1)
	from := 0
	if j := &p.joined; j.apart > 0 {
		pairs := j.head / 2
		angles := t.integers(context*j.head, 2)
		angles[pos*j.head] = 1 // the first output is not lost
		table, _ := t.operand(backend.F32, angles, context, j.head, 0)
		o.rotation, o.turned = backend.LinearRotation{Angles: table, At: at, Heads: 1}, j.head
		step := 1
		if j.apart == 1 {
			o.rotation.Pairing, step = backend.Neighbours, 2
		}
		cos, sin := angles[pos*j.head:][:pairs], angles[pos*j.head+pairs:][:pairs]
		for i := range pairs {
			first, second := i*step, i*step+j.apart
			a, b, c, s := want[first], want[second], float64(cos[i]), float64(sin[i])
			want[first], want[second] = a*c-b*s, b*c+a*s
			c, s = math.Abs(c), math.Abs(s)
			most[first], most[second] = c*most[first]+s*most[second], c*most[second]+s*most[first]
		}
	} else {
		from = min(2, p.out-p.outUnit(&linearChoice{}))
	}
	if p.joined.cache == backend.None {
		return
	}
	// The cache as it was, but for the row of the token.
	width := p.out - from
	row := seq*context + pos
	o.store = backend.LinearStore{At: at, From: from}
	if p.joined.table {
		blocks := t.numbers(2, 0, 3, 1).Reshape(sequences, context/block)
		o.store.Table = blocks
		row = []int{2, 0, 3, 1}[seq*context/block+pos/block]*block + pos%block
	}
	n := sequences * context * width
	before := t.integers(n, 50)
	stored, off := make([]float64, n), make([]float64, n)
	for i, v := range before {
		stored[i] = float64(v)
	}
	bits := map[backend.DType]float64{backend.F16: 11, backend.BF16: 8}[p.joined.cache]
	for i := range width {
		stored[row*width+i], off[row*width+i] = want[from+i], most[from+i]
		if bits > 0 {
			off[row*width+i] += math.Abs(want[from+i]) * math.Exp2(-bits)
		}
	}
	cache := t.expect(tr, "the cache", p.joined.cache, sequences*context, width, before, stored, off)
	stride, rows, all := cache.Stride(-2), context, sequences
	if p.joined.table {
		rows, all = block, sequences*context/block
	}
	cache.Shape, cache.Strides = [4]int{1, all, rows, width}, [4]int{0, rows * stride, stride, 1}
	o.store.Cache = cache
}

// activate is an activation in float64: see backend.Activation.
func activate(a backend.Activation, x float64) float64 {
	switch a {
	case backend.GELUTanh:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case backend.GELUErf:
		return x / 2 * (1 + math.Erf(x/math.Sqrt2))
	case backend.GELUSigmoid:
		return x / (1 + math.Exp(-1.702*x))
	case backend.ReLU:
		return max(x, 0)
	case backend.SiLU:
		return x / (1 + math.Exp(-x))
	}
	return x
}
