package train

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// TestDraw draws windows of the ids, each followed by its target, anew for each
// index and again for the same.
func TestDraw(t *testing.T) {
	x := tokens(30, 20)
	const time, n = 6, 40
	get := func(seed uint64, purpose, index int) []int {
		ids, targets := make([]int, n*time), make([]int, n*time)
		drawBatch(x, seed, purpose, index, time, ids, targets)
		for i := range ids {
			if targets[i] != ids[i]+1 || i%time > 0 && ids[i] != ids[i-1]+1 || ids[i] < 0 || targets[i] >= 50 {
				t.Fatalf("ids %v, targets %v", ids, targets)
			}
		}
		return ids
	}
	first := get(1, forTraining, 7)
	if !slices.Equal(first, get(1, forTraining, 7)) {
		t.Error("the same batch is another one")
	}
	for i, other := range [][]int{get(1, forTraining, 8), get(2, forTraining, 7), get(1, forEvaluation, 7)} {
		if slices.Equal(first, other) {
			t.Errorf("other batch %d is the same", i)
		}
	}
	// Every window can be drawn: the first and the last.
	seen := map[int]bool{}
	for i := range 100 {
		ids := get(1, forTraining, i)
		for j := 0; j < len(ids); j += time {
			seen[ids[j]] = true
		}
	}
	if len(seen) != 50-time || !seen[0] || !seen[50-time-1] {
		t.Errorf("windows begin at %d places, expected %d", len(seen), 50-time)
	}
}

// counting is a learner whose loss of a target is the target.
type counting struct {
	Learner
	seen []int
}

func (c *counting) Loss(ids, targets []int) (float64, error) {
	sum := 0.0
	for i, v := range targets {
		if v < 0 {
			continue
		}
		if v != ids[i]+1 {
			return math.NaN(), nil
		}
		c.seen = append(c.seen, v)
		sum += float64(v)
	}
	return sum / float64(len(targets)), nil
}

func TestEvaluation(t *testing.T) {
	o := options() // 2 × 4
	for _, n := range []int{2, 4, 5, 8, 9, 10, 16, 17, 30} {
		e, err := newEvaluation(tokens(n), o)
		if err != nil {
			t.Fatal(err)
		}
		c := &counting{}
		loss, err := e.loss(t.Context(), c, func(int, int) {})
		if want := float64(n) / 2; err != nil || math.Abs(loss-want) > 1e-12 {
			t.Errorf("%d ids: loss %v, %v; expected %v, the mean of 1 to %d", n, loss, err, want, n-1)
		}
		for i, v := range c.seen {
			if v != i+1 {
				t.Fatalf("%d ids: targets %v, expected each once", n, c.seen)
			}
		}
	}
	e, _ := newEvaluation(tokens(30), o)
	if got := e.String(); got != "all 30 tokens, in windows of 4" {
		t.Error(got)
	}
	large, err := newEvaluation(tokens(8*maxEvaluation+2), o)
	if err != nil || large.random != maxEvaluation || large.String() != "50 random batches, the same each time" {
		t.Errorf("of much: %v, %v", large, err)
	}
	if e, err := newEvaluation(tokens(8*maxEvaluation+1), o); err != nil || e.random != 0 {
		t.Errorf("of just little enough: %v, %v", e, err)
	}
	o.EvalIters = ptr(3)
	e, err = newEvaluation(tokens(30), o)
	if err != nil {
		t.Fatal(err)
	}
	var seen [2][]int
	for i := range seen {
		c := &counting{}
		if _, err := e.loss(t.Context(), c, func(int, int) {}); err != nil {
			t.Fatal(err)
		}
		seen[i] = c.seen
	}
	if len(seen[0]) != 3*8 || !slices.Equal(seen[0], seen[1]) {
		t.Errorf("random batches %v, then %v", seen[0], seen[1])
	}
	if _, err := newEvaluation(tokens(4), o); err == nil || !strings.Contains(err.Error(), "eval_iters=3: the validation data has 4 tokens") {
		t.Errorf("random batches of too little: %v", err)
	}
}
