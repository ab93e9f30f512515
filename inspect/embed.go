package inspect

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"caldera/backend"
	"caldera/gpt/model"
)

// Embed tells which vectors a model has for words.
type Embed struct {
	Matrix string `json:"matrix"` // that the vectors are rows of: "embedding" or "unembedding"
	Tied   bool   `json:"tied"`   // both are one matrix
	Vocab  int    `json:"vocab"`
	Width  int    `json:"width"`

	Words     []*EmbedWord    `json:"words"`     // those asked for, then those of the sum
	Cosines   [][]Float       `json:"cosines"`   // of each two of Words
	Sum       *EmbedSum       `json:"sum"`       // null if none was asked for
	Direction *EmbedDirection `json:"direction"` // likewise
	Map       *EmbedMap       `json:"map"`       // null if there are fewer than two points, or a vector is not finite
}

// Neighbour is a token, and how near its vector is.
type Neighbour struct {
	Token
	Cosine Float `json:"cosine"` // of the angle between both vectors: x·y / (‖x‖·‖y‖)
	Rank   int   `json:"rank"`   // among all tokens: 1 is the nearest
}

// EmbedSum is a sum and difference of words' vectors, and which tokens are near to it:
// E(king) − E(man) + E(woman) is the direction from man to woman, applied to king.
// (Mikolov, Yih and Zweig 2013, "Linguistic Regularities in Continuous Space Word
// Representations", which leaves out the words of the sum, as Nearest does. There
// vectors have length 1; here they are as the model has them.)
type EmbedSum struct {
	Terms    []EmbedTerm `json:"terms"`
	Norm     Float       `json:"norm"`
	Vector   []Float     `json:"vector"`
	Nearest  []Neighbour `json:"nearest"`  // without the tokens of the words
	Excluded []Neighbour `json:"excluded"` // the tokens of the words, which are often the nearest

	vector []float64
}

// EmbedDirection is the direction from one word to another, and how far words lie along
// it.
type EmbedDirection struct {
	From        *EmbedWord        `json:"from"`
	To          *EmbedWord        `json:"to"`
	Norm        Float             `json:"norm"` // of E(to) − E(from)
	Nearest     []Neighbour       `json:"nearest"`
	Projections []EmbedProjection `json:"projections"` // of Words
}

// EmbedProjection is a word's vector x projected on a direction d = E(to) − E(from).
type EmbedProjection struct {
	Word   string `json:"word"`   // as it was asked for
	Length Float  `json:"length"` // x·d / ‖d‖
	Share  Float  `json:"share"`  // of the way: 0 where E(from) is, 1 where E(to) is
	Cosine Float  `json:"cosine"` // of the angle between x and d
}

// EmbedOptions say what Embed tells.
type EmbedOptions struct {
	Matrix  string      // "embedding", which "" stands for, or "unembedding"
	Mean    bool        // of a word of several tokens take their mean, not the last one
	Nearest int         // how many tokens that are near, 0 to 100
	Sum     []EmbedTerm // add these up: see ParseSum
	On      []string    // two words: project all others on the direction from the first to the second
}

func (o EmbedOptions) check(words []string) error {
	switch n := len(words) + len(o.Sum) + len(o.On); {
	case len(words)+len(o.Sum) == 0:
		return Userf("no word is given: expected one or more")
	case n > maxWords:
		return Userf("%d words: expected at most %d", n, maxWords)
	case o.Nearest < 0 || o.Nearest > maxNearest:
		return Userf("nearest %d: expected 0 to %d tokens", o.Nearest, maxNearest)
	case len(o.On) != 0 && len(o.On) != 2:
		return Userf("on %d words: expected two, such as he,she", len(o.On))
	}
	return nil
}

// Embed tells which vectors a model has for words, before it reads any: rows of its
// embedding, or of its unembedding.
func (in *Inspector) Embed(ctx context.Context, words []string, o EmbedOptions) (*Embed, error) {
	if err := o.check(words); err != nil {
		return nil, err
	}
	e := &Embed{Matrix: cmp.Or(o.Matrix, "embedding"), Tied: in.Model.TieEmbeddings, Vocab: in.Model.Vocab, Width: in.Model.Width, Words: []*EmbedWord{}}
	x := vectors{in: in, name: e.Matrix}
	switch e.Matrix {
	case "embedding":
		x.Tensor = *in.weight(model.Embedding, 0, 0).Tensor
	case "unembedding":
		x.Tensor = model.Head(in.Model).W
	default:
		return nil, Userf("matrix %q: expected embedding or unembedding", o.Matrix)
	}
	add := func(given string) error {
		if slices.ContainsFunc(e.Words, func(w *EmbedWord) bool { return w.Given == given }) {
			return nil
		}
		w, err := x.word(given, o.Mean)
		e.Words = append(e.Words, w)
		return err
	}
	for _, w := range words {
		if err := add(w); err != nil {
			return nil, err
		}
	}
	for _, t := range o.Sum {
		if err := add(t.Word); err != nil {
			return nil, err
		}
	}
	if err := e.sum(o); err != nil {
		return nil, err
	}
	if err := e.direction(&x, o); err != nil {
		return nil, err
	}
	if err := e.near(ctx, &x, o.Nearest); err != nil {
		return nil, err
	}
	for _, a := range e.Words {
		row := make([]Float, 0, len(e.Words))
		for _, b := range e.Words {
			row = append(row, cosine(a.vector, b.vector))
		}
		e.Cosines = append(e.Cosines, row)
	}
	return e, e.draw(&x)
}

// find is the word that was asked for as given.
func (e *Embed) find(given string) *EmbedWord {
	return e.Words[slices.IndexFunc(e.Words, func(w *EmbedWord) bool { return w.Given == given })]
}

// sum adds the terms up.
func (e *Embed) sum(o EmbedOptions) error {
	if len(o.Sum) == 0 {
		return nil
	}
	s := &EmbedSum{Terms: o.Sum, vector: make([]float64, e.Width)}
	for _, t := range o.Sum {
		for i, v := range e.find(t.Word).vector {
			s.vector[i] += float64(t.Sign) * v
		}
	}
	if s.Norm, s.Vector = Float(length(s.vector)), Floats(s.vector); s.Norm == 0 {
		return Userf("the words of the sum cancel out: what is left is the vector of zeros, which has no direction")
	}
	e.Sum = s
	return nil
}

// direction projects the words.
func (e *Embed) direction(x *vectors, o EmbedOptions) error {
	if len(o.On) == 0 {
		return nil
	}
	d := &EmbedDirection{Projections: []EmbedProjection{}}
	var err error
	if d.From, err = x.word(o.On[0], o.Mean); err != nil {
		return err
	}
	if d.To, err = x.word(o.On[1], o.Mean); err != nil {
		return err
	}
	way := d.way()
	norm := length(way)
	if d.Norm = Float(norm); norm == 0 {
		return Userf("%q and %q have the same vector: there is no direction from one to the other", o.On[0], o.On[1])
	}
	for _, w := range e.Words {
		along := dot(w.vector, way)
		d.Projections = append(d.Projections, EmbedProjection{
			w.Given, Float(along / norm), Float((along - dot(d.From.vector, way)) / (norm * norm)), cosine(w.vector, way),
		})
	}
	e.Direction = d
	return nil
}

// way is E(to) − E(from).
func (d *EmbedDirection) way() []float64 { return less(slices.Clone(d.To.vector), d.From.vector) }

// near finds the tokens that are near to the words, the sum and the direction.
func (e *Embed) near(ctx context.Context, x *vectors, n int) error {
	var of [][]float64
	for _, w := range e.Words {
		of = append(of, w.vector)
	}
	if e.Sum != nil {
		of = append(of, e.Sum.vector)
	}
	if e.Direction != nil {
		of = append(of, e.Direction.way())
	}
	if n == 0 && e.Sum == nil {
		return nil
	}
	cosines, err := x.cosines(ctx, of)
	if err != nil {
		return err
	}
	for i, w := range e.Words {
		w.Nearest, _ = x.nearest(cosines[i], n, w.taken())
	}
	cosines = cosines[len(e.Words):]
	if e.Sum != nil {
		var own []Token
		for _, t := range e.Sum.Terms {
			own = append(own, e.find(t.Word).taken()...)
		}
		e.Sum.Nearest, e.Sum.Excluded = x.nearest(cosines[0], n, own)
		cosines = cosines[1:]
	}
	if e.Direction != nil {
		e.Direction.Nearest, _ = x.nearest(cosines[0], n, nil)
	}
	return nil
}

// vectors are the rows of a matrix, [vocab, width], one for each token.
type vectors struct {
	backend.Tensor
	in   *Inspector
	name string
}

// word finds the vector of a word.
func (x *vectors) word(given string, mean bool) (*EmbedWord, error) {
	w, err := x.in.word(given, mean)
	if err != nil {
		return nil, err
	}
	taken := w.taken()
	w.vector = make([]float64, x.Dim(-1))
	for _, t := range taken {
		row, err := x.in.row(x.Tensor, t.ID)
		if err != nil {
			return nil, err
		}
		for i, v := range row {
			w.vector[i] += v / float64(len(taken))
		}
	}
	w.Norm, w.Vector = Float(length(w.vector)), Floats(w.vector)
	return w, nil
}

// cosines are those of the angle between each of some vectors and each token's, which
// the backend multiplies: [len(of)][vocab]. They are NaN where a vector is all zeros.
func (x *vectors) cosines(ctx context.Context, of [][]float64) ([][]float32, error) {
	norms, err := x.norms(ctx)
	if err != nil {
		return nil, err
	}
	var flat []float32
	for _, v := range of {
		norm := length(v)
		for _, c := range v {
			flat = append(flat, float32(c/norm))
		}
	}
	products, err := x.in.multiply(ctx, x.name+".cosines", x.Tensor, flat)
	if err != nil {
		return nil, err
	}
	out := make([][]float32, len(of))
	for i := range of {
		out[i] = products[i*len(norms) : (i+1)*len(norms)]
		for id, norm := range norms {
			if norm == 0 {
				out[i][id] = float32(math.NaN())
			} else {
				out[i][id] /= float32(norm)
			}
		}
	}
	return out, nil
}

// norms are the lengths of the rows, which pass through the host in pieces, once.
func (x *vectors) norms(ctx context.Context) ([]float64, error) {
	if norms := x.in.norms[x.name]; norms != nil {
		return norms, nil
	}
	width := x.Dim(-1)
	rows := min(max(1, expanded/width), x.Dim(-2))
	part := make([]float32, rows*width)
	norms := make([]float64, 0, x.Dim(-2))
	for from := 0; from < x.Dim(-2); from += rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(rows, x.Dim(-2)-from)
		if err := backend.GetF32(x.in.Model.Backend, x.Slice(-2, from, from+n), part[:n*width]); err != nil {
			return nil, fmt.Errorf("reading the %s: %w", x.name, err)
		}
		for i := range n {
			norms = append(norms, length(part[i*width:(i+1)*width]))
		}
	}
	x.in.norms[x.name] = norms
	return norms, nil
}

// nearest are the n tokens of the largest cosines that are not in without, and those
// that are.
func (x *vectors) nearest(cosines []float32, n int, without []Token) (near, excluded []Neighbour) {
	near, excluded = []Neighbour{}, []Neighbour{}
	for place, id := range topOf(cosines, n+len(without)) {
		c := cosines[id]
		if len(near) == n || c != c {
			break
		}
		if !slices.ContainsFunc(without, func(t Token) bool { return t.ID == id }) {
			near = append(near, Neighbour{x.in.Token(id), Float(c), place + 1})
		}
	}
	for i, t := range without {
		if !slices.Contains(without[:i], t) {
			excluded = append(excluded, Neighbour{t, Float(cosines[t.ID]), rankOf(cosines, t.ID)})
		}
	}
	return near, excluded
}

// cosine is that of the angle between two vectors, NaN if one is all zeros.
func cosine(x, y []float64) Float { return Float(dot(x, y) / (length(x) * length(y))) }
