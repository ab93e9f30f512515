package bench

import (
	"testing"

	"caldera/backend"
	_ "caldera/backend/cpu"
	"caldera/gpt"
	"caldera/gpt/model"
)

// TestModelSize is that of the weights: of f32, four bytes each.
func TestModelSize(t *testing.T) {
	b, err := backend.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, name := range []string{"nanogpt", "llama-tiny"} {
		c, err := model.Shape(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := gpt.Random(t.Context(), b, c, gpt.LoadOptions{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytesOf(m); n != 4*int64(c.Parameters()) {
			t.Errorf("%s: %d bytes of %d weights", name, n, c.Parameters())
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}
