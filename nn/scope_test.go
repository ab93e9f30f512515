package nn_test

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/nn"
)

// TestScope finds values by the names of their scopes, replaces one, and asks which
// ops wrote them.
func TestScope(t *testing.T) {
	b := newCounting()
	tape := nn.NewTape(b)
	names := []string{}
	tape.Edit(func(t *nn.Tape, name string, x nn.Tensor) nn.Tensor {
		names = append(names, name)
		if name == "blocks.1.mlp.sum" {
			return t.Add(x, x)
		}
		return x
	})
	tape.Watch(func(name string) bool { return name != "blocks.1.mlp.sum" })
	x := f32(t, b, 3, 8)
	s := tape.Scope("blocks.%d", 1).Scope("mlp")
	sum := s.Add(x, x)
	twice := s.Name(sum, "sum")
	if twice == sum {
		t.Error("Name returned the value that Edit replaced")
	}
	s.See(sum, "before")
	tape.Name(tape.Add(twice, x), "end")
	p, err := tape.Record()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if want := []string{"blocks.1.mlp.sum", "end"}; !slices.Equal(names, want) {
		t.Errorf("Edit was called for %q, expected %q", names, want)
	}
	for name, writers := range map[string][]int{"blocks.1.mlp.before": {0}, "end": {2}, "blocks.1.mlp.sum": nil, "nothing": nil} {
		if got := p.Writers(name); !slices.Equal(got, writers) {
			t.Errorf("%s was written by ops %v, expected %v", name, got, writers)
		}
		if _, found := p.Named()[name]; found != (writers != nil) {
			t.Errorf("%s: found is %v", name, found)
		}
	}
	if got, least := p.Memory(), 2*backend.F32.Bytes(3*8); got < least {
		t.Errorf("results take %d bytes, expected at least %d", got, least)
	}
}
