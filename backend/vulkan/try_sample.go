//go:build cgo

package vulkan

import (
	"fmt"
	"math"
	"slices"

	"caldera/backend"
)

// sound reports whether the kernels for an op are right where the caller has another way than this
// backend's: tokens are drawn by the host where the shaders that draw them fail their check. An error
// of the device counts as no.
func (b *Backend) sound(op backend.Op) bool {
	s, ok := op.(*backend.Sample)
	if !ok || b.ready() != nil {
		return true
	}
	e := encoder{b: b}
	var unknown []unchecked
	var list []pipelineSpec
	for _, shader := range []string{"sample_max", "sample_count", "sample"} {
		p := samplePipeline(&e, shader, s.X.Dim(-1))
		list = append(list, p)
		if u := (unchecked{p, func(t *trials) { trySample(t, p) }}); b.verdictOn(u) == nil {
			unknown = append(unknown, u)
		}
	}
	if len(unknown) > 0 && b.settle(unknown) != nil {
		return false
	}
	return !slices.ContainsFunc(list, func(p pipelineSpec) bool { return b.checks.verdicts[pipelineKey{p.variant, p.spec}].err != nil })
}

// trySample makes the trials of a shader of the three that draw tokens, which follow one another: of
// logits that leave no choice, without a temperature, with one, with the likeliest token barred, and with
// a penalty on it.
func trySample(t *trials, p pipelineSpec) {
	const slots, window = 4, 4
	sizes := []int{sampleChunk, sampleChunk + 1, 2*sampleChunk - 1} // where a chunk ends
	if e := (encoder{b: t.b}); p.variant.Source != "sample" && lanesOf(p) != e.rowLanes(sampleChunk) {
		sizes = edges(8*int(lanesOf(p)), 1) // those of a small vocabulary
	}
	for _, n := range sizes {
		if n < 2 {
			continue
		}
		best := t.rng.IntN(n)
		second := (best + 1 + t.rng.IntN(n-1)) % n
		logits := t.integers(slots*n, 1000)
		words := (n + 31) / 32
		marks, settings := make([]int32, slots*2*words), []int32{}
		recent := make([]int32, slots*(2+window))
		r := result{name: "the result", dtype: backend.I32, stride: backend.SampleWords}
		for slot := range slots {
			logits[slot*n+best], logits[slot*n+second] = 5000, 4000
			s, id := backend.NewSampleSettings(0, 0, 1, 0, 1, 0, 1), best
			mark := func(row int) { marks[(slot*2+row)*words+best/32] |= 1 << (best % 32) }
			switch slot {
			case 1:
				s = backend.NewSampleSettings(1, 1, 1, 0, 1, 0, 1)
			case 2:
				mark(0)
				id = second
			case 3:
				s = backend.NewSampleSettings(0, 0, 1, 0, 10, window, 1)
				mark(1)
				recent[slot*(2+window)+1], recent[slot*(2+window)+2] = 1, int32(best)
				id = second
			}
			w := s.Words()
			settings = append(settings, w[:]...)
			// All others weigh nothing: the sum is the weight of the likeliest.
			drawn := backend.SampleResult{ID: int32(id), Total: backend.SampleWeight(0)}
			for i, word := range drawn.Words() {
				most := math.Inf(1) // of what does not tell whether the sums are right
				if i == 0 || i == 1 || i == 4 || i == 5 {
					most = 0
				}
				r.want, r.most = append(r.want, float64(word)), append(r.most, most)
			}
		}
		r.at = t.place(make([]byte, 4*len(r.want)))
		op := &backend.Sample{
			Dst: t.tensor(backend.I32, r.at, slots, backend.SampleWords), Next: t.numbers(make([]int32, slots)...), Slots: t.numbers(0, 1, 2, 3),
			Settings: t.numbers(settings...).Reshape(slots, backend.SampleSettingWords), Marks: t.numbers(marks...).Reshape(slots, 2, words),
			Recent: t.numbers(recent...).Reshape(slots, 2+window),
		}
		op.X, _ = t.operand(backend.F32, logits, slots, n, 1)
		t.add(trial{what: fmt.Sprintf("a vocabulary of %d", n), results: []result{r}, encode: func(e *encoder) error { return encodeSample(e, op) }})
	}
}
