package inspect

import (
	"slices"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
)

// Tally counts the weights of a model by kind of matrix, as the story of a GPT does,
// and what that leaves out.
type Tally struct {
	Shape Shape       `json:"shape"`
	Kinds []TallyKind `json:"kinds"`

	Matrices int   `json:"matrices"` // of all kinds
	Weights  int64 `json:"weights"`  // in them

	LeftOut    []TallyRest `json:"left_out"`   // what the kinds do not count
	Parameters int64       `json:"parameters"` // all numbers that are learned
	Active     int64       `json:"active"`     // of these, those that a token is computed with, where that is by some of several experts; else 0

	Bytes []DTypeBytes `json:"bytes"` // of all parameters

	CacheContext int          `json:"cache_context"` // positions of a text
	CacheBytes   []DTypeBytes `json:"cache_bytes"`   // of its keys and values
}

// Shape is the shape of a model.
type Shape struct {
	Family   string `json:"family"`
	Layers   int    `json:"layers"`
	Heads    int    `json:"heads"`
	KVHeads  int    `json:"kv_heads"`
	HeadSize int    `json:"head_size"`
	Width    int    `json:"width"`
	Inner    int    `json:"inner"` // of the MLP
	Context  int    `json:"context"`
	Vocab    int    `json:"vocab"`
	Tied     bool   `json:"tied"` // the unembedding is the embedding
}

// TallyKind is one kind of matrix.
type TallyKind struct {
	Kind     string       `json:"kind"`
	Matrices int          `json:"matrices"`
	Rows     int          `json:"rows"` // of each matrix
	Cols     int          `json:"cols"`
	Weights  int64        `json:"weights"` // of all its matrices
	Share    Float        `json:"share"`   // of the weights of all kinds, 0 to 1
	Total    int64        `json:"total"`   // of this kind and those before
	Bytes    []DTypeBytes `json:"bytes"`
}

// TallyRest is a number of weights that the kinds do not count, or, below 0, that they
// count twice.
type TallyRest struct {
	What    string `json:"what"`
	Tensors int    `json:"tensors"`
	Weights int64  `json:"weights"`
}

// DTypeBytes is how many bytes weights, or keys and values, take that are stored as a dtype.
type DTypeBytes struct {
	DType string `json:"dtype"`
	Bytes int64  `json:"bytes"`
}

// ShapeOf is the shape of a model.
func ShapeOf(c model.Config) Shape {
	return Shape{c.Family, c.Layers, c.Heads, c.KVHeads, c.HeadSize, c.Width, c.Inner, c.Context, c.Vocab, c.TieEmbeddings}
}

// NewTally counts the weights of a model of a valid shape, and the keys and values of a text of so many tokens, which the
// model can read. The unembedding is counted as a matrix also where it is the embedding, as the last of LeftOut then tells.
func NewTally(c model.Config, context int) *Tally {
	c = c.Complete()
	t := &Tally{Shape: ShapeOf(c), Parameters: int64(c.Parameters())}
	if slices.ContainsFunc(c.Architecture().Network(c, model.HuggingFace).Weights(), func(w model.Weight) bool { return w.Experts() > 0 }) {
		t.Active = c.Active()
	}
	apart := c
	apart.TieEmbeddings = false
	for _, m := range apart.Matrices() {
		t.Matrices += m.Count
		t.Weights += int64(m.Weights())
		k := TallyKind{Kind: m.Kind, Matrices: m.Count, Rows: m.Rows, Cols: m.Cols, Weights: int64(m.Weights()), Total: t.Weights}
		inputs := m.Cols
		if m.Kind == "Embedding" { // a column a token here, a row a token in memory
			inputs = m.Rows
		}
		for _, d := range backend.DTypes(backend.Weights) {
			if m.Kind == "Router" && d.Quantized() {
				k.Bytes = append(k.Bytes, DTypeBytes{d.String(), bytesAs(backend.F32, k.Weights, inputs)})
				continue
			}
			k.Bytes = append(k.Bytes, DTypeBytes{d.String(), bytesAs(d, k.Weights, inputs)})
		}
		t.Kinds = append(t.Kinds, k)
	}
	t.CacheContext = context
	for _, d := range backend.DTypes(backend.Caches) {
		t.CacheBytes = append(t.CacheBytes, DTypeBytes{d.String(), gpt.CacheBytes(c, context, d)})
	}
	for i := range t.Kinds {
		t.Kinds[i].Share = Float(float64(t.Kinds[i].Weights) / float64(t.Weights))
	}
	t.rest(c)
	for i, d := range backend.DTypes(backend.Weights) {
		sum := DTypeBytes{DType: d.String()}
		for _, k := range t.Kinds {
			if !c.TieEmbeddings || k.Kind != "Unembedding" {
				sum.Bytes += k.Bytes[i].Bytes
			}
		}
		for _, r := range t.LeftOut {
			switch {
			case r.Weights < 0: // it is not counted above
			case r.What == positions && !d.Quantized():
				sum.Bytes += bytesAs(d, r.Weights, 1)
			default:
				sum.Bytes += bytesAs(backend.F32, r.Weights, 1)
			}
		}
		t.Bytes = append(t.Bytes, sum)
	}
	return t
}

// What the kinds leave out.
const (
	positions = "position embedding"
	norms     = "scales and shifts of norms"
	biases    = "biases"
	sinks     = "sinks of attention"
	tiedHead  = "unembedding, which is the embedding"
)

// rest adds what the kinds leave out.
func (t *Tally) rest(c model.Config) {
	what := map[model.Role]string{model.Positions: positions, model.Norm: norms, model.Bias: biases, model.Sinks: sinks}
	for _, w := range c.Architecture().Network(c, model.HuggingFace).Weights() {
		name := what[w.Role]
		if name == "" {
			continue
		}
		i := slices.IndexFunc(t.LeftOut, func(r TallyRest) bool { return r.What == name })
		if i < 0 {
			i = len(t.LeftOut)
			t.LeftOut = append(t.LeftOut, TallyRest{What: name})
		}
		t.LeftOut[i].Tensors++
		n := int64(1)
		for _, d := range w.Shape {
			n *= int64(d)
		}
		t.LeftOut[i].Weights += n
	}
	if c.TieEmbeddings {
		t.LeftOut = append(t.LeftOut, TallyRest{tiedHead, -1, -int64(c.Vocab) * int64(c.Width)})
	}
}

// bytesAs is how many bytes n weights take in memory as dtype d, or as what stands for it in
// rows of so many inputs.
func bytesAs(d backend.DType, n int64, inputs int) int64 {
	d = d.Fitting(inputs)
	return n / int64(d.BlockLen()) * int64(d.BlockBytes())
}
