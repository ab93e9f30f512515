package inspect

import (
	"context"
	"fmt"
	"math"
	"slices"

	"caldera/gpt"
)

// AttentionMaps tell who looks at whom: for each head, how much each position of a text
// takes from those up to itself.
type AttentionMaps struct {
	Tokens        []Token         `json:"tokens"`          // of the text
	Layers        int             `json:"layers"`          // of the model
	HeadsPerLayer int             `json:"heads_per_layer"` // likewise
	KVHeads       int             `json:"kv_heads"`        // per layer: head h reads keys and values of h · kv heads / heads, rounded down
	Weighted      bool            `json:"weighted"`        // weights are probabilities times the length of what they carry, see AttentionOptions
	Pairs         []AttentionPair `json:"pairs"`           // the strongest of all heads in Heads
	Heads         []AttentionHead `json:"heads"`           // those that were asked for, layer by layer
	MapsLeftOut   string          `json:"maps_left_out"`   // why the heads have no maps; empty: they have
}

// AttentionPair is a position that looks at another one.
type AttentionPair struct {
	Layer   int    `json:"layer"`
	Head    int    `json:"head"`
	From    int    `json:"from"` // the position that looks
	To      int    `json:"to"`   // the position that is looked at, at most From
	Prob    Float  `json:"prob"`
	Carried *Float `json:"carried,omitempty"` // length of the vector that the head would write for To alone; only if weighted
	Weight  Float  `json:"weight"`            // Prob, times Carried if weighted
}

// AttentionHead is what one head does. Its figures are means over the positions behind
// the first, which can look at itself alone; they are null for a text of one token. If
// the weights are weighted by values, those of each position are divided by their sum
// for these figures.
type AttentionHead struct {
	Layer     int             `json:"layer"`
	Head      int             `json:"head"`
	Entropy   Float           `json:"entropy"`   // of where a position looks, in nats: 0 if at one place, at most ln(position + 1)
	First     Float           `json:"first"`     // how much goes to the first token
	Self      Float           `json:"self"`      // how much goes to the position itself
	Previous  Float           `json:"previous"`  // how much goes to the position before
	Distance  Float           `json:"distance"`  // how many positions back
	Strongest []AttentionPair `json:"strongest"` // of this head; one, or so many as were asked for if a layer or head was chosen

	// Map has the weights of position From: Map[From][To], To from 0 to From. It is
	// absent where no layer or head was chosen, or where maps would be too large.
	Map [][]Float `json:"map,omitempty"`
}

// AttentionOptions say which heads are looked at, and how.
type AttentionOptions struct {
	Layer, Head *int // nil: all

	// Weighted multiplies probabilities by the length of the vector that the head writes
	// to the stream for the value there, ‖Out_h · v‖: a head may look at a place, and
	// take next to nothing from it. (Kobayashi et al. 2020, "Attention is Not Only a
	// Weight", arXiv:2004.10102) A norm of what attention writes comes behind that.
	Weighted bool

	Position  *int // whose pairs are listed, below 0 from the end; nil: of all positions but the first, which can look at itself alone
	SkipFirst bool // list no pairs that look at the first token: many heads look there when there is nothing else to look for
	Top       int  // how many pairs are listed, at most 1,000
}

const (
	// maxMaps bounds the bytes that maps take on the device at a time.
	maxMaps = 64 << 20
	// MaxMapNumbers is the most numbers that the [AttentionMaps] have together:
	// one head's map of 2,047 tokens, or those of twelve heads of 590.
	MaxMapNumbers = 1 << 21
	// maxPairs is the most pairs that are listed.
	maxPairs = 1000
	// leastChunk is the fewest tokens that are read at once for the sake of memory.
	leastChunk = 16
)

// Attention has the model read a text, and tells who looked at whom. Where maps take
// much memory, the text is read once for each layer, with the maps of that layer alone.
// Of the maps no more than one head's rows are on the host at a time, and those that the
// result has.
func (in *Inspector) Attention(ctx context.Context, ids []int, o AttentionOptions) (*AttentionMaps, error) {
	a, err := in.newAttention(ids, o)
	if err != nil {
		return nil, err
	}
	s, err := in.sessionFor(len(ids))
	if err != nil {
		return nil, err
	}
	layers := span(o.Layer, in.Model.Layers)
	chunk, atOnce := mapSizes(in.Model.Heads, s.Size(), maxMaps)
	for len(layers) > 0 {
		n := min(atOnce, len(layers))
		if err := in.attend(ctx, s, a, layers[:n], chunk); err != nil {
			return nil, err
		}
		layers = layers[n:]
	}
	a.Heads = make([]AttentionHead, 0, len(a.heads))
	for _, h := range a.heads {
		h.finish(len(ids))
		a.Heads = append(a.Heads, h.AttentionHead)
	}
	a.Pairs = a.pairs.list
	return &a.AttentionMaps, nil
}

// attention is an AttentionMaps that is being computed.
type attention struct {
	AttentionMaps
	ids      []int
	o        AttentionOptions
	position int // whose pairs are listed; below 0: of all
	pairs    strongest
	heads    []*attentionHead

	// Memory for one head's rows and for the weights of one of them.
	rows    []float32
	weights []float64
}

// attentionHead is a head of it.
type attentionHead struct {
	AttentionHead
	pairs   strongest
	carried []float64 // of the values so far; nil: probabilities are weights
}

func (in *Inspector) newAttention(ids []int, o AttentionOptions) (*attention, error) {
	if err := in.Fits(ids); err != nil {
		return nil, err
	}
	if o.Layer != nil {
		if err := in.checkLayer(*o.Layer); err != nil {
			return nil, err
		}
	}
	if o.Head != nil {
		if err := in.checkHead(*o.Head); err != nil {
			return nil, err
		}
	}
	if err := checkCount(o.Top, "pairs", maxPairs); err != nil {
		return nil, err
	}
	m := in.Model
	a := &attention{ids: ids, o: o, position: -1, pairs: newStrongest(o.Top)}
	a.AttentionMaps = AttentionMaps{Layers: m.Layers, HeadsPerLayer: m.Heads, KVHeads: m.KVHeads, Weighted: o.Weighted}
	if o.Position != nil {
		var err error
		if a.position, err = checkPosition(*o.Position, ids); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		a.Tokens = append(a.Tokens, in.Token(id))
	}
	layers, heads := span(o.Layer, m.Layers), span(o.Head, m.Heads)
	numbers := len(layers) * len(heads) * len(ids) * (len(ids) + 1) / 2
	most := o.Top
	switch {
	case o.Layer == nil && o.Head == nil:
		a.MapsLeftOut = "no layer and no head is chosen"
		most = min(most, 1)
	case numbers > MaxMapNumbers && len(layers)*len(heads) > 1:
		a.MapsLeftOut = fmt.Sprintf("they have %d numbers, more than %d: choose both a layer and a head", numbers, MaxMapNumbers)
	case numbers > MaxMapNumbers:
		a.MapsLeftOut = fmt.Sprintf("it has %d numbers, more than %d: shorten the text", numbers, MaxMapNumbers)
	}
	for _, l := range layers {
		for _, h := range heads {
			a.heads = append(a.heads, &attentionHead{AttentionHead: AttentionHead{Layer: l, Head: h}, pairs: newStrongest(most)})
		}
	}
	return a, nil
}

// attend reads the text once for some layers.
func (in *Inspector) attend(ctx context.Context, s *gpt.Session, a *attention, layers []int, chunk int) error {
	var names []string
	for _, l := range layers {
		names = append(names, fmt.Sprintf("blocks.%d.attention.probs", l))
		if a.o.Weighted {
			names = append(names, fmt.Sprintf("blocks.%d.attention.value", l))
		}
	}
	s.Reset()
	s.Watch(names...)
	return in.feed(ctx, s, a.ids, chunk, func(from, n int) error {
		for _, l := range layers {
			var carried [][]float64
			if a.o.Weighted {
				values, err := in.fetch(nil, s.Seen(fmt.Sprintf("blocks.%d.attention.value", l)).Slice(2, 0, n))
				if err != nil {
					return err
				}
				if carried, err = in.carried(ctx, l, values); err != nil {
					return err
				}
			}
			probs := s.Seen(fmt.Sprintf("blocks.%d.attention.probs", l)).Slice(2, 0, n).Slice(3, 0, from+n)
			for _, h := range a.heads {
				if h.Layer != l {
					continue
				}
				if a.o.Weighted {
					h.carried = append(h.carried, carried[h.Head]...)
				}
				var err error
				if a.rows, err = in.fetch(a.rows, probs.Slice(1, h.Head, h.Head+1)); err != nil {
					return err
				}
				for i := range n {
					a.look(h, from+i, a.rows[i*(from+n):][:from+i+1])
				}
			}
		}
		return nil
	})
}

// look adds what a head's position does, whose probabilities are p.
func (a *attention) look(h *attentionHead, at int, p []float32) {
	weights, total := a.weights[:0], 1.0
	for _, x := range p {
		weights = append(weights, float64(x))
	}
	a.weights = weights
	if h.carried != nil {
		total = 0
		for i, c := range h.carried[:at+1] {
			weights[i] *= c
			total += weights[i]
		}
	}
	if a.MapsLeftOut == "" {
		h.Map = append(h.Map, Floats(weights))
	}
	for i, w := range weights {
		if a.o.SkipFirst && i == 0 || a.position >= 0 && at != a.position || a.position < 0 && at == 0 {
			continue
		}
		if !h.pairs.takes(w) && !a.pairs.takes(w) {
			continue
		}
		pair := AttentionPair{Layer: h.Layer, Head: h.Head, From: at, To: i, Prob: Float(p[i]), Weight: Float(w)}
		if h.carried != nil {
			c := Float(h.carried[i])
			pair.Carried = &c
		}
		h.pairs.add(pair)
		a.pairs.add(pair)
	}
	if at == 0 {
		return
	}
	for i, w := range weights {
		share := w / total
		if share != 0 {
			h.Entropy -= Float(share * math.Log(share))
		}
		h.Distance += Float(share * float64(at-i))
	}
	h.First += Float(weights[0] / total)
	h.Self += Float(weights[at] / total)
	h.Previous += Float(weights[at-1] / total)
}

// finish makes means of sums over the positions of a text of so many tokens.
func (h *attentionHead) finish(tokens int) {
	for _, f := range []*Float{&h.Entropy, &h.First, &h.Self, &h.Previous, &h.Distance} {
		*f /= Float(tokens - 1) // 0/0, which is not a number, for one token
	}
	h.Strongest = h.pairs.list
}

// strongest keeps the pairs of the largest weights, of equal ones those that came first.
type strongest struct {
	list []AttentionPair
	most int
}

func newStrongest(most int) strongest { return strongest{[]AttentionPair{}, most} }

// takes reports whether a pair of that weight is among them.
func (s *strongest) takes(weight float64) bool {
	if len(s.list) < s.most {
		return !math.IsNaN(weight)
	}
	return s.most > 0 && weight > float64(s.list[s.most-1].Weight)
}

func (s *strongest) add(p AttentionPair) {
	if !s.takes(float64(p.Weight)) {
		return
	}
	i := slices.IndexFunc(s.list, func(o AttentionPair) bool { return p.Weight > o.Weight })
	if i < 0 {
		i = len(s.list)
	}
	s.list = slices.Insert(s.list, i, p)
	s.list = s.list[:min(len(s.list), s.most)]
}

// span is one of n, or all.
func span(one *int, n int) (list []int) {
	if one != nil {
		return []int{*one}
	}
	for i := range n {
		list = append(list, i)
	}
	return list
}

// mapSizes says how many tokens are read at once, and for how many layers, so that the
// maps take at most so many bytes on the device, or those of a layer for leastChunk
// tokens.
func mapSizes(heads, context, most int) (chunk, layers int) {
	chunk = gpt.MaxChunk
	for chunk > leastChunk && 4*heads*chunk*context > most {
		chunk /= 2
	}
	return chunk, max(1, most/(4*heads*min(chunk, context)*context))
}
