package inspect_test

import (
	"context"
	"fmt"
	"log"
)

// Any value that the model names, for every position of a text.
func ExampleInspector_Run() {
	ctx := context.Background()
	in, closeModel := openModel(ctx)
	defer closeModel()
	ids, err := in.Encode("It is a truth")
	if err != nil {
		log.Fatal(err)
	}
	run, err := in.Run(ctx, ids, "blocks.3.attention.probs", "hidden.*")
	if err != nil {
		log.Fatal(err)
	}
	probs := run.Value("blocks.3.attention.probs") // [heads, time, time]
	fmt.Printf("head 0, position 2: %.2f\n", probs.Row(0, 2))
	last := run.Value("hidden.%d", in.Model.Layers) // [time, width]
	fmt.Println(last.Name, last.Shape)
	// Output:
	// head 0, position 2: [0.27 0.42 0.31 0.00]
	// hidden.6 [4 192]
}
