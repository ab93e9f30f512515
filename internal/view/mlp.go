package view

import (
	"context"
	"fmt"
	"math"
	"strings"

	"caldera/inspect"
)

// MLP are the parameters of the view of the MLP's answers.
type MLP struct {
	Text
	Layer    *int `placeholder:"N" help:"This layer alone, from 0."`
	Position int  `default:"-1" placeholder:"N" help:"The position whose vector answers, from 0, or from the end: -1 is the last (${default})."`
	Neuron   *int `placeholder:"N" help:"Show how this neuron of a layer answers at every position, from 0."`
	ByLength bool `help:"Order answers by the length of what they add to the vector, not by their values."`
	Top      int  `default:"5" placeholder:"N" help:"How many neurons of each layer are listed, or positions of a neuron (${default})."`
	Tokens   int  `name:"writes" default:"5" placeholder:"N" help:"How many tokens are listed that a neuron raises, and lowers (${default})."`
}

// Run looks.
func (p *MLP) Run(ctx context.Context, in *inspect.Inspector) (Result, error) {
	ids, err := p.ids(in)
	if err != nil {
		return nil, err
	}
	switch {
	case p.Neuron != nil && p.Layer == nil:
		return nil, inspect.Userf("neuron %d of which layer: choose a layer too", *p.Neuron)
	case p.Neuron != nil:
		n, err := in.MLPNeuron(ctx, ids, inspect.MLPNeuronOptions{Layer: *p.Layer, Neuron: *p.Neuron, Positions: p.Top, Tokens: p.Tokens})
		if err != nil {
			return nil, err
		}
		return MLPNeuronResult{n}, nil
	}
	a, err := in.MLP(ctx, ids, inspect.MLPOptions{Layer: p.Layer, Position: p.Position, Neurons: p.Top, ByLength: p.ByLength, Tokens: p.Tokens})
	if err != nil {
		return nil, err
	}
	return MLPResult{a}, nil
}
