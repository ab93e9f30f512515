package backend

import "fmt"

// Attention lets each vector gather what the ones before it have to say: causal
// scaled dot-product attention over a cache of keys and values (Vaswani et al.
// 2017, arXiv:1706.03762, section 3.2). The query at [b,t] stands at position
// p = at[b]+t and looks at rows 0 … p of the cache:
//
//	dst[b,t,h] = Σⱼ softmaxⱼ(q[b,t,h] · k[b,j,g] / √size) · v[b,j,g],  j = 0 … p
//
// Heads lie side by side along the last axis, each of size = q's width / Heads.
// Where k and v are narrower than q, consecutive heads h share a group
// g = h · groups / Heads. A position outside of the cache makes its row NaN.
//
// Rows after p have no influence, whatever they hold. A score of −∞ gives a
// probability of 0. One that is NaN or +∞, or none above −∞, makes the head's
// part of the row NaN, and its probabilities up to p.
type Attention struct {
	Dst   Tensor // [batch, time, Heads·size] f32
	Q     Tensor // [batch, time, Heads·size] f32
	K     Tensor // [batch, context, groups·size] of a dtype of caches
	V     Tensor // [batch, context, groups·size] as K
	At    Tensor // [batch] i32: the position of q[b,0]
	Probs Tensor // [batch, Heads, time, context] f32, optional: the softmax; 0 after position p
	Heads int
}

func (*Attention) Name() string { return "attention" }

func (o *Attention) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("q", &o.Q, Read)
	yield("k", &o.K, Read)
	yield("v", &o.V, Read)
	yield("at", &o.At, Read)
	if !o.Probs.Absent() {
		yield("probs", &o.Probs, Write)
	}
}

// HeadSize is the length of one head's vectors.
func (o *Attention) HeadSize() int { return o.Q.Dim(-1) / o.Heads }

// Groups is the number of heads in K and V.
func (o *Attention) Groups() int { return o.K.Dim(-1) / o.HeadSize() }

func (o *Attention) Check() error {
	batch, time, width := o.Q.Dim(-3), o.Q.Dim(-2), o.Q.Dim(-1)
	context, kv := o.K.Dim(-2), o.K.Dim(-1)
	if o.Heads < 1 || width%o.Heads != 0 {
		return fmt.Errorf("q is %d wide, expected a multiple of its %d heads", width, o.Heads)
	}
	if size := width / o.Heads; kv%size != 0 || o.Heads%(kv/size) != 0 {
		return fmt.Errorf("k is %d wide, expected heads of %d whose number divides %d", kv, size, o.Heads)
	}
	err := first(
		wantDType("dst", o.Dst, F32),
		wantDType("q", o.Q, F32),
		wantDType("k", o.K, DTypes(Caches)...),
		wantDType("v", o.V, o.K.DType),
		wantDType("at", o.At, I32),
		wantShape("q", o.Q, batch, time, width),
		wantShape("dst", o.Dst, batch, time, width),
		wantShape("k", o.K, batch, context, kv),
		wantShape("v", o.V, batch, context, kv),
		wantShape("at", o.At, batch),
		wantRows("dst", o.Dst),
		wantRows("q", o.Q),
		wantRows("k", o.K),
		wantRows("v", o.V),
	)
	if err != nil || o.Probs.Absent() {
		return err
	}
	return first(
		wantDType("probs", o.Probs, F32),
		wantShape("probs", o.Probs, batch, o.Heads, time, context),
		wantRows("probs", o.Probs),
	)
}

// Cost is of two products, of queries with keys and of probabilities with
// values, for each key that a query sees where the cache is full.
func (o *Attention) Cost() (flops, bytes int64) {
	batch, time, width := o.Q.Dim(-3), o.Q.Dim(-2), o.Q.Dim(-1)
	return 2 * product(batch, width, 1) * causalPairs(time, o.K.Dim(-2)), moved(o, 0)
}
