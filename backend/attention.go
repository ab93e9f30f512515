package backend

import (
	"fmt"
	"math"
)

// Attention lets each vector gather from those before it: causal scaled
// dot-product attention over a cache of keys and values (Vaswani et al. 2017,
// arXiv:1706.03762, section 3.2). The query of a token at position p of a
// sequence sees the positions j ≤ p of that sequence; with a window (Beltagy et al.
// 2020, arXiv:2004.05150) only those with p − j < Window:
//
//	score[j] = Scale · q[b,t,h] · k[j,g]
//	score[j] = SoftCap · tanh(score[j] / SoftCap), if SoftCap > 0
//	dst[b,t,h] = Σⱼ exp(score[j]) · v[j,g] / (exp(sinks[h]) + Σⱼ exp(score[j]))
//
// where j goes over the positions that the query sees, k[j] and v[j] are the
// sequence's rows of the cache, and exp(sinks[h]) is 0 if there are no sinks. The
// soft-cap is that of Gemma 2 (arXiv:2408.00118). A sink is a logit which takes
// probability and has no value, as in gpt-oss; after Xiao et al. 2023,
// arXiv:2309.17453.
//
// Heads lie side by side along the last axis, each of size = q's width / Heads,
// whatever the width of the model. Where k and v are narrower than q,
// consecutive heads h share a group g = h · groups / Heads.
//
// Each Run tokens that follow one another, counted from the first, are of one
// sequence at consecutive positions: a kernel may read the place of the first of
// them alone and count on. Only padding, which is the last of a run, is told by each
// token itself. So the sequence of a token is that of the first of its run, and its
// position is that of the first plus the tokens between; if it or the first has
// sequence −1, it is padding. Padding makes a row 0, and its probabilities; a sequence
// or a position outside of the cache makes them NaN. Keys and values in a block whose
// number in the table is not one of the pool count as NaN.
//
// Where k and v are f16 and there are no probabilities, an exp(score[j]) that is less than 2⁻¹⁶ times the largest one of
// the keys that the query sees may be off by 2⁻³⁹ times that, so that matrix units can multiply it as two numbers of f16.
// This changes a result noticeably only where all keys with larger weights have values of 0, or nearly 0. Sinks are not among
// these keys.
//
// Rows that a query does not see have no influence, whatever they hold. Without
// a soft-cap a score of −∞ gives a probability of 0, and one of +∞ makes the
// head's part of the row NaN, with the probabilities of all rows that the query
// sees. With a soft-cap infinite scores become ±SoftCap, which is finite. A score
// of NaN has the effect of +∞ in both cases. A sink counts as a score: −∞ has
// no effect, +∞ or NaN makes all rows of its head NaN. Where no score that the
// query sees is above −∞, its row is NaN, but with a finite sink its
// probabilities are 0.
type Attention struct {
	Dst     Tensor  // [batch, time, Heads·size] f32
	Q       Tensor  // [batch, time, Heads·size] f32
	K       Tensor  // [sequences, context, groups·size] of a dtype of caches; with a table [blocks, block, groups·size]
	V       Tensor  // as K
	At      Tensor  // [2, batch·time] i32: sequence and position of each token
	Table   Tensor  // [sequences, context/block] i32, optional: the number of each block of a sequence in K and V
	Sinks   Tensor  // [Heads] f32, optional: a logit of each head in the softmax's denominator
	Probs   Tensor  // [batch, Heads, time, context] f32, optional: the softmax; 0 in rows that the query does not see
	Heads   int     // of q
	Run     int     // tokens of one sequence at consecutive positions, which divide time; 0: time
	Scale   float32 // of the products of queries and keys, above 0: usually 1/√size
	Window  int     // how many rows a query sees, its own included; 0: all up to its own
	SoftCap float32 // bound of the scores, above 0; 0: none
}

func (*Attention) Name() string { return "attention" }

func (o *Attention) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("q", &o.Q, Read)
	yield("k", &o.K, Read)
	yield("v", &o.V, Read)
	yield("at", &o.At, Read)
	if !o.Table.Absent() {
		yield("table", &o.Table, Read)
	}
	if !o.Sinks.Absent() {
		yield("sinks", &o.Sinks, Read)
	}
	if !o.Probs.Absent() {
		yield("probs", &o.Probs, Write)
	}
}

// HeadSize is the length of one head's vectors.
func (o *Attention) HeadSize() int { return o.Q.Dim(-1) / o.Heads }

// Groups is the number of heads in K and V.
func (o *Attention) Groups() int { return o.K.Dim(-1) / o.HeadSize() }

// Cache is how many sequences K and V have, and how many positions each.
func (o *Attention) Cache() (sequences, context int) { return cacheSize(o.K, o.Table) }

// Runs is how many runs the tokens are, and how many tokens each has.
func (o *Attention) Runs() (n, each int) {
	each = o.Run
	if each == 0 {
		each = o.Q.Dim(-2)
	}
	return o.Q.Dim(-3) * o.Q.Dim(-2) / each, each
}

func (o *Attention) Check() error {
	batch, time, width := o.Q.Dim(-3), o.Q.Dim(-2), o.Q.Dim(-1)
	kv := o.K.Dim(-1)
	err := first(
		checkHeads("q", width, kv, o.Heads),
		checkScores(o.Scale, o.Window, o.SoftCap),
		wantDType("dst", o.Dst, F32),
		wantDType("q", o.Q, F32),
		wantDType("k", o.K, DTypes(Caches)...),
		wantDType("v", o.V, o.K.DType),
		wantShape("q", o.Q, batch, time, width),
		wantShape("dst", o.Dst, batch, time, width),
		wantShape("k", o.K, o.K.Dim(-3), o.K.Dim(-2), kv),
		wantShape("v", o.V, o.K.Dim(-3), o.K.Dim(-2), kv),
		checkPlaces(o.At, batch*time),
		checkTable("k", o.K, o.Table),
		wantRows("dst", o.Dst),
		wantRows("q", o.Q),
		wantRows("k", o.K),
		wantRows("v", o.V),
	)
	if err == nil && (o.Run < 0 || o.Run > 0 && time%o.Run != 0) {
		err = fmt.Errorf("run is %d, expected a divisor of the %d tokens, or 0 for all of them", o.Run, time)
	}
	if err == nil && !o.Sinks.Absent() {
		err = checkSinks("sinks", o.Sinks, o.Heads)
	}
	_, context := o.Cache()
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
// values, for each key that a query sees where the cache is full. Keys and
// values that no query sees are not read.
func (o *Attention) Cost() (flops, bytes int64) {
	runs, time := o.Runs()
	_, context := o.Cache()
	rows := context
	if o.Window > 0 && o.Window <= rows {
		rows = min(rows, o.Window+time-1)
	}
	return 2 * product(runs, o.Q.Dim(-1), 1) * causalPairs(time, context, o.Window), moved(o, runs*rows*o.K.Dim(-1), "k", "v")
}

// checkHeads reports queries, named name, that are not so many heads, or keys
// that are not heads of the same size whose number divides them.
func checkHeads(name string, width, kv, heads int) error {
	if heads < 1 || width%heads != 0 {
		return fmt.Errorf("%s is %d wide, expected a multiple of its %d heads", name, width, heads)
	}
	if size := width / heads; kv < size || kv%size != 0 || heads%(kv/size) != 0 {
		return fmt.Errorf("k is %d wide, expected heads of %d whose number divides %d", kv, size, heads)
	}
	return nil
}

// checkScores reports numbers from which no scores can be computed.
func checkScores(scale float32, window int, softCap float32) error {
	switch {
	case !(scale > 0) || math.IsInf(float64(scale), 0):
		return fmt.Errorf("scale is %v, expected a finite number above 0, usually 1/√size of a head", scale)
	case window < 0:
		return fmt.Errorf("window is %d, expected the number of rows that a query sees, or 0 for all up to its own", window)
	case !(softCap >= 0) || math.IsInf(float64(softCap), 0):
		return fmt.Errorf("soft-cap is %v, expected a finite number above 0, or 0 for none", softCap)
	}
	return nil
}

// checkSinks reports a tensor that does not have a number for each head.
func checkSinks(name string, t Tensor, heads int) error {
	return first(wantDType(name, t, F32), wantShape(name, t, heads), wantRows(name, t))
}
