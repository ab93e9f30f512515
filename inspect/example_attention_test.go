package inspect_test

import (
	"context"
	"fmt"
	"log"

	"caldera/backend"
	_ "caldera/backend/cpu" // for GPUs import caldera/backend/vulkan too, and open "auto"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/inspect"
	"caldera/models"
)

// openModel opens the embedded model on the CPU.
func openModel(ctx context.Context) (in *inspect.Inspector, close func()) {
	b, err := backend.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	c, err := checkpoint.OpenFS(models.Default(), models.Name)
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := c.Tokenizer()
	if err != nil {
		log.Fatal(err)
	}
	m, err := gpt.LoadCheckpoint(ctx, b, c, gpt.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	in = inspect.New(m, tokens, inspect.Options{Name: models.Name})
	return in, func() {
		in.Close()
		m.Close()
		b.Close()
	}
}

// Who looks at whom: the strongest pairs of all heads, and one head's map.
func ExampleInspector_Attention() {
	ctx := context.Background()
	in, closeModel := openModel(ctx)
	defer closeModel()
	ids, err := in.Encode("It is a truth universally acknowledged")
	if err != nil {
		log.Fatal(err)
	}
	all, err := in.Attention(ctx, ids, inspect.AttentionOptions{Top: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range all.Pairs {
		fmt.Printf("head %d of layer %d: %q looks at %q with %.2f\n", p.Head, p.Layer, all.Tokens[p.From].Text, all.Tokens[p.To].Text, p.Prob)
	}
	layer, head := all.Pairs[0].Layer, all.Pairs[0].Head
	one, err := in.Attention(ctx, ids, inspect.AttentionOptions{Layer: &layer, Head: &head})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f\n", one.Heads[0].Map[2])
	// Output:
	// head 0 of layer 2: " truth" looks at " is" with 0.99
	// head 0 of layer 2: " un" looks at " is" with 0.99
	// [0.01 0.97 0.02]
}
