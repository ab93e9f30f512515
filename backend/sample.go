package backend

import (
	"fmt"
	"math"
)

// Sample draws a token from each row of logits: repeat penalty, top-k, top-p, min-p and
// temperature, in the order of llama.cpp. Whatever decides is an integer, so equal logits
// give equal tokens on every backend.
//
// What a row draws for is a slot: a sequence with its own settings, tokens that it never
// draws, recent tokens, and count of draws. Slots[r] is the slot of row r; a row that has
// none, or one outside of 0 to slots−1, draws nothing and its words are 0. No two rows may
// have the same slot.
//
// For the logits x of a row, without those of barred tokens and of −∞:
//
//	key     = SampleKey(x), for tokens of the window SamplePenalty of that
//	d       = SampleDistance(the largest key, key)
//	weight  = SampleWeight(d), of which 2⁴⁰ is that of the largest
//	order   = larger key first; of equal keys the lower id
//	top-k   keeps the first k in that order
//	top-p   keeps a token if the weights of those before it add up to less than
//	        ⌈p · total⌉; total is of those that top-k keeps
//	min-p   keeps a token if d ≤ −ln p
//	drawn   = the first token, in the order of ids, where the sum of SampleWeight(d / T)
//	        of the kept tokens up to it is above SampleRandom(seed, draws) · sum of all / 2⁶⁴
//
// or without a temperature the first token of the order. A token that is drawn is added to
// the slot's window, its count of draws goes up by one, and the token is written to
// Next[r]. In any other case the slot and Next[r] stay as they are.
//
// Candidates are the tokens of the first cells, [SampleCell] of their d: as many cells as
// have together up to 1,024 tokens. The status is TooMany where these are not enough to
// know what is kept: not all tokens, nor the first k, nor all with d ≤ −ln p, nor as many
// as top-p keeps. The host draws then, by the same rules.
type Sample struct {
	Dst      Tensor // [rows, SampleWords] i32: see [SampleResult]
	Next     Tensor // [rows] i32
	X        Tensor // [rows, n] f32, n up to 2²⁰
	Slots    Tensor // [rows] i32
	Settings Tensor // [slots, SampleSettingWords] i32: see [SampleSettings]
	Marks    Tensor // [slots, 2, ⌈n/32⌉] i32: bit i of the first row: token i is barred; of the second: it is in the window
	Recent   Tensor // [slots, 2 + window] i32: how often was drawn; tokens of the window so far; the latest of them, token j at j mod Window
}

// Lengths of the rows of Sample's operands.
const (
	SampleWords        = 8
	SampleSettingWords = 12
	MaxSampleVocab     = 1 << 20
	MaxCandidates      = 1024
	SampleCells        = 512
)

func (*Sample) Name() string { return "sample" }

func (o *Sample) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("next", &o.Next, Update)
	yield("x", &o.X, Read)
	yield("slots", &o.Slots, Read)
	yield("settings", &o.Settings, Read)
	yield("marks", &o.Marks, Update)
	yield("recent", &o.Recent, Update)
}

func (o *Sample) Check() error {
	rows, n, slots := o.X.Dim(-2), o.X.Dim(-1), o.Settings.Dim(-2)
	if n > MaxSampleVocab {
		return fmt.Errorf("x has rows of %d logits, expected at most %d", n, MaxSampleVocab)
	}
	if o.Recent.Dim(-1) < 2 {
		return fmt.Errorf("recent has rows of %d words, expected at least 2", o.Recent.Dim(-1))
	}
	return first(
		wantDType("dst", o.Dst, I32),
		wantDType("next", o.Next, I32),
		wantDType("x", o.X, F32),
		wantDType("slots", o.Slots, I32),
		wantDType("settings", o.Settings, I32),
		wantDType("marks", o.Marks, I32),
		wantDType("recent", o.Recent, I32),
		wantShape("x", o.X, rows, n),
		wantShape("dst", o.Dst, rows, SampleWords),
		wantShape("next", o.Next, rows),
		wantShape("slots", o.Slots, rows),
		wantShape("settings", o.Settings, slots, SampleSettingWords),
		wantShape("marks", o.Marks, slots, 2, (n+31)/32),
		wantShape("recent", o.Recent, slots, o.Recent.Dim(-1)),
		wantRows("dst", o.Dst), wantRows("next", o.Next), wantRows("x", o.X), wantRows("slots", o.Slots),
		wantRows("settings", o.Settings), wantRows("marks", o.Marks), wantRows("recent", o.Recent),
	)
}

// Cost counts one read of the logits.
func (o *Sample) Cost() (flops, bytes int64) {
	return 0, moved(o, min(o.Recent.Len(), 2*o.X.Dim(-2)), "recent")
}

// SampleStatus says what became of a row.
type SampleStatus int32

const (
	SampleDrawn     SampleStatus = iota // a token was drawn
	SampleTooMany                       // more candidates than fit: the host is to draw
	SampleNotFinite                     // a logit is NaN or +∞: ID and Logit are those of the first
	SampleNone                          // all logits are −∞, or their tokens barred
)

// SampleResult is what a row of Dst says.
type SampleResult struct {
	ID     int32
	Status SampleStatus
	Best   float32 // the largest logit, without a penalty
	Logit  float32 // that of the token, without a penalty
	Total  uint64  // the sum of the weights of all logits without a penalty
	Kept   int32   // how many tokens the filters kept
	Draws  int32   // of the slot, with this one
}

// Words is the result as a row of Dst has it. All NaN are one.
func (r SampleResult) Words() [SampleWords]int32 {
	if r.Logit != r.Logit {
		r.Logit = math.Float32frombits(0x7fc00000)
	}
	return [SampleWords]int32{r.ID, int32(r.Status), int32(math.Float32bits(r.Best)), int32(math.Float32bits(r.Logit)),
		int32(uint32(r.Total)), int32(uint32(r.Total >> 32)), r.Kept, r.Draws}
}

// ReadSampleResult reads what Words has written. len(w) is at least SampleWords.
func ReadSampleResult(w []int32) SampleResult {
	return SampleResult{
		ID: w[0], Status: SampleStatus(w[1]),
		Best: math.Float32frombits(uint32(w[2])), Logit: math.Float32frombits(uint32(w[3])),
		Total: uint64(uint32(w[4])) | uint64(uint32(w[5]))<<32, Kept: w[6], Draws: w[7],
	}
}

// LogProb is the natural logarithm of the probability of the token, in the softmax of the
// logits without those of barred tokens. Its error is below 10⁻⁶.
func (r SampleResult) LogProb() float64 {
	return float64(r.Logit) - float64(r.Best) - math.Log(float64(r.Total)/(1<<sampleBits))
}

// SampleSettings are those of a slot, as a row of Settings has them.
type SampleSettings struct {
	Seed    uint64
	TopP    uint64  // p · 2⁶⁴, rounded up; 0: off
	TopK    uint32  // 0: off
	MinP    float32 // −ln p; +∞: off
	Scale   float32 // 1/temperature
	Greedy  bool    // no temperature: Scale is not used
	Penalty float32 // by which a logit that is not above 0 is multiplied
	Inverse float32 // by which one above 0 is multiplied: 1/Penalty
	Window  int32   // how many tokens back the penalty looks; −1: all; 0: off. Up to what Recent has room for
}

// NewSampleSettings rounds settings to what a slot holds. Off are topK 0, topP 1, minP 0,
// penalty 1 and window 0; temperature 0 is greedy.
func NewSampleSettings(temperature float64, topK int, topP, minP, penalty float64, window int, seed uint64) SampleSettings {
	s := SampleSettings{Seed: seed, TopK: uint32(min(topK, MaxSampleVocab)), MinP: float32(-math.Log(minP)), Greedy: temperature == 0,
		Scale: float32(1 / temperature), Penalty: between(penalty), Inverse: between(1 / penalty), Window: int32(min(window, math.MaxInt32))}
	if topP < 1 {
		s.TopP = uint64(math.Ceil(topP * 0x1p64))
	}
	s.MinP = normal(max(s.MinP, 0))
	if s.Scale = normal(s.Scale); s.Scale > math.MaxFloat32 || s.Greedy {
		s.Scale = math.MaxFloat32
	}
	if penalty == 1 {
		s.Window = 0
	}
	return s
}

// between is the positive number v in f32, neither too small nor too large for that.
func between(v float64) float32 { return float32(max(minNormal, min(v, math.MaxFloat32))) }

// Words is the settings as a row of Settings has them.
func (s SampleSettings) Words() [SampleSettingWords]int32 {
	var greedy int32
	if s.Greedy {
		greedy = 1
	}
	f := func(v float32) int32 { return int32(math.Float32bits(v)) }
	return [SampleSettingWords]int32{int32(uint32(s.Seed)), int32(uint32(s.Seed >> 32)), int32(uint32(s.TopP)), int32(uint32(s.TopP >> 32)),
		int32(s.TopK), f(s.MinP), f(s.Scale), greedy, f(s.Penalty), f(s.Inverse), s.Window, 0}
}

// ReadSampleSettings reads what Words has written.
func ReadSampleSettings(w []int32) SampleSettings {
	f := func(v int32) float32 { return math.Float32frombits(uint32(v)) }
	return SampleSettings{
		Seed: uint64(uint32(w[0])) | uint64(uint32(w[1]))<<32, TopP: uint64(uint32(w[2])) | uint64(uint32(w[3]))<<32,
		TopK: uint32(w[4]), MinP: f(w[5]), Scale: f(w[6]), Greedy: w[7] != 0, Penalty: f(w[8]), Inverse: f(w[9]), Window: w[10],
	}
}
