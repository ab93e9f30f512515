package inspect_test

import (
	"context"
	"fmt"
	"log"

	"caldera/inspect"
)

// The question that the last vector answers most strongly in a layer, and what the answer
// writes; then what else in the text answers it.
func ExampleInspector_MLP() {
	ctx := context.Background()
	in, closeModel := openModel(ctx)
	defer closeModel()
	ids, err := in.Encode("It is a truth universally acknowledged, that a single man")
	if err != nil {
		log.Fatal(err)
	}
	layer := 1
	a, err := in.MLP(ctx, ids, inspect.MLPOptions{Layer: &layer, Position: -1, Neurons: 1, Tokens: 1})
	if err != nil {
		log.Fatal(err)
	}
	answer := a.Layers[0].Answers[0]
	fmt.Printf("neuron %d answers %.1f to %q, which raises %q\n", answer.Neuron, answer.Value, a.Tokens[a.Position].Text, answer.Raised[0].Text)
	n, err := in.MLPNeuron(ctx, ids, inspect.MLPNeuronOptions{Layer: layer, Neuron: answer.Neuron, Positions: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, at := range n.Strongest {
		fmt.Printf("%q %.1f\n", n.Tokens[at].Text, n.Values[at])
	}
	// Output:
	// neuron 29 answers 3.3 to " man", which raises "ship"
	// " man" 3.3
	// " that" 0.3
}
