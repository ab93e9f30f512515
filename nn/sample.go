package nn

import "caldera/backend"

// Sampling is what [Tape.Sample] draws with: see [backend.Sample].
type Sampling struct {
	Slots    Tensor // [rows] i32
	Settings Tensor // [slots, backend.SampleSettingWords] i32
	Marks    Tensor // [slots, 2, ⌈vocab/32⌉] i32
	Recent   Tensor // [slots, 2 + window] i32
}

// Sample draws a token from each row of logits, [1, rows, vocab], and writes its id to
// next, [rows] i32. It returns what became of each row, [rows, backend.SampleWords] i32.
func (t *Tape) Sample(logits Tensor, s Sampling, next Tensor) Tensor {
	dst := t.tensor(backend.I32, logits.Dim(-2), backend.SampleWords)
	t.add(&backend.Sample{Dst: dst, Next: next, X: logits, Slots: s.Slots, Settings: s.Settings, Marks: s.Marks, Recent: s.Recent})
	return dst
}
