package inspect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"caldera/backend"
	"caldera/gpt"
	"caldera/nn"
)

// Part is a part of a model that can be switched off: it then adds 0 to the stream, or,
// if it is a head, to what its layer's heads have gathered.
type Part struct {
	Block int
	Kind  PartKind
	Head  int // of Head
}

// PartKind says what a Part is.
type PartKind int

// Kinds of parts.
const (
	WholeBlock PartKind = iota // attention and MLP
	Head                       // what one head has gathered
	Attention                  // what attention adds to the stream, with its bias
	MLP                        // what the MLP adds, with its bias
)

// String is the part's name: "3", "3.head.5", "3.attention" or "3.mlp".
func (p Part) String() string {
	switch p.Kind {
	case Head:
		return fmt.Sprintf("%d.head.%d", p.Block, p.Head)
	case Attention:
		return fmt.Sprintf("%d.attention", p.Block)
	case MLP:
		return fmt.Sprintf("%d.mlp", p.Block)
	}
	return strconv.Itoa(p.Block)
}

// MarshalText is String.
func (p Part) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePart.
func (p *Part) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePart(string(text))
	return err
}

// ParsePart reads a part's name, as String writes it.
func ParsePart(name string) (Part, error) {
	block, rest, more := strings.Cut(name, ".")
	n, err := strconv.Atoi(block)
	p := Part{Block: n}
	head, isHead := strings.CutPrefix(rest, "head.")
	switch {
	case err != nil:
	case !more:
		return p, nil
	case rest == "attention":
		p.Kind = Attention
		return p, nil
	case rest == "mlp":
		p.Kind = MLP
		return p, nil
	case isHead:
		p.Kind = Head
		if p.Head, err = strconv.Atoi(head); err == nil {
			return p, nil
		}
	}
	return Part{}, Userf("part %q: expected the number of a block, such as 3, or 3.attention, 3.mlp, 3.head.5", name)
}

// checkPart returns an error if the model does not have the part.
func (in *Inspector) checkPart(p Part) error {
	if err := in.checkLayer(p.Block); err != nil || p.Kind != Head {
		return err
	}
	return in.checkHead(p.Head)
}

// Ablation is what parts of a model did for what it says next, at one position: with
// them, and without them. The parts are off at all positions up to that one.
type Ablation struct {
	Position int      `json:"position"`
	Token    Token    `json:"token"` // whose score the outcomes have
	Off      []Part   `json:"off"`
	Before   Outcome  `json:"before"`  // with all parts
	After    Outcome  `json:"after"`   // without those that are off
	KL       Float    `json:"kl"`      // how far the distribution moved: KL(before ‖ after), in nats
	Changes  []Change `json:"changes"` // of the token, and of those that are likeliest before or after
}

// Change is how the probability of a token changed.
type Change struct {
	Token
	Before Float `json:"before"`
	After  Float `json:"after"`
}

// changes compares two distributions.
func (a *Ablation) changes(in *Inspector, before, after distribution) {
	seen := map[int]bool{}
	add := func(id int) {
		if !seen[id] {
			a.Changes = append(a.Changes, Change{in.Token(id), Float(before.probs[id]), Float(after.probs[id])})
		}
		seen[id] = true
	}
	add(a.Token.ID)
	for _, c := range append(slices.Clone(a.Before.Top), a.After.Top...) {
		add(c.ID)
	}
}

// AblationOptions say where to look at the effect of parts.
type AblationOptions struct {
	Position int // below 0: from the end of the text
	Token    int // below 0: the likeliest next token, while nothing is off
	Top      int // how many of the likeliest tokens are listed
}

// Ablate reads a text with all parts of the model and without those of off. Both are
// sequences of one step, in which each part is multiplied by a number of a tensor, 1 or 0.
func (in *Inspector) Ablate(ctx context.Context, ids []int, off []Part, o AblationOptions) (*Ablation, error) {
	all, err := in.AblateEach(ctx, ids, [][]Part{off}, o)
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

// AblateEach is Ablate for several lists of parts. A step reads the text without as many
// of them as make it worth while, and there is a pause between steps: see [WithPause].
func (in *Inspector) AblateEach(ctx context.Context, ids []int, offs [][]Part, o AblationOptions) ([]Ablation, error) {
	if err := in.Fits(ids); err != nil {
		return nil, err
	}
	at, err := checkPosition(o.Position, ids)
	if err != nil {
		return nil, err
	}
	if err := in.checkToken(o.Token); err != nil {
		return nil, err
	}
	for _, off := range offs {
		for _, p := range off {
			if err := in.checkPart(p); err != nil {
				return nil, err
			}
		}
	}
	token, list := o.Token, []Ablation{}
	before, all, without := Outcome{}, newDistribution(in.Model.Vocab), newDistribution(in.Model.Vocab)
	visit := func(i int, scores []float32) error {
		if i == 0 {
			if token < 0 {
				token = topOf(scores, 1)[0]
			}
			all.set(scores)
			before = in.outcome(scores, all, token, o.Top)
			return nil
		}
		without.set(scores)
		a := Ablation{Position: at, Token: in.Token(token), Off: append([]Part{}, offs[i-1]...), Before: before,
			After: in.outcome(scores, without, token, o.Top), KL: Float(all.divergence(without))}
		a.changes(in, all, without)
		list = append(list, a)
		return nil
	}
	variants := append([][]Part{nil}, offs...) // nothing is off in the first
	for from := 0; from < len(variants); {
		if from > 0 {
			if err := in.pause(ctx); err != nil {
				return nil, err
			}
		}
		m, err := in.maskedFor(at+1, len(variants)) // anew, for a pause may have needed another
		if err != nil {
			return nil, err
		}
		part := variants[from:min(from+m.reader.Texts(), len(variants))]
		if err := m.scores(ctx, in, ids[:at+1], part, func(i int, scores []float32) error { return visit(from+i, scores) }); err != nil {
			return nil, err
		}
		from += len(part)
	}
	return list, nil
}

// Parts lists all parts of a kind.
func (in *Inspector) Parts(kind PartKind) (list []Part) {
	for i := range in.Model.Layers {
		n := 1
		if kind == Head {
			n = in.Model.Heads
		}
		for h := range n {
			list = append(list, Part{i, kind, h})
		}
	}
	return list
}

// maskedTokens is how many tokens a step reads in which parts are off, unless the text is
// longer: more make it no faster on two cores, and keep others waiting longer.
const maskedTokens = 128

// masked reads a text several times at once, each time with other parts switched off.
type masked struct {
	reader *gpt.Evaluator
	window int            // tokens of the text
	masks  backend.Tensor // [texts, layers, heads + 2, 1]: of each head, of attention, of the MLP
}

// maskedFor returns what reads a text of so many tokens in so many variants. It is made
// anew for another length: that takes less time than to read padding.
func (in *Inspector) maskedFor(tokens, variants int) (_ *masked, err error) {
	texts := gpt.TextsAtOnce(variants, tokens, maskedTokens)
	if m := in.masked; m != nil && m.window == tokens && m.reader.Texts() == texts {
		return m, nil
	}
	in.masked.close()
	in.masked = nil
	m := &masked{window: tokens}
	layers, heads := in.Model.Layers, in.Model.Heads
	if m.masks, err = backend.New(in.Model.Backend, backend.F32, texts, layers, heads+2, 1); err != nil {
		return nil, err
	}
	run := func(p *nn.Program) error {
		return in.measure(p.Run, func() []string { return slices.Collect(maps.Keys(p.Named())) }, p.Writers)
	}
	m.reader, err = gpt.NewEvaluator(in.Model, gpt.EvaluatorOptions{
		Window: tokens, Texts: texts, Cache: in.cache, Rows: min(texts, headRows), Edit: m.edit(layers, heads), Run: run,
	})
	if err != nil {
		m.close()
		return nil, err
	}
	in.masked = m
	return m, nil
}

func (m *masked) close() {
	if m == nil {
		return
	}
	if m.reader != nil {
		m.reader.Close()
	}
	m.masks.Buf.Free()
}

// edit multiplies what the parts of each block give by their masks.
func (m *masked) edit(layers, heads int) nn.Edit {
	by := map[string]backend.Tensor{} // [texts, 1, parts, 1]
	for i := range layers {
		row := m.masks.Slice(-3, i, i+1)
		by[fmt.Sprintf("blocks.%d.attention.heads", i)] = row.Slice(-2, 0, heads)
		by[fmt.Sprintf("blocks.%d.attention.output", i)] = row.Slice(-2, heads, heads+1)
		by[fmt.Sprintf("blocks.%d.mlp.output", i)] = row.Slice(-2, heads+1, heads+2)
	}
	return func(t *nn.Tape, name string, x nn.Tensor) nn.Tensor {
		mask, ok := by[name]
		if !ok {
			return x
		}
		n := mask.Dim(-2)
		apart := x.Reshape(x.Dim(-3), x.Dim(-2), n, x.Dim(-1)/n) // [texts, time, parts, size]
		return t.Scale(apart, mask).Reshape(x.Shape[:]...)
	}
}

// scores has the model read ids once for each list of parts, without those, and calls
// visit with the scores after the last token. There are at most as many lists as the
// reader has texts.
func (m *masked) scores(ctx context.Context, in *Inspector, ids []int, offs [][]Part, visit func(i int, scores []float32) error) error {
	heads := in.Model.Heads
	values := make([]float32, m.masks.Len())
	for i := range values {
		values[i] = 1
	}
	var texts [][]int
	for i, off := range offs {
		texts = append(texts, ids)
		for _, p := range off {
			row := values[(i*in.Model.Layers+p.Block)*(heads+2):][:heads+2]
			switch p.Kind {
			case Head:
				row[p.Head] = 0
			case Attention:
				row[heads] = 0
			case MLP:
				row[heads+1] = 0
			case WholeBlock:
				row[heads], row[heads+1] = 0, 0
			}
		}
	}
	if err := backend.SetF32(in.Model.Backend, m.masks, values); err != nil {
		return err
	}
	return m.reader.Scores(ctx, texts, len(ids)-1, func(i, _ int, scores []float32) error { return visit(i, scores) })
}
