package inspect_test

import (
	"context"
	"fmt"
	"log"

	"caldera/inspect"
)

// The model expects something after every token of a text; how surprised it is by what
// comes is what training makes smaller.
func ExampleInspector_Next() {
	ctx := context.Background()
	in, closeModel := openModel(ctx)
	defer closeModel()
	ids, err := in.Encode("It is a truth universally acknowledged")
	if err != nil {
		log.Fatal(err)
	}
	next, err := in.Next(ctx, ids, inspect.NextOptions{Top: 1, Position: -1, Temperatures: []float64{0.5, 2}})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range next.Positions[:3] {
		fmt.Printf("after %q the likeliest is %q; %q came, rank %d, surprise %.1f nats\n", p.Token.Text, p.Top[0].Text, p.Next.Text, p.Rank, float64(p.Surprise))
	}
	fmt.Printf("%d predictions in one pass, a loss of %.1f nats\n", next.Training.Predictions, float64(next.Training.Loss))
	for _, t := range next.Temperatures {
		fmt.Printf("at temperature %v, %q is drawn with probability %.2f\n", float64(t.Temperature), t.Tokens[0].Text, float64(t.Tokens[0].Drawn))
	}
	// Output:
	// after "It" the likeliest is " was"; " is" came, rank 2, surprise 1.4 nats
	// after " is" the likeliest is " a"; " a" came, rank 1, surprise 1.8 nats
	// after " a" the likeliest is " very"; " truth" came, rank 443, surprise 8.9 nats
	// 10 predictions in one pass, a loss of 3.3 nats
	// at temperature 0.5, "." is drawn with probability 0.68
	// at temperature 2, "." is drawn with probability 0.05
}

// The difference of two words' vectors is a direction that can be applied to a third.
func ExampleInspector_Embed() {
	ctx := context.Background()
	in, closeModel := openModel(ctx)
	defer closeModel()
	sum, err := inspect.ParseSum([]string{"mother - she + he"})
	if err != nil {
		log.Fatal(err)
	}
	e, err := in.Embed(ctx, []string{"Elizabeth"}, inspect.EmbedOptions{Nearest: 2, Sum: sum, On: []string{"he", "she"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range e.Words[0].Nearest {
		fmt.Printf("%q is near to %q: cosine %.2f\n", n.Text, e.Words[0].Text, float64(n.Cosine))
	}
	fmt.Printf("%s is nearest to %q\n", e.Sum, e.Sum.Nearest[0].Text)
	for _, p := range e.Direction.Projections[:2] {
		fmt.Printf("%s lies at %.2f of the way from he to she\n", p.Word, float64(p.Share))
	}
	// Output:
	// " Lydia" is near to " Elizabeth": cosine 0.73
	// " Darcy" is near to " Elizabeth": cosine 0.67
	// mother - she + he is nearest to " father"
	// Elizabeth lies at 0.63 of the way from he to she
	// mother lies at 0.56 of the way from he to she
}

// When the window is full, its older half is forgotten.
func ExampleInspector_Forget() {
	ctx := context.Background()
	in, closeModel := openModel(ctx)
	defer closeModel()
	ids, err := in.Encode("It is a truth universally acknowledged")
	if err != nil {
		log.Fatal(err)
	}
	f, err := in.Forget(ctx, ids, inspect.ForgetOptions{Context: 8, Top: 1})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range f.Slides {
		fmt.Printf("%q is forgotten, %q is read again before %q\n", s.Forgotten.Text, s.Kept.Text, s.Came.Text)
		fmt.Printf("the probability of what came was %.4f, and is now %.4f\n", float64(s.With.Prob), float64(s.Without.Prob))
	}
	// Output:
	// "It is a truth" is forgotten, " universally" is read again before " acknow"
	// the probability of what came was 0.0006, and is now 0.0017
}
