package backend

import "fmt"

// AttentionBackward is the gradient of [Attention] over whole sequences: time
// queries at positions 0 … time-1 over the keys and values of the same time.
// Queries, keys and values lie side by side, as one matrix product gives them,
// and so do their gradients. It computes the probabilities p again, as
// FlashAttention does (Dao et al. 2022, arXiv:2205.14135, algorithm 4), so that
// memory grows with time and not with its square. With dp[t,j] = dy[t] · v[j]:
//
//	ds[t,j] = p[t,j] · (dp[t,j] − Σᵢ p[t,i] · dp[t,i]) / √size,  j = 0 … t
//	dq[t] = Σⱼ ds[t,j] · k[j]
//	dk[j] = Σₜ ds[t,j] · q[t]
//	dv[j] = Σₜ p[t,j] · dy[t]
//
// Heads that share a group of keys and values add up there.
//
// What a query does not see has no influence: keys and values after a position
// that are NaN leave dq finite up to it, and queries before it that are NaN leave
// dk and dv finite from it on. Scores that are not finite count as in
// [Attention].
type AttentionBackward struct {
	DQKV  Tensor // [batch, time, (Heads + 2·groups)·size] f32
	QKV   Tensor // [batch, time, (Heads + 2·groups)·size] f32
	DY    Tensor // [batch, time, Heads·size] f32
	Stats Tensor // [batch, Heads, time, 2] f32, scratch: log Σⱼ exp(score), Σⱼ p · dp
	Heads int
}

func (*AttentionBackward) Name() string { return "attention_backward" }

func (o *AttentionBackward) Operands(yield func(string, *Tensor, Access)) {
	yield("dqkv", &o.DQKV, Write)
	yield("qkv", &o.QKV, Read)
	yield("dy", &o.DY, Read)
	yield("stats", &o.Stats, Scratch)
}

// HeadSize is the length of one head's vectors.
func (o *AttentionBackward) HeadSize() int { return o.DY.Dim(-1) / o.Heads }

// Groups is the number of heads of the keys, and of the values.
func (o *AttentionBackward) Groups() int { return (o.QKV.Dim(-1)/o.HeadSize() - o.Heads) / 2 }

func (o *AttentionBackward) Check() error {
	batch, time, width := o.DY.Dim(-3), o.DY.Dim(-2), o.DY.Dim(-1)
	if o.Heads < 1 || width%o.Heads != 0 {
		return fmt.Errorf("dy is %d wide, expected a multiple of its %d heads", width, o.Heads)
	}
	size, all := width/o.Heads, o.QKV.Dim(-1)
	if groups := (all - width) / (2 * size); groups < 1 || all != width+2*groups*size || o.Heads%groups != 0 {
		return fmt.Errorf("qkv is %d wide, expected %d and two times heads of %d whose number divides %d", all, width, size, o.Heads)
	}
	return first(
		wantDType("dqkv", o.DQKV, F32),
		wantDType("qkv", o.QKV, F32),
		wantDType("dy", o.DY, F32),
		wantDType("stats", o.Stats, F32),
		wantShape("dy", o.DY, batch, time, width),
		wantShape("qkv", o.QKV, batch, time, all),
		wantShape("dqkv", o.DQKV, batch, time, all),
		wantShape("stats", o.Stats, batch, o.Heads, time, 2),
		wantRows("dqkv", o.DQKV),
		wantRows("qkv", o.QKV),
		wantRows("dy", o.DY),
		wantRows("stats", o.Stats),
	)
}

// Cost is of five products for each key that a query sees: the scores and the
// gradients of the probabilities, queries, keys and values.
func (o *AttentionBackward) Cost() (flops, bytes int64) {
	batch, time, width := o.DY.Dim(-3), o.DY.Dim(-2), o.DY.Dim(-1)
	return 5 * product(batch, width, 1) * causalPairs(time, time), moved(o, 0)
}
