package inspect_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"caldera/backend"
	_ "caldera/backend/cpu"
	"caldera/inspect"
)

// A small model learns a text from random weights, and is looked at as it does.
func ExampleTraining() {
	ctx := context.Background()
	b, err := backend.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	t, err := inspect.NewTraining(ctx, b, inspect.TrainingOptions{
		Text: strings.Repeat("one two three four ", 40), Probe: "one tw",
		Layers: 1, Heads: 2, Width: 16, Context: 16, Steps: 100, Every: 100, Rate: 0.02,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	for p, err := range t.Learn(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if look := p.Look; look != nil && look.Step == 100 {
			best := look.Next[0]
			fmt.Printf("after %q comes %q with probability %.1f\n", strings.Join(look.Probe, ""), best.Text, best.Probability)
		}
	}
	// Output: after "one tw" comes "o" with probability 1.0
}
