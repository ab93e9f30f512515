package inspect

import (
	"context"
	"fmt"
	"math"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
)

// MLPAnswers tell which of the MLP's questions the vector at a position answers most
// strongly. A question is a neuron: a row of the up-projection, and of the gate where
// there is one. The answer is a number of the MLP's hidden layer, by which the neuron's
// column of the down-projection is multiplied, and added to the vector. (Geva et al.
// 2021, "Transformer Feed-Forward Layers Are Key-Value Memories", arXiv:2012.14913, and
// 2022, "… Build Predictions by Promoting Concepts in the Vocabulary Space",
// arXiv:2203.14680)
type MLPAnswers struct {
	Tokens   []Token    `json:"tokens"`   // of the text, up to the position
	Position int        `json:"position"` // whose vector it is
	Neurons  int        `json:"neurons"`  // of each layer
	Gated    bool       `json:"gated"`    // answers are those after the gate
	Layers   []MLPLayer `json:"layers"`   // those that were asked for
}

// MLPLayer is the MLP of one block.
type MLPLayer struct {
	Layer   int         `json:"layer"`
	Length  Float       `json:"length"`  // of the vector that the MLP adds to the stream
	Answers []MLPAnswer `json:"answers"` // the strongest first
}

// MLPAnswer is the answer to one question.
type MLPAnswer struct {
	Neuron int   `json:"neuron"`
	Value  Float `json:"value"`  // the answer: what the neuron's column is multiplied with
	Length Float `json:"length"` // of what it adds to the stream: |value| · ‖column‖
	Share  Float `json:"share"`  // of the lengths of what all neurons add, 0 to 1
	Along  Float `json:"along"`  // of the MLP's output: (value · column) · output / ‖output‖². Those of all neurons, and of the bias if there is one, add up to 1
	Writes
}

// Writes are the tokens whose scores a neuron's column changes most, if its value is above
// 0; a value below 0 does the contrary. Scores are differences of logits but for a
// factor: the last norm divides all by the same number, which depends on the whole
// stream.
type Writes struct {
	Raised  []TokenScore `json:"raised"`  // the most raised first
	Lowered []TokenScore `json:"lowered"` // the most lowered first
}

// TokenScore is a token, and what is added to its score.
type TokenScore struct {
	Token
	Score Float `json:"score"`
}

// MLPOptions say which answers are looked at.
type MLPOptions struct {
	Layer    *int // nil: all
	Position int  // below 0: from the end of the text
	Neurons  int  // how many are listed for each layer, at most 100
	ByLength bool // the strongest are those that add most to the stream; otherwise those of the largest value, whatever its sign
	Tokens   int  // how many raised and lowered ones are listed for each neuron, at most 100
}

// MLPNeuron is how one neuron answers at every position of a text.
type MLPNeuron struct {
	Tokens    []Token `json:"tokens"` // of the text
	Layer     int     `json:"layer"`
	Neuron    int     `json:"neuron"`
	Neurons   int     `json:"neurons"`   // of the layer
	Gated     bool    `json:"gated"`     // answers are those after the gate
	Column    Float   `json:"column"`    // its length
	Values    []Float `json:"values"`    // its answer at each position
	Strongest []int   `json:"strongest"` // positions, that of the largest value first, whatever its sign
	Writes
}

// MLPNeuronOptions say what is told of a neuron.
type MLPNeuronOptions struct {
	Layer, Neuron int
	Positions     int // how many of the strongest are listed, at most 1,000
	Tokens        int // as in MLPOptions
}

const (
	maxNeurons   = 100  // the most that are listed for a layer
	maxTokens    = 100  // the most that are listed for a neuron
	maxPositions = 1000 // the most that are listed for a neuron
)

// MLP has the model read a text up to a position, and tells which questions the vector
// there answered most strongly.
func (in *Inspector) MLP(ctx context.Context, ids []int, o MLPOptions) (*MLPAnswers, error) {
	at, err := in.checkMLP(ids, o)
	if err != nil {
		return nil, err
	}
	m := in.Model
	layers := span(o.Layer, m.Layers)
	var names []string
	for _, l := range layers {
		names = append(names, fmt.Sprintf("blocks.%d.mlp.hidden", l), fmt.Sprintf("blocks.%d.mlp.output", l))
	}
	run, err := in.RunFrom(ctx, ids[:at+1], at, names...)
	if err != nil {
		return nil, err
	}
	a := &MLPAnswers{Position: at, Neurons: m.Inner, Gated: in.gated()}
	for _, id := range ids[:at+1] {
		a.Tokens = append(a.Tokens, in.Token(id))
	}
	for _, l := range layers {
		layer, err := in.answers(ctx, l, run.Value("blocks.%d.mlp.hidden", l).Row(0), run.Value("blocks.%d.mlp.output", l).Row(0), o)
		if err != nil {
			return nil, err
		}
		a.Layers = append(a.Layers, *layer)
	}
	return a, nil
}

func (in *Inspector) checkMLP(ids []int, o MLPOptions) (position int, err error) {
	if err := in.oneMLP(); err != nil {
		return 0, err
	}
	if err := in.Fits(ids); err != nil {
		return 0, err
	}
	if o.Layer != nil {
		if err := in.checkLayer(*o.Layer); err != nil {
			return 0, err
		}
	}
	if err := checkCount(o.Neurons, "neurons of each layer", maxNeurons); err != nil {
		return 0, err
	}
	if err := checkCount(o.Tokens, "tokens of each neuron", maxTokens); err != nil {
		return 0, err
	}
	return checkPosition(o.Position, ids)
}

// oneMLP refuses models whose layers have experts.
func (in *Inspector) oneMLP() error {
	if in.weight(model.Down, 0, 0).Tensor == nil {
		return Userf("a layer of this model (%s) has experts in place of one MLP: which neurons answer differs from token to token, and is not shown", in.Model.Architecture().Title)
	}
	return nil
}

// gated reports whether the MLPs of the model have gates.
func (in *Inspector) gated() bool {
	return in.weight(model.Gate, 0, 0).Tensor != nil || in.weight(model.GateUp, 0, 0).Tensor != nil
}

// answers tells of the answers of a layer, whose sum is output, but for the bias.
func (in *Inspector) answers(ctx context.Context, layer int, values, output []float32, o MLPOptions) (*MLPLayer, error) {
	down := *in.weight(model.Down, 0, layer).Tensor
	norm, err := in.after(model.Down, layer)
	if err != nil {
		return nil, err
	}
	var factors []float64 // of what the neurons write
	if norm != nil {
		written, err := in.multiply(ctx, fmt.Sprintf("blocks.%d.mlp.written", layer), down, values)
		if err != nil {
			return nil, err
		}
		bias, err := in.vector(in.weight(model.Bias, model.Down, layer), 0)
		if err != nil {
			return nil, err
		}
		factors = norm.factors(sumOf(append(widen(written), bias...), len(written)))
	}
	lengths, err := in.columnLengths(ctx, down, factors)
	if err != nil {
		return nil, err
	}
	total := 0.0
	order := make([]float32, len(values))
	for i, v := range values {
		lengths[i] *= math.Abs(float64(v))
		total += lengths[i]
		if order[i] = float32(math.Abs(float64(v))); o.ByLength {
			order[i] = float32(lengths[i])
		}
	}
	neurons := topOf(order, o.Neurons)
	columns, writes, err := in.writes(ctx, layer, down, factors, neurons, o.Tokens)
	if err != nil {
		return nil, err
	}
	out := widen(output)
	l := &MLPLayer{Layer: layer, Length: Float(length(out)), Answers: []MLPAnswer{}}
	for i, u := range neurons {
		column := widen(columns[i*len(out) : (i+1)*len(out)])
		l.Answers = append(l.Answers, MLPAnswer{
			Neuron: u, Value: Float(values[u]), Length: Float(lengths[u]), Share: Float(lengths[u] / total),
			Along: Float(float64(values[u]) * dot(column, out) / dot(out, out)), Writes: writes[i],
		})
	}
	return l, nil
}

// writes returns columns of a layer's down-projection, as rows, and which tokens they
// raise and lower. Each number of a column is multiplied by its factor, if there are any.
func (in *Inspector) writes(ctx context.Context, layer int, down backend.Tensor, factors []float64, neurons []int, tokens int) ([]float32, []Writes, error) {
	columns, err := in.columns(fmt.Sprintf("blocks.%d.mlp.columns", layer), down, neurons)
	if err != nil {
		return nil, nil, err
	}
	if factors != nil {
		times(columns, factors)
	}
	list := make([]Writes, len(neurons))
	for i := range list {
		list[i] = Writes{[]TokenScore{}, []TokenScore{}}
	}
	if tokens == 0 || len(neurons) == 0 {
		return columns, list, nil
	}
	scores, err := in.written(ctx, fmt.Sprintf("blocks.%d.mlp.writes", layer), columns)
	if err != nil {
		return nil, nil, err
	}
	vocab := in.Model.Vocab
	for i := range list {
		row := scores[i*vocab : (i+1)*vocab]
		for _, id := range topOf(row, tokens) {
			list[i].Raised = append(list[i].Raised, TokenScore{in.Token(id), Float(row[id])})
		}
		for j, v := range row {
			row[j] = -v
		}
		for _, id := range topOf(row, tokens) {
			list[i].Lowered = append(list[i].Lowered, TokenScore{in.Token(id), -Float(row[id])})
		}
	}
	return columns, list, nil
}

// MLPNeuron has the model read a text, and tells how one neuron answered at each position.
func (in *Inspector) MLPNeuron(ctx context.Context, ids []int, o MLPNeuronOptions) (*MLPNeuron, error) {
	if err := in.Fits(ids); err != nil {
		return nil, err
	}
	if err := in.oneMLP(); err != nil {
		return nil, err
	}
	if err := in.checkLayer(o.Layer); err != nil {
		return nil, err
	}
	if o.Neuron < 0 || o.Neuron >= in.Model.Inner {
		return nil, Userf("neuron %d: the MLP of this model has neurons 0 to %d", o.Neuron, in.Model.Inner-1)
	}
	if err := checkCount(o.Positions, "positions", maxPositions); err != nil {
		return nil, err
	}
	if err := checkCount(o.Tokens, "tokens", maxTokens); err != nil {
		return nil, err
	}
	s, err := in.sessionFor(len(ids))
	if err != nil {
		return nil, err
	}
	u := &MLPNeuron{Layer: o.Layer, Neuron: o.Neuron, Neurons: in.Model.Inner, Gated: in.gated(), Strongest: []int{}}
	name := fmt.Sprintf("blocks.%d.mlp.hidden", o.Layer)
	var order []float32
	s.Reset()
	s.Watch(name)
	if err := in.feed(ctx, s, ids, gpt.MaxChunk, func(_, n int) error {
		values, err := in.fetch(nil, s.Seen(name).Slice(2, 0, n).Slice(3, o.Neuron, o.Neuron+1))
		for _, v := range values {
			u.Values = append(u.Values, Float(v))
			order = append(order, float32(math.Abs(float64(v))))
		}
		return err
	}); err != nil {
		return nil, err
	}
	for _, id := range ids {
		u.Tokens = append(u.Tokens, in.Token(id))
	}
	u.Strongest = append(u.Strongest, topOf(order, o.Positions)...)
	down := *in.weight(model.Down, 0, o.Layer).Tensor
	norm, err := in.after(model.Down, o.Layer)
	if err != nil {
		return nil, err
	}
	var gain []float64 // what the norm divides by differs from position to position
	if norm != nil {
		gain = norm.gain
	}
	columns, writes, err := in.writes(ctx, o.Layer, down, gain, []int{o.Neuron}, o.Tokens)
	if err != nil {
		return nil, err
	}
	u.Column, u.Writes = Float(length(columns)), writes[0]
	return u, nil
}
