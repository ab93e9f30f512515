package inspect_test

import (
	"context"
	"fmt"
	"log"

	"caldera/backend"
	_ "caldera/backend/cpu"
	"caldera/gpt/model"
	"caldera/inspect"
)

// A training run that kept snapshots shows how a text became less surprising. The
// Inspector needs no model of its own, only a backend.
func ExampleInspector_Learn() {
	b, err := backend.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	in := inspect.New(&model.Model{Backend: b}, nil, inspect.Options{})
	defer in.Close()
	l, err := in.Learn(context.Background(), "../internal/view/testdata/run", inspect.LearnOptions{
		Text: func(in *inspect.Inspector) ([]int, error) { return in.Encode("the author") },
		Most: 3, Top: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range l.Stages {
		fmt.Printf("step %d: a surprise of %.1f nats a token\n", s.Step, float64(s.Surprise))
	}
	// Output:
	// step 0: a surprise of 3.8 nats a token
	// step 13: a surprise of 3.6 nats a token
	// step 2000: a surprise of 2.7 nats a token
}
