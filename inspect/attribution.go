package inspect

import (
	"context"
	"fmt"
	"math"
	"slices"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/nn"
)

// Attribution is direct logit attribution: what each part of the model added to the
// score (logit) of a token (Elhage et al. 2021, "A Mathematical Framework for
// Transformer Circuits"). The vector before the last norm is a sum: the embeddings, and
// what each block added. The norm divides it by a number, Scale, that depends on all of
// it. With that number as it was in this run, the norm is linear, and so the score is a
// sum of what each part is worth: a vector c is worth
//
//	(c − mean(c)) / Scale · gain · unembedding[token]
//
// (RMSNorm subtracts no mean). The rows add up to the score, but for rounding. A norm of
// what attention writes is taken for linear likewise. Where scores are bounded by a
// soft-cap, they are taken apart as they are before that.
type Attribution struct {
	Position int              `json:"position"`
	Token    Token            `json:"token"`   // whose score it is
	Against  *Token           `json:"against"` // if not null, the rows are of the difference: score of Token − score of Against
	Scale    Float            `json:"scale"`   // √(variance + ε) of the last stream, or √(mean square + ε) for RMSNorm
	Rows     []AttributionRow `json:"rows"`
	Sum      Float            `json:"sum"`   // of the rows
	Score    Float            `json:"score"` // as the model computed it, before a soft-cap
}

// AttributionRow is a part of the model, and what it added to the score.
type AttributionRow struct {
	Part  string  `json:"part"`            // one of the Part constants
	Block int     `json:"block"`           // of which block; -1: of none
	Score Float   `json:"score"`           // of "attention" the sum of its heads
	Heads []Float `json:"heads,omitempty"` // of "attention": what each head added
}

// The parts of a model that add to the stream, and so to scores.
const (
	PartToken         = "token embedding"
	PartPosition      = "position embedding" // of models that have such
	PartAttention     = "attention"          // without its output bias
	PartAttentionBias = "attention bias"     // of its output
	PartMLP           = "mlp"                // without its output bias
	PartMLPBias       = "mlp bias"           // of its output
	PartShift         = "shift"              // of the last norm, where that is a LayerNorm

	// PartRounding is there only if products with quantised weights round what they
	// multiply: what is left of the score when all others are taken off.
	PartRounding = "rounding"
)

// AttributionOptions say which score is taken apart.
type AttributionOptions struct {
	Position int // below 0: from the end of the text
	Token    int // below 0: the one that the model holds for the likeliest next token
	Against  int // below 0: none
}

// Attribution reads a text up to a position and takes a score there apart.
func (in *Inspector) Attribution(ctx context.Context, ids []int, o AttributionOptions) (*Attribution, error) {
	if err := in.Fits(ids); err != nil {
		return nil, err
	}
	at, err := checkPosition(o.Position, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range []int{o.Token, o.Against} {
		if err := in.checkToken(id); err != nil {
			return nil, err
		}
	}
	last := fmt.Sprintf("hidden.%d", in.Model.Layers)
	run, err := in.RunFrom(ctx, ids[:at+1], at, "hidden.0", last, "blocks.*.attention.heads", "blocks.*.mlp.output")
	if err != nil {
		return nil, err
	}
	a := &Attribution{Position: at, Rows: []AttributionRow{}}
	x := run.Value("%s", last).Row(0)
	token := o.Token
	if err := in.Scores(ctx, x, func(_ int, scores []float32) error {
		if token < 0 {
			token = topOf(scores, 1)[0]
		}
		if a.Score = in.uncapped(scores[token]); o.Against >= 0 {
			a.Score -= in.uncapped(scores[o.Against])
		}
		return nil
	}); err != nil {
		return nil, err
	}
	a.Token = in.Token(token)
	if o.Against >= 0 {
		against := in.Token(o.Against)
		a.Against = &against
	}
	d, err := in.direction(x, token, o.Against)
	if err != nil {
		return nil, err
	}
	a.Scale = Float(d.scale)
	if err := in.attribute(a, run, at, d); err != nil {
		return nil, err
	}
	for _, r := range a.Rows {
		a.Sum += r.Score
	}
	if in.rounds() {
		a.Rows = append(a.Rows, AttributionRow{Part: PartRounding, Block: -1, Score: a.Score - a.Sum})
		a.Sum = a.Score
	}
	return a, nil
}

// uncapped is a score as it was before the soft-cap of the model, if it has one.
func (in *Inspector) uncapped(score float32) Float {
	cap := float64(in.Model.SoftCap())
	if cap == 0 {
		return Float(score)
	}
	return Float(cap * math.Atanh(float64(score)/cap))
}

// rounds reports whether products of the model round what they multiply.
func (in *Inspector) rounds() bool {
	return in.Model.Rounding().Quantized() && slices.ContainsFunc(in.Model.Weights(), func(w model.Weight) bool { return w.Tensor.DType.Quantized() })
}

// attribute adds the rows to a.
func (in *Inspector) attribute(a *Attribution, run *Run, at int, d *direction) error {
	add := func(part string, block int, x []float64) {
		a.Rows = append(a.Rows, AttributionRow{Part: part, Block: block, Score: Float(d.worth(x))})
	}
	token := widen(run.Value("hidden.0").Row(0))
	position, err := in.vector(in.weight(model.Positions, 0, 0), at)
	if err != nil {
		return err
	}
	add(PartToken, -1, less(token, position))
	if position != nil {
		add(PartPosition, -1, position)
	}
	for i := range in.Model.Layers {
		heads, err := in.headOutputs(i, run.Value("blocks.%d.attention.heads", i).Row(0))
		if err != nil {
			return err
		}
		bias, err := in.vector(in.weight(model.Bias, model.Output, i), 0)
		if err != nil {
			return err
		}
		norm, err := in.after(model.Output, i)
		if err != nil {
			return err
		}
		if norm != nil {
			factors := norm.factors(sumOf(append(widen(heads), bias...), in.Model.Width))
			times(heads, factors)
			times(bias, factors)
		}
		row := AttributionRow{Part: PartAttention, Block: i}
		for h := range in.Model.Heads {
			worth := Float(d.worth(widen(heads[h*in.Model.Width : (h+1)*in.Model.Width])))
			row.Heads = append(row.Heads, worth)
			row.Score += worth
		}
		a.Rows = append(a.Rows, row)
		if bias != nil {
			add(PartAttentionBias, i, bias)
		}
		if bias, err = in.vector(in.weight(model.Bias, model.Down, i), 0); err != nil {
			return err
		}
		add(PartMLP, i, less(widen(run.Value("blocks.%d.mlp.output", i).Row(0)), bias))
		if bias != nil {
			add(PartMLPBias, i, bias)
		}
	}
	if d.shift != nil {
		a.Rows = append(a.Rows, AttributionRow{Part: PartShift, Block: -1, Score: Float(dot(d.shift, d.unembedding))})
	}
	return nil
}

// direction is what a vector of the stream is multiplied with to tell what it is worth.
type direction struct {
	unembedding []float64 // row of the token, less that of the one it is compared with
	shift       []float64 // of the last norm, or nil
	scale       float64
	d           []float64
}

// worth is what x adds to the score.
func (d *direction) worth(x []float64) float64 { return dot(x, d.d) }

// direction returns the direction at x, the vector before the last norm.
func (in *Inspector) direction(x []float32, token, against int) (*direction, error) {
	norm := in.Model.Final()
	head := model.Head(in.Model).W
	row, err := in.row(head, token)
	if err != nil {
		return nil, err
	}
	if against >= 0 {
		other, err := in.row(head, against)
		if err != nil {
			return nil, err
		}
		row = less(row, other)
	}
	gain, err := in.row(norm.Gamma, 0)
	if err != nil {
		return nil, err
	}
	d := &direction{unembedding: row, d: make([]float64, len(row))}
	centred := widen(x)
	if !norm.RMS {
		if d.shift, err = in.row(norm.Beta, 0); err != nil {
			return nil, err
		}
		centre(centred)
	}
	d.scale = math.Sqrt(dot(centred, centred)/float64(len(x)) + float64(norm.Epsilon))
	for i, g := range gain {
		d.d[i] = g * row[i] / d.scale
	}
	if !norm.RMS { // (c − mean(c)) · v is c · (v − mean(v))
		centre(d.d)
	}
	return d, nil
}

// headOutputs are what each head of block i writes to the stream, [heads, width]: the
// output matrix times a vector that has what that head has gathered, and 0 for others.
// The model's own product multiplies them, whatever type its matrix has.
func (in *Inspector) headOutputs(i int, gathered []float32) ([]float32, error) {
	m := in.Model
	apart := make([]float32, m.Heads*len(gathered))
	for h := range m.Heads {
		from, to := h*m.HeadSize, (h+1)*m.HeadSize
		copy(apart[h*len(gathered)+from:], gathered[from:to])
	}
	x, err := backend.New(m.Backend, backend.F32, 1, m.Heads, len(gathered))
	if err != nil {
		return nil, err
	}
	defer x.Buf.Free()
	if err := backend.SetF32(m.Backend, x, apart); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("blocks.%d.attention.parts", i)
	t := m.Tape()
	t.Watch(func(string) bool { return true })
	y := t.Name(t.Linear(nn.Linear{W: *in.weight(model.Output, 0, i).Tensor}, x), "%s", name)
	p, err := t.Record()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := in.measure(p.Run, func() []string { return []string{name} }, p.Writers); err != nil {
		return nil, err
	}
	out := make([]float32, m.Heads*m.Width)
	return out, backend.GetF32(m.Backend, p.Tensor(y), out)
}

// weight is the row of the model's weight table of that role in the block; its Tensor is
// nil if the model has none. of is the matrix that a bias belongs to.
func (in *Inspector) weight(role, of model.Role, block int) model.Weight {
	for _, w := range in.Model.Weights() {
		if w.Role == role && w.Block == block && (role != model.Bias || w.Of == of) && w.Experts() == 0 {
			return w
		}
	}
	return model.Weight{}
}

// vector is row i of a weight; nil if the model does not have it.
func (in *Inspector) vector(w model.Weight, i int) ([]float64, error) {
	if w.Tensor == nil {
		return nil, nil
	}
	return in.row(*w.Tensor, i)
}

// row is row i of a matrix whose rows lie one after the other, or of a vector.
func (in *Inspector) row(x backend.Tensor, i int) ([]float64, error) {
	values := make([]float32, x.Dim(-1))
	if err := backend.GetF32(in.Model.Backend, x.Slice(-2, i, i+1), values); err != nil {
		return nil, err
	}
	return widen(values), nil
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// less is x − y; y may be nil.
func less(x, y []float64) []float64 {
	for i, v := range y {
		x[i] -= v
	}
	return x
}

func dot(x, y []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

// centre subtracts the mean of x from each element.
func centre(x []float64) {
	mean := 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for i := range x {
		x[i] -= mean
	}
}
