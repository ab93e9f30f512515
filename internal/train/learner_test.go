package train

import (
	"math"
	"os"
	"strings"
	"testing"

	"caldera/backend"
	_ "caldera/backend/cpu"
	"caldera/gpt"
)

// TestSaveDiverged saves no weights that the last step has made infinite: its
// loss, before it, was a number.
func TestSaveDiverged(t *testing.T) {
	b, err := backend.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	o := options()
	config, err := Shape{Family: "gpt2", Layers: 1, Heads: 1, Width: 4}.Config(o.BlockSize, 9, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.Random(t.Context(), b, config, gpt.LoadOptions{Train: true}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	g, err := NewGPT(m, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Save(t.TempDir()); err != nil {
		t.Errorf("weights that are numbers: %v", err)
	}
	ids := make([]int, o.StepTokens())
	if loss, norm, err := g.Step(ids, ids, math.Inf(1)); err != nil || !finite(loss) || !finite(norm) {
		t.Fatalf("loss %v, norm %v, %v", loss, norm, err)
	}
	dir := t.TempDir()
	err = g.Save(dir)
	if err == nil || !strings.Contains(err.Error(), "training has diverged; try a lower learning_rate") {
		t.Errorf("weights that are none: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("it wrote %v, %v", entries, err)
	}
}
