package inspect

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"caldera/backend"
	"caldera/gpt/model"
)

// Contexts tell how a word takes up what stands before it: how far its vectors in two
// texts have moved apart after each block, which tokens moved them, and what they are
// near to.
type Contexts struct {
	First  ContextText `json:"first"`
	Second ContextText `json:"second"`

	// WithoutPosition is how far the vectors before the first block are apart when the
	// embeddings of their positions are taken off. It is null for a model that has none.
	WithoutPosition *Apart  `json:"without_position"`
	Apart           []Apart `json:"apart"` // before the first block, and after each
}

// Apart is how far two vectors are apart.
type Apart struct {
	CosineDistance Float `json:"cosine_distance"` // 1 − the cosine of the angle between them
	Euclidean      Float `json:"euclidean"`       // length of their difference
	Relative       Float `json:"relative"`        // the same, divided by the mean of their lengths
}

// ContextText is a word in one of the texts.
type ContextText struct {
	Tokens   []Token        `json:"tokens"`   // of the text, up to the word
	Position int            `json:"position"` // of the word's last token, whose vector it is
	Stages   []ContextStage `json:"stages"`   // before the first block, and after each
	Blocks   []ContextBlock `json:"blocks"`   // what each block added
}

// ContextStage is a vector on its way through the blocks.
type ContextStage struct {
	Length  Float       `json:"length"`  // of the vector
	Nearest []Candidate `json:"nearest"` // tokens that the model would hold for the likeliest to come if it ended here, as in Lens
}

// ContextBlock is what a block added to a vector: attention, of each position, and its
// bias, and the MLP.
type ContextBlock struct {
	Block     int           `json:"block"`
	Positions []ContextMove `json:"positions"` // what attention took from each position up to the word
	Bias      *Move         `json:"bias"`      // of attention's output; null for a model that has none
	MLP       Move          `json:"mlp"`
}

// Move is a vector that is added to another one.
type Move struct {
	Length Float `json:"length"`

	// Away is how far it moves its text's vector away from that of the other text, along
	// the line between both after the block. It is null where they are the same. Those of
	// all moves of a block, in both texts, make up the difference that the block made.
	Away Float `json:"away"`
}

// ContextMove is what attention took from a position.
type ContextMove struct {
	Weight Float `json:"weight"` // the sum of the weights of all heads, weighted by values: see AttentionOptions
	Move         // the sum of what all heads wrote
}

// ContextOptions say which vectors are compared.
type ContextOptions struct {
	First, Second int // positions in the texts; below 0: from the end
	Top           int // how many of the nearest tokens are listed, at most 100
}

// maxValues bounds the bytes of values that are kept at a time, on the host and on the
// device each.
const maxValues = 16 << 20

// Context has the model read two texts, and compares its vectors at a position of each.
func (in *Inspector) Context(ctx context.Context, first, second []int, o ContextOptions) (*Contexts, error) {
	if err := checkCount(o.Top, "nearest tokens", maxTop); err != nil {
		return nil, err
	}
	texts := [2]*contextText{}
	for i, t := range []struct {
		name string
		ids  []int
		at   int
	}{{"first", first, o.First}, {"second", second, o.Second}} {
		err := in.Fits(t.ids)
		at := 0
		if err == nil {
			at, err = checkPosition(t.at, t.ids)
		}
		if err != nil {
			return nil, UserError{fmt.Errorf("%s text: %w", t.name, err)}
		}
		texts[i] = &contextText{ids: t.ids[:at+1]}
		texts[i].Position = at
	}
	c := &Contexts{}
	for _, t := range texts {
		if err := in.stages(ctx, t, o.Top); err != nil {
			return nil, err
		}
	}
	positions := in.weight(model.Positions, 0, 0)
	if positions.Tensor != nil {
		var rows [2][]float64
		for i, t := range texts {
			row, err := in.vector(positions, t.Position)
			if err != nil {
				return nil, err
			}
			rows[i] = less(widen(t.hidden(0)), row)
		}
		a := apart(rows[0], rows[1])
		c.WithoutPosition = &a
	}
	for i := range in.Model.Layers + 1 {
		c.Apart = append(c.Apart, apart(widen(texts[0].hidden(i)), widen(texts[1].hidden(i))))
	}
	for i, t := range texts {
		if err := in.moves(ctx, t, texts[1-i]); err != nil {
			return nil, err
		}
	}
	c.First, c.Second = texts[0].ContextText, texts[1].ContextText
	return c, nil
}

// contextText is a ContextText that is being computed.
type contextText struct {
	ContextText
	ids []int
	run *Run // of the last position
}

// hidden is the vector after i blocks.
func (t *contextText) hidden(i int) []float32 { return t.run.Value("hidden.%d", i).Row(0) }

// stages reads a text and tells of its last vector after each block.
func (in *Inspector) stages(ctx context.Context, t *contextText, top int) error {
	var err error
	if t.run, err = in.RunFrom(ctx, t.ids, t.Position, "hidden.*", "blocks.*.attention.probs", "blocks.*.mlp.output"); err != nil {
		return err
	}
	for _, id := range t.ids {
		t.Tokens = append(t.Tokens, in.Token(id))
	}
	var rows []float32
	for i := range in.Model.Layers + 1 {
		x := t.hidden(i)
		rows = append(rows, x...)
		t.Stages = append(t.Stages, ContextStage{Float(length(x)), []Candidate{}})
	}
	return in.Scores(ctx, rows, func(i int, scores []float32) error {
		logs := LogProbs(scores, 1)
		for _, id := range topOf(scores, top) {
			t.Stages[i].Nearest = append(t.Stages[i].Nearest, Candidate{in.Token(id), Float(scores[id]), Float(math.Exp(logs[id])), Float(logs[id])})
		}
		return nil
	})
}

// apart tells how far x and y are apart.
func apart(x, y []float64) Apart {
	lx, ly := length(x), length(y)
	distance := length(less(append([]float64{}, x...), y))
	return Apart{Float(1 - dot(x, y)/(lx*ly)), Float(distance), Float(distance / ((lx + ly) / 2))}
}

// moves tells what each block added to the vector of t, and how far that moved it away
// from that of other. Values of as many blocks are read at once as memory allows.
func (in *Inspector) moves(ctx context.Context, t, other *contextText) error {
	m := in.Model
	atOnce := max(1, maxValues/(4*len(t.ids)*max(m.KVHeads*m.HeadSize, m.Width)))
	for from := 0; from < m.Layers; from += atOnce {
		to := min(from+atOnce, m.Layers)
		var names []string
		for i := from; i < to; i++ {
			names = append(names, fmt.Sprintf("blocks.%d.attention.value", i))
		}
		values, err := in.Run(ctx, t.ids, names...)
		if err != nil {
			return err
		}
		for i := from; i < to; i++ {
			b, err := in.move(ctx, t, other, i, values.Value("blocks.%d.attention.value", i).Data)
			if err != nil {
				return err
			}
			t.Blocks = append(t.Blocks, *b)
		}
	}
	return nil
}

// move tells what block i added to the vector of t. values are those of all positions.
func (in *Inspector) move(ctx context.Context, t, other *contextText, i int, values []float32) (*ContextBlock, error) {
	m := in.Model
	away := less(widen(t.hidden(i+1)), widen(other.hidden(i+1)))
	distance := length(away)
	of := func(x []float32) Move {
		along := 0.0
		for k, v := range x {
			along += float64(v) * away[k]
		}
		return Move{Float(length(x)), Float(along / distance)}
	}

	carried, err := in.carried(ctx, i, values)
	if err != nil {
		return nil, err
	}
	kv, size, width := m.KVHeads*m.HeadSize, m.HeadSize, m.Heads*m.HeadSize
	probs := t.run.Value("blocks.%d.attention.probs", i)
	taken := make([]float32, len(t.ids)*width) // what all heads take of each position
	weights := make([]float64, len(t.ids))
	for h := range m.Heads {
		group := h * m.KVHeads / m.Heads
		for j, p := range probs.Row(h, 0) {
			weights[j] += float64(p) * carried[h][j]
			for k, v := range values[j*kv+group*size:][:size] {
				taken[j*width+h*size+k] = p * v
			}
		}
	}
	written, err := in.multiply(ctx, fmt.Sprintf("blocks.%d.attention.moves", i), *in.weight(model.Output, 0, i).Tensor, taken)
	if err != nil {
		return nil, err
	}
	var bias []float32
	if x := in.weight(model.Bias, model.Output, i).Tensor; x != nil {
		bias = make([]float32, m.Width)
		if err := backend.GetF32(m.Backend, *x, bias); err != nil {
			return nil, err
		}
	}
	norm, err := in.after(model.Output, i)
	if err != nil {
		return nil, err
	}
	if norm != nil {
		factors := norm.factors(sumOf(append(slices.Clone(written), bias...), m.Width))
		times(written, factors)
		times(bias, factors)
	}
	b := &ContextBlock{Block: i, MLP: of(t.run.Value("blocks.%d.mlp.output", i).Row(0))}
	for j, w := range weights {
		b.Positions = append(b.Positions, ContextMove{Float(w), of(written[j*m.Width : (j+1)*m.Width])})
	}
	if bias != nil {
		move := of(bias)
		b.Bias = &move
	}
	return b, nil
}

// FindWord returns the position of the last token of a word in a text: of the last time
// that it stands there by itself or, if it never does, within another one.
func (in *Inspector) FindWord(ids []int, word string) (int, error) {
	if in.Tokenizer == nil {
		return 0, Userf("word %q: the model has no tokenizer, so its texts have no words: choose positions", word)
	}
	text, ends := in.joined(ids)
	at := -1
	for from := 0; word != "" && from < len(text); {
		i := strings.Index(text[from:], word)
		if i < 0 {
			break
		}
		begin, end := from+i, from+i+len(word)
		if at < 0 || alone(text, begin, end) || !alone(text, at-len(word), at) {
			at = end
		}
		from = begin + 1
	}
	if at < 0 {
		return 0, Userf("the text %.60q does not have the word %q", text, word)
	}
	return tokenAt(ends, at), nil
}

// SharedWord returns a word that both texts have, and the positions of its last tokens,
// where it stands for the last time: the last word of both, if that is the same, else
// the longest one, of equally long ones the last in the first text.
func (in *Inspector) SharedWord(first, second []int) (word string, at [2]int, err error) {
	if in.Tokenizer == nil {
		return "", at, Userf("the model has no tokenizer, so its texts have no words: choose positions to compare, one of each")
	}
	text, _ := in.joined(first)
	other, _ := in.joined(second)
	words, others := wordsOf(text), wordsOf(other)
	has := map[string]bool{}
	for _, w := range others {
		has[w] = true
	}
	if len(words) > 0 && len(others) > 0 && words[len(words)-1] == others[len(others)-1] {
		word = words[len(words)-1]
	} else {
		for _, w := range words {
			if has[w] && len(w) >= len(word) {
				word = w
			}
		}
	}
	if word == "" {
		return "", at, Userf("the texts %.60q and %.60q have no word in common: choose positions to compare", text, other)
	}
	for i, ids := range [][]int{first, second} {
		if at[i], err = in.FindWord(ids, word); err != nil {
			return "", at, err
		}
	}
	return word, at, nil
}

// joined is the text of tokens, and where each ends in it.
func (in *Inspector) joined(ids []int) (text string, ends []int) {
	var all strings.Builder
	for _, id := range ids {
		if s, ok := in.text(id); ok && !in.special(id, s) {
			all.WriteString(s)
		}
		ends = append(ends, all.Len())
	}
	return all.String(), ends
}

// tokenAt is the token that has the byte before end.
func tokenAt(ends []int, end int) int {
	for i, e := range ends {
		if e >= end {
			return i
		}
	}
	return len(ends) - 1
}

func inWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r) || r == '\'' || r == '’'
}

func wordsOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !inWord(r) })
}

// alone reports whether no word goes on before or behind text[begin:end].
func alone(text string, begin, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:begin]) // no letter if there is none
	behind, _ := utf8.DecodeRuneInString(text[end:])
	return !inWord(before) && !inWord(behind)
}
