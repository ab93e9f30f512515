package inspect

import (
	"context"
	"math"
	"slices"
)

// Lens is the logit lens (nostalgebraist 2020, "interpreting GPT: the logit lens"): the
// last norm and the unembedding applied to the residual stream after every block, as if
// the model ended there. It shows at which block an answer appears.
type Lens struct {
	Tokens  []Token      `json:"tokens"`  // of the text, up to the last position that is looked at
	From    int          `json:"from"`    // the first position that is looked at
	Answers []Token      `json:"answers"` // for each position from From on: the token that score, probability and rank of its cells are of
	Appears []int        `json:"appears"` // for each position: after so many blocks and all later ones the answer is the likeliest token; -1: it is not so at the end
	Blocks  [][]LensCell `json:"blocks"`  // [layers + 1][positions]: after so many blocks; the last are what the model says
}

// LensCell is what the lens shows at one place.
type LensCell struct {
	Outcome
	KL Float `json:"kl"` // Kullback-Leibler divergence of this distribution from the model's last one, KL(last ‖ this), in nats
}

// LensOptions say where the lens looks.
type LensOptions struct {
	From, To int // positions From to To-1, as in a slice: below 0 from the end. To 0: the end

	// Token is the one to look for. Below 0 it is, at each position, the one that the
	// model holds for the likeliest next token.
	Token int

	Top int // how many of the likeliest tokens are listed for each cell
}

// Lens reads a text, and maps the stream after every block to scores of all tokens.
func (in *Inspector) Lens(ctx context.Context, ids []int, o LensOptions) (*Lens, error) {
	if err := in.Fits(ids); err != nil {
		return nil, err
	}
	from, to, err := checkRange(o.From, o.To, ids)
	if err != nil {
		return nil, err
	}
	if err := in.checkToken(o.Token); err != nil {
		return nil, err
	}
	run, err := in.RunFrom(ctx, ids[:to], from, "hidden.*")
	if err != nil {
		return nil, err
	}
	layers := in.Model.Layers
	l := &Lens{From: from, Blocks: make([][]LensCell, layers+1)}
	for _, id := range ids[:to] {
		l.Tokens = append(l.Tokens, in.Token(id))
	}
	// All rows of a position come after one another, so that only one distribution,
	// the model's last one, is kept to compare with.
	answer := o.Token
	last, d := newDistribution(in.Model.Vocab), newDistribution(in.Model.Vocab)
	visit := func(row int, scores []float32) error {
		i := layers - row%(layers+1)
		d.set(scores)
		if i == layers {
			last.set(scores)
			if o.Token < 0 {
				answer = topOf(scores, 1)[0]
			}
			l.Answers = append(l.Answers, in.Token(answer))
		}
		l.Blocks[i] = append(l.Blocks[i], LensCell{Outcome: in.outcome(scores, d, answer, o.Top), KL: Float(last.divergence(d))})
		return nil
	}
	together := max(1, headRows/(layers+1)) // positions whose rows are scored at once
	var rows []float32
	for at := 0; at < to-from; at += together {
		rows = rows[:0]
		for j := at; j < min(at+together, to-from); j++ {
			for i := layers; i >= 0; i-- {
				rows = append(rows, run.Value("hidden.%d", i).Row(j)...)
			}
		}
		if err := in.Scores(ctx, rows, visit); err != nil {
			return nil, err
		}
	}
	for at := range l.Answers {
		appears := -1
		for i := layers; i >= 0 && l.Blocks[i][at].Rank == 1; i-- {
			appears = i
		}
		l.Appears = append(l.Appears, appears)
	}
	return l, nil
}

// Outcome is what scores of all tokens say about one of them, and which are likeliest.
type Outcome struct {
	Score   Float       `json:"score"`    // of the token: its logit
	Prob    Float       `json:"prob"`     // of the token, 0 to 1
	LogProb Float       `json:"log_prob"` // its natural logarithm
	Rank    int         `json:"rank"`     // of the token: 1 is the likeliest; 0: the scores are no numbers
	Entropy Float       `json:"entropy"`  // of the distribution, in nats
	Top     []Candidate `json:"top"`      // the likeliest tokens, the likeliest first
	Note    string      `json:"note,omitempty"`
}

// Candidate is a token that may come next.
type Candidate struct {
	Token
	Score   Float `json:"score"`
	Prob    Float `json:"prob"`
	LogProb Float `json:"log_prob"`
}

// outcome makes the outcome of scores, which stand for d.
func (in *Inspector) outcome(scores []float32, d distribution, token, top int) Outcome {
	o := Outcome{
		Score: Float(scores[token]), Prob: Float(d.probs[token]), LogProb: Float(d.logs[token]),
		Rank: rankOf(scores, token), Entropy: Float(d.entropy()), Top: []Candidate{},
	}
	if s := o.LogProb; s != s {
		o.Note = "the scores are not finite numbers: the model's weights or the device are at fault"
	}
	for _, id := range topOf(scores, top) {
		o.Top = append(o.Top, Candidate{in.Token(id), Float(scores[id]), Float(d.probs[id]), Float(d.logs[id])})
	}
	return o
}

// rankOf is the place of the token among all by score, from 1: of equal scores the
// lower id comes first. It is 0 if the token's score is NaN.
func rankOf(scores []float32, token int) int {
	own := scores[token]
	if own != own {
		return 0
	}
	place := 1
	for id, s := range scores {
		if s > own || s == own && id < token {
			place++
		}
	}
	return place
}

// topOf are the n tokens of the highest scores, the highest first; of equal ones the
// lower id, and NaN after all numbers.
func topOf(scores []float32, n int) []int {
	above := func(a, b int) bool { // whether a goes before b
		x, y := scores[a], scores[b]
		switch {
		case x > y:
			return true
		case x < y, x != x && y == y:
			return false
		}
		return x == x && y != y || a < b
	}
	var top []int
	for id, s := range scores {
		if len(top) == n && (n == 0 || s <= scores[top[n-1]] || !above(id, top[n-1])) {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, id, func(a, b int) int {
			if above(a, b) {
				return -1
			}
			return 1
		})
		if len(top) == n {
			top = top[:n-1]
		}
		top = slices.Insert(top, at, id)
	}
	return top
}

// distribution is the probabilities of all tokens, and their natural logarithms.
type distribution struct{ probs, logs []float64 }

func newDistribution(tokens int) distribution {
	return distribution{make([]float64, tokens), make([]float64, tokens)}
}

// set makes d that which scores stand for: see [LogProbs].
func (d distribution) set(scores []float32) {
	most := math.Inf(-1)
	for _, s := range scores {
		most = math.Max(most, float64(s))
	}
	sum := 0.0
	for i, s := range scores {
		d.logs[i] = float64(s) - most
		d.probs[i] = math.Exp(d.logs[i])
		sum += d.probs[i]
	}
	log := math.Log(sum)
	for i := range d.logs {
		d.logs[i] -= log
		d.probs[i] /= sum
	}
}

// entropy is −Σ p · ln p, in nats.
func (d distribution) entropy() float64 {
	sum := 0.0
	for i, p := range d.probs {
		if p != 0 { // 0 · −∞ counts as 0
			sum -= p * d.logs[i]
		}
	}
	return sum
}

// divergence is Σ p · (ln p − ln q), in nats: the Kullback-Leibler divergence of q from p.
func (d distribution) divergence(q distribution) float64 {
	sum := 0.0
	for i, p := range d.probs {
		if p != 0 {
			sum += p * (d.logs[i] - q.logs[i])
		}
	}
	return sum
}

// checkToken returns an error if id is above all that the model knows.
func (in *Inspector) checkToken(id int) error {
	if id >= in.Model.Vocab {
		return Userf("token %d: this model knows ids 0 to %d", id, in.Model.Vocab-1)
	}
	return nil
}

// checkRange returns the positions [from, to) of ids, each counted from the end if it is
// below 0; to 0 is the end.
func checkRange(from, to int, ids []int) (int, int, error) {
	first, err := checkPosition(from, ids)
	if err != nil {
		return 0, 0, err
	}
	last := len(ids)
	if to != 0 {
		if last, err = checkPosition(to, append(slices.Clone(ids), 0)); to < 0 {
			last, err = checkPosition(to, ids)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if first >= last {
		return 0, 0, Userf("positions %d to %d of a text of %d tokens are none: expected the second above the first", from, to, len(ids))
	}
	return first, last, nil
}
