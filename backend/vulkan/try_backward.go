//go:build cgo

package vulkan

import (
	"fmt"
	"math"
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

// normGradient is the gradient of a norm of rows, in float64: see backend.LayerNormBackward and backend.RMSNormBackward.
type normGradient struct {
	dx, dgamma, dbeta []float64
	stats             []float64 // of each row: its mean, if it is a layer norm, and s
}

func normGradientOf(layer bool, x, dy, gamma []float32) (g normGradient) {
	n := len(gamma)
	g.dgamma, g.dbeta = make([]float64, n), make([]float64, n)
	for ; len(x) > 0; x, dy = x[n:], dy[n:] {
		mean, square := 0.0, 0.0
		for i := 0; layer && i < n; i++ {
			mean += float64(x[i]) / float64(n)
		}
		for _, v := range x[:n] {
			square += (float64(v) - mean) * (float64(v) - mean) / float64(n)
		}
		s := 1 / math.Sqrt(square+epsilonTried)
		normed, up, meanUp, product := make([]float64, n), make([]float64, n), 0.0, 0.0
		for i := range n {
			normed[i], up[i] = (float64(x[i])-mean)*s, float64(dy[i])*float64(gamma[i])
			product += up[i] * normed[i] / float64(n)
			if layer {
				meanUp += up[i] / float64(n)
			}
			g.dgamma[i] += float64(dy[i]) * normed[i]
			g.dbeta[i] += float64(dy[i])
		}
		for i := range n {
			g.dx = append(g.dx, s*(up[i]-meanUp-normed[i]*product))
		}
		if layer {
			g.stats = append(g.stats, mean)
		}
		g.stats = append(g.stats, s)
	}
	return g
}

// tryNormBackward makes the trials of layernorm_backward.comp and rmsnorm_backward.comp.
func tryNormBackward(t *trials, p pipelineSpec) {
	layer := p.variant.Source == "layernorm_backward"
	for i, n := range rowSizes(p) {
		rows := 1 + i%3
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, xs := t.operand(backend.F32, t.integers(rows*n, 20), rows, n, 4)
		dy, dys := t.operand(backend.F32, t.integers(rows*n, 20), rows, n, 4)
		gamma := t.integers(n, 3)
		want := normGradientOf(layer, xs, dys, gamma)
		g := t.vector(gamma)
		dx := t.expect(&tr, "dx", backend.F32, rows, n, nil, want.dx, off(len(want.dx), 1e-3))
		stats := t.expect(&tr, "stats", backend.F32, rows, len(want.stats)/rows, nil, want.stats, off(len(want.stats), 1e-4))
		tr.encode = func(e *encoder) error {
			if layer {
				return layerNormBackwardRows(e, &backend.LayerNormBackward{DX: dx, X: x, DY: dy, Gamma: g, Stats: stats, Epsilon: epsilonTried})
			}
			return rmsNormBackwardRows(e, &backend.RMSNormBackward{DX: dx, X: x, DY: dy, Gamma: g, Stats: stats, Epsilon: epsilonTried})
		}
		t.add(tr)
	}
}

// tryNormColumns makes the trials of layernorm_backward_columns.comp and rmsnorm_backward_columns.comp: of columns that
// end where a workgroup does, one unit before and one behind; rows are so few that they are summed at once, which is stage 0,
// or, for stages 1 and 2, so many that they are summed in slices.
func tryNormColumns(t *trials, p pipelineSpec) {
	layer := strings.HasPrefix(p.variant.Source, "layernorm")
	spec, unit := p.spec.(shaders.LayerNormBackwardColumnsSpec), unitOf(p)
	rowsOf := edges(2*int(spec.LanesY), 1)
	if spec.Stage > 0 {
		rowsOf = []int{131}
	}
	for i, n := range edges(int(spec.Lanes)*unit, unit) {
		rows := rowsOf[len(rowsOf)-1-i%len(rowsOf)]
		tr := trial{what: fmt.Sprintf("%d rows of %d", rows, n)}
		x, xs := t.operand(backend.F32, t.integers(rows*n, 20), rows, n, 4)
		dy, dys := t.operand(backend.F32, t.integers(rows*n, 20), rows, n, 4)
		g := normGradientOf(layer, xs, dys, make([]float32, n))
		before, width := t.integers(2*n, 50), len(g.stats)/rows
		given := make([]float32, len(g.stats))
		for i, v := range g.stats {
			given[i] = float32(v)
		}
		for i := range n {
			g.dgamma[i] += float64(before[i])
			g.dbeta[i] += float64(before[n+i])
		}
		stats, _ := t.operand(backend.F32, given, rows, width, 0)
		dgamma := t.expect(&tr, "dgamma", backend.F32, 1, n, before[:n], g.dgamma, off(n, 1e-2)).Reshape(n)
		if layer {
			dbeta := t.expect(&tr, "dbeta", backend.F32, 1, n, before[n:], g.dbeta, nil).Reshape(n)
			tr.encode = func(e *encoder) error {
				return layerNormBackwardColumns(e, &backend.LayerNormBackward{DGamma: dgamma, DBeta: dbeta, X: x, DY: dy, Stats: stats})
			}
		} else {
			tr.encode = func(e *encoder) error {
				return rmsNormBackwardColumns(e, &backend.RMSNormBackward{DGamma: dgamma, X: x, DY: dy, Stats: stats})
			}
		}
		t.add(tr)
	}
}

// tryAttentionBackward makes the trials of a pass of attention_backward.comp: of a query or key less than a workgroup
// owns, as many and one more, or of one more and of more keys than a chunk has. What earlier passes leave is given.
func tryAttentionBackward(t *trials, p pipelineSpec) {
	spec := p.spec.(shaders.AttentionBackwardSpec)
	unit, own := unitOf(p), int(spec.Own)
	sums := 1
	if spec.Pass == attentionKeys {
		sums = 2
	}
	size := 3 * unit
	for shape := attentionBackwardShape(&t.b.limits, spec.Pass, sums, size); shape.Own > spec.Own; shape = attentionBackwardShape(&t.b.limits, spec.Pass, sums, size) {
		size += 16 * unit // of longer vectors a workgroup owns fewer
	}
	times := edges(own, 1)
	if spec.Pass != attentionSinks {
		times = append(times[len(times)-1:], int(spec.Chunk)+own-1)
	}
	for i, time := range times {
		most := backend.Of(nil, backend.F32, 0, triedSequences*time, 2*triedShared*size+triedPad)
		if i == 0 || fit(&t.b.limits, most) && uint32(tiles(time, own)) <= t.b.limits.Groups[0] {
			tryAttentionPass(t, spec, time, size)
		}
	}
}

// triedShared is how many heads share a group in trials of attention_backward.comp.
const triedShared = 2

// tryAttentionPass makes a trial with so many queries of two sequences.
func tryAttentionPass(t *trials, spec shaders.AttentionBackwardSpec, time, size int) {
	const batch, groups, shared = triedSequences, 2, triedShared
	const heads = groups * shared
	tr := trial{what: fmt.Sprintf("%d queries of %d heads of %d", time, heads, size)}
	op := &backend.AttentionBackward{Heads: heads, Scale: float32(1 / math.Sqrt(float64(size)) / 4)}
	rows := func(width, most int) (backend.Tensor, []float32) {
		x, values := t.operand(backend.F32, t.integers(batch*time*width, most), batch*time, width, triedPad)
		return batched(x, batch, time), values
	}
	var q, k, v, dy, sinks []float32
	op.Q, q = rows(heads*size, 3)
	op.K, k = rows(groups*size, 3)
	op.V, v = rows(groups*size, 5)
	op.DY, dy = rows(heads*size, 5)
	if spec.Extras {
		op.Window, op.SoftCap = max(time/2, 1), 5
		sinks = t.integers(heads, 2)
		op.Sinks = t.vector(sinks)
	}
	dq, dk, dv := make([]float64, len(q)), make([]float64, len(k)), make([]float64, len(v))
	stats, dsinks := make([]float64, batch*heads*time*2), make([]float64, heads)
	for at := range batch * heads * time {
		b, h, i := at/(heads*time), at/time%heads, at%time
		vector := func(x []float32, row, width, part int) []float32 { return x[(b*time+row)*width+part*size:][:size] }
		query, up := vector(q, i, heads*size, h), vector(dy, i, heads*size, h)
		from := 0
		if op.Window > 0 {
			from = max(0, i+1-op.Window)
		}
		sum := 0.0
		if sinks != nil {
			sum = math.Exp(float64(sinks[h]))
		}
		p, dp, slopes := make([]float64, time), make([]float64, time), make([]float64, time)
		for j := from; j <= i; j++ {
			score := dot(query, vector(k, j, groups*size, h/shared)) * float64(op.Scale)
			slopes[j] = float64(op.Scale)
			if c := float64(op.SoftCap); c > 0 {
				score = c * math.Tanh(score/c)
				slopes[j] *= 1 - score*score/(c*c)
			}
			p[j], dp[j] = math.Exp(score), dot(up, vector(v, j, groups*size, h/shared))
			sum += p[j]
		}
		d := 0.0
		for j := from; j <= i; j++ {
			p[j] /= sum
			d += p[j] * dp[j]
		}
		stats[2*at], stats[2*at+1] = math.Log(sum), d
		if sinks != nil {
			dsinks[h] -= math.Exp(float64(sinks[h])) / sum * d
		}
		for j := from; j <= i; j++ {
			ds := p[j] * (dp[j] - d) * slopes[j]
			key := vector(k, j, groups*size, h/shared)
			for x := range size {
				to, group := (b*time+i)*heads*size+h*size+x, (b*time+j)*groups*size+h/shared*size+x
				dq[to] += ds * float64(key[x])
				dk[group] += ds * float64(query[x])
				dv[group] += p[j] * float64(up[x])
			}
		}
	}
	results := func(name string, want []float64, width int) backend.Tensor {
		most := make([]float64, len(want))
		for i, w := range want {
			most[i] = 1e-3 * (1 + math.Abs(w))
		}
		return batched(t.expect(&tr, name, backend.F32, batch*time, width, nil, want, most), batch, time)
	}
	switch spec.Pass {
	case attentionQueries:
		op.DQ = results("dq", dq, heads*size)
	case attentionKeys:
		op.DK, op.DV = results("dk", dk, groups*size), results("dv", dv, groups*size)
	case attentionSinks:
		before := t.integers(heads, 50)
		for h, v := range before {
			dsinks[h] += float64(v)
		}
		most := off(heads, 0)
		for h, v := range dsinks {
			most[h] = 1e-3 * (10 + math.Abs(v))
		}
		op.DSinks = t.expect(&tr, "dsinks", backend.F32, 1, heads, before, dsinks, most).Reshape(heads)
	}
	given, most := make([]float32, len(stats)), make([]float64, len(stats))
	for i, v := range stats {
		given[i] = float32(v)
		if spec.Pass == attentionStats {
			given[i], most[i] = untouched, 1e-3*(1+math.Abs(v))
		} else {
			stats[i] = float64(given[i]) // they stay
		}
	}
	left := result{name: "stats", dtype: backend.F32, stride: 2, want: stats, most: most}
	p, err := backend.Encode(nil, backend.F32, given)
	if err != nil {
		panic(err) // every number is one of f32
	}
	left.at = t.place(p)
	tr.results = append(tr.results, left)
	op.Stats = t.tensor(backend.F32, left.at, batch, heads, time, 2)
	part := attentionBackwardPart{op, shared, 0, groups}
	tr.encode = func(e *encoder) error {
		if spec.Pass == attentionSinks {
			return attentionSinksBackward(e, part)
		}
		return attentionBackwardPass(e, part, spec.Pass, 0, time, 0, time)
	}
	t.add(tr)
}

// batched is a matrix [batch·time, n] as [batch, time, n].
func batched(x backend.Tensor, batch, time int) backend.Tensor {
	x.Shape, x.Strides = [4]int{1, batch, time, x.Dim(-1)}, [4]int{0, time * x.Stride(-2), x.Stride(-2), 1}
	return x
}

func dot(a, b []float32) (sum float64) {
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}
