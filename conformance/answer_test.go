package conformance

import (
	"fmt"
	"testing"

	"caldera/backend"
)

// TestAnswers asks the oracle again about other data and another op under the
// same name: it must not answer from memory.
func TestAnswers(t *testing.T) {
	asked := 0
	normOf := func(epsilon float32, x ...float64) string {
		vector := func(v ...float64) backend.Tensor {
			y := exact.Tensor(backend.F32, 3)
			Set(y, v...)
			return y
		}
		op := &backend.LayerNorm{Dst: vector(0), X: vector(x...), Gamma: vector(1), Beta: vector(0), Epsilon: epsilon}
		trial := &trial{env: &env{name: t.Name()}, op: op, list: operands(op)}
		for _, o := range trial.list {
			trial.blocks = append(trial.blocks, o.block())
		}
		before, _ := answers.Load(fmt.Sprint(t.Name(), 0))
		expected, err := trial.answer(0)
		if err != nil {
			t.Fatal(err)
		}
		if after, _ := answers.Load(fmt.Sprint(t.Name(), 0)); before == nil || before.(answer).of != after.(answer).of {
			asked++
		}
		return fmt.Sprint(expected["dst"].v)
	}
	first := normOf(1, 1, 2, 4)
	if normOf(1, 1, 2, 4) != first || asked != 1 {
		t.Errorf("the same question twice: the oracle was asked %d times", asked)
	}
	if normOf(1, 1, 2, 5) == first {
		t.Error("other data, the same answer")
	}
	if normOf(2, 1, 2, 4) == first {
		t.Error("another epsilon, the same answer")
	}
}
