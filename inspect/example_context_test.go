package inspect_test

import (
	"context"
	"fmt"
	"log"

	"caldera/inspect"
)

// A word in two texts: its vectors are the same at first, and move apart.
func ExampleInspector_Context() {
	ctx := context.Background()
	in, closeModel := openModel(ctx)
	defer closeModel()
	first, err := in.Encode("a large fortune")
	if err != nil {
		log.Fatal(err)
	}
	second, err := in.Encode("the good fortune to please")
	if err != nil {
		log.Fatal(err)
	}
	word, at, err := in.SharedWord(first, second)
	if err != nil {
		log.Fatal(err)
	}
	c, err := in.Context(ctx, first, second, inspect.ContextOptions{First: at[0], Second: at[1]})
	if err != nil {
		log.Fatal(err)
	}
	last := len(c.Apart) - 1
	fmt.Printf("%s: %.2f apart at first, %.1f in the end\n", word, c.Apart[0].Euclidean, c.Apart[last].Euclidean)
	block := c.First.Blocks[last-2]
	for i, m := range block.Positions {
		fmt.Printf("block %d took from %q what moved it away by %.1f\n", block.Block, c.First.Tokens[i].Text, m.Away)
	}
	// Output:
	// fortune: 0.00 apart at first, 27.8 in the end
	// block 4 took from "a" what moved it away by 2.5
	// block 4 took from " large" what moved it away by 0.9
	// block 4 took from " fortune" what moved it away by 1.7
}
