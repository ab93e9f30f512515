package backend

import (
	"errors"
	"fmt"
)

// AttentionBackward is the gradient of [Attention] over whole sequences: time
// queries at positions 0 … time-1 over the keys and values of the same time.
// Queries, keys and values are tensors of their own or slices of one, as are
// their gradients. It computes the probabilities p again, as FlashAttention does
// (Dao et al. 2022, arXiv:2205.14135, algorithm 4), so that memory grows with
// time and not with its square. With dp[t,j] = dy[t] · v[j], j over the keys
// that query t sees:
//
//	d[t] = Σⱼ p[t,j] · dp[t,j]
//	ds[t,j] = p[t,j] · (dp[t,j] − d[t]) · Scale
//	ds[t,j] = ds[t,j] · (1 − (score[t,j] / SoftCap)²), if SoftCap > 0
//	dq[t] = Σⱼ ds[t,j] · k[j]
//	dk[j] = Σₜ ds[t,j] · q[t]
//	dv[j] = Σₜ p[t,j] · dy[t]
//	dsinks[h] += −Σₜ exp(sinks[h]) / (exp(sinks[h]) + Σⱼ exp(score[t,j])) · d[t], over all sequences
//
// Heads that share a group of keys and values add up there.
//
// What a query does not see has no influence: keys and values that it does not
// see may be NaN, and queries that do not see a key leave its dk and dv as they
// are. Scores and sinks that are not finite count as in [Attention].
type AttentionBackward struct {
	DQ      Tensor  // [batch, time, Heads·size] f32
	DK      Tensor  // [batch, time, groups·size] f32
	DV      Tensor  // [batch, time, groups·size] f32
	Q       Tensor  // [batch, time, Heads·size] f32
	K       Tensor  // [batch, time, groups·size] f32
	V       Tensor  // [batch, time, groups·size] f32
	DY      Tensor  // [batch, time, Heads·size] f32
	Sinks   Tensor  // [Heads] f32, optional, as in Attention
	DSinks  Tensor  // [Heads] f32, optional: where it is, so are Sinks
	Stats   Tensor  // [batch, Heads, time, 2] f32, scratch, contiguous rows: log of the softmax's denominator, d
	Heads   int     // these as in Attention
	Scale   float32 //
	Window  int     //
	SoftCap float32 //
}

func (*AttentionBackward) Name() string { return "attention_backward" }

func (o *AttentionBackward) Operands(yield func(string, *Tensor, Access)) {
	yield("dq", &o.DQ, Write)
	yield("dk", &o.DK, Write)
	yield("dv", &o.DV, Write)
	yield("q", &o.Q, Read)
	yield("k", &o.K, Read)
	yield("v", &o.V, Read)
	yield("dy", &o.DY, Read)
	if !o.Sinks.Absent() {
		yield("sinks", &o.Sinks, Read)
	}
	if !o.DSinks.Absent() {
		yield("dsinks", &o.DSinks, Update)
	}
	yield("stats", &o.Stats, Scratch)
}

// HeadSize is the length of one head's vectors.
func (o *AttentionBackward) HeadSize() int { return o.Q.Dim(-1) / o.Heads }

// Groups is the number of heads of the keys, and of the values.
func (o *AttentionBackward) Groups() int { return o.K.Dim(-1) / o.HeadSize() }

func (o *AttentionBackward) Check() error {
	batch, time, width, kv := o.Q.Dim(-3), o.Q.Dim(-2), o.Q.Dim(-1), o.K.Dim(-1)
	err := first(checkHeads("q", width, kv, o.Heads), checkScores(o.Scale, o.Window, o.SoftCap))
	for _, x := range []struct {
		name  string
		t     Tensor
		width int
	}{{"q", o.Q, width}, {"k", o.K, kv}, {"v", o.V, kv}, {"dy", o.DY, width}, {"dq", o.DQ, width}, {"dk", o.DK, kv}, {"dv", o.DV, kv}} {
		err = first(err, wantDType(x.name, x.t, F32), wantShape(x.name, x.t, batch, time, x.width), wantRows(x.name, x.t))
	}
	err = first(err, wantDType("stats", o.Stats, F32), wantShape("stats", o.Stats, batch, o.Heads, time, 2), wantRows("stats", o.Stats))
	if err == nil && time > 1 && o.Stats.Stride(-2) != 2 {
		err = fmt.Errorf("stats has strides %v, expected rows of 2 without gaps", o.Stats.Strides)
	}
	if err == nil && !o.Sinks.Absent() {
		err = checkSinks("sinks", o.Sinks, o.Heads)
	}
	if err == nil && !o.DSinks.Absent() {
		if err = checkSinks("dsinks", o.DSinks, o.Heads); err == nil && o.Sinks.Absent() {
			err = errors.New("sinks is absent, expected it where dsinks is")
		}
	}
	return err
}

// Cost is of five products for each key that a query sees: the scores and the
// gradients of the probabilities, queries, keys and values.
func (o *AttentionBackward) Cost() (flops, bytes int64) {
	batch, time, width := o.DY.Dim(-3), o.DY.Dim(-2), o.DY.Dim(-1)
	return 5 * product(batch, width, 1) * causalPairs(time, time, o.Window), moved(o, 0)
}
