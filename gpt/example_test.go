package gpt_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"caldera/backend"
	_ "caldera/backend/cpu" // for GPUs import caldera/backend/vulkan too, and open "auto"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/models"
)

// A program opens a device, loads a model, and generates text token by token.
// Here it is the embedded model; gpt.Load reads a directory or a GGUF file.
func Example() {
	ctx := context.Background()
	b, err := backend.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
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
	defer m.Close()
	s, err := gpt.NewSession(m, gpt.SessionOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	const prompt = "It is a truth"
	ids, err := tokens.Encode(prompt)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(prompt)
	text := tokens.NewDecoder() // tokens may end inside of a character
	for token, err := range s.Generate(ctx, ids, gpt.Options{Predict: 6}) {
		if err != nil {
			log.Fatal(err)
		}
		part, err := text.Next(token.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(part)
	}
	// Output: It is a truth. I am sure you will
}

// The zero value of Sampling is greedy; a temperature makes it draw, and filters
// leave unlikely tokens out.
func ExampleSampler() {
	logits := []float32{1, 3, 2, 0} // of a vocabulary of four tokens
	greedy := gpt.NewSampler(gpt.Sampling{})
	id, logProb, err := greedy.Next(logits, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("greedy: token %d, probability %.2f\n", id, math.Exp(logProb))

	drawing := gpt.NewSampler(gpt.Sampling{Temperature: 1, TopK: 2, Seed: 1})
	count := map[int]int{}
	for range 1000 {
		id, _, err := drawing.Next(logits, nil)
		if err != nil {
			log.Fatal(err)
		}
		count[id]++
	}
	fmt.Println("tokens drawn of the two likeliest:", len(count), "and of the others:", count[0]+count[3])
	// Output:
	// greedy: token 1, probability 0.64
	// tokens drawn of the two likeliest: 2 and of the others: 0
}

// Four answers to one prompt, each with a seed of its own, in one pass over the weights for
// each token. The prompt is read once.
func ExampleBatch() {
	ctx := context.Background()
	b, err := backend.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	m, err := gpt.Load(ctx, b, "testdata/gpt2-tiny", gpt.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	batch, err := gpt.NewBatch(m, gpt.BatchOptions{Sequences: 4})
	if err != nil {
		log.Fatal(err)
	}
	defer batch.Close()

	options := gpt.Options{Predict: 5, IgnoreEOS: true, Sampling: gpt.Sampling{Temperature: 1, Seed: 1}}
	first, err := batch.Admit([]int{1, 2, 3}, options)
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		options.Seed++
		if _, err := first.Fork(options); err != nil {
			log.Fatal(err)
		}
	}
	tokens := 0
	for event, err := range batch.Run(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if event.Token != nil {
			tokens++
		}
	}
	fmt.Println(tokens, "tokens")
	// Output: 20 tokens
}
