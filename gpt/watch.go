package gpt

// Watching: the values between a session's tokens and its scores.

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"caldera/backend"
)

// Watch says which of the values that the model names are kept from now on, such as
// "blocks.3.attention.probs". A name may be a pattern of [path.Match], in which "*"
// stands for any part: "hidden.*". Package model lists the names. Values that are not
// watched cost nothing, and those that are keep ops from being fused that read them.
// A name that the model does not have is an error of the next Feed.
func (s *Session) Watch(names ...string) { s.watch = slices.Clone(names) }

// Seen is a value of the step that ran last, in the memory of the backend: it is
// overwritten by the next one. Feed takes a step for each [MaxChunk] of its tokens.
// The tensor's shape is as package model lists it; the batch is 1, and time is at
// least the number of tokens that the step has read: the rows of these come first.
// It is absent if there was no step, or the value was not watched.
func (s *Session) Seen(name string) backend.Tensor {
	if s.last == nil {
		return backend.Tensor{}
	}
	return s.last.named[name]
}

// Scores are those that Feed has returned, [1, 1, vocab], in the memory of the backend:
// they are overwritten by the next step. The tensor is absent if there was no step. Generate
// may be a step ahead of its tokens, and with a drafter scores several of them, unless values
// are watched: the scores are then those after the latest token.
func (s *Session) Scores() backend.Tensor {
	if s.last == nil {
		return backend.Tensor{}
	}
	return s.last.logits
}

// Watched are the names of the values that Seen has, in order.
func (s *Session) Watched() []string {
	if s.last == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.last.named))
}

// Writers are the ops that wrote the value, as indices of the spans of a profile of
// the last step.
func (s *Session) Writers(name string) []int {
	if s.last == nil {
		return nil
	}
	return s.last.Writers(name)
}

// complete returns an error for a name that the model does not have.
func (p *step) complete() error {
	names := slices.Sorted(maps.Keys(p.named))
	for _, w := range p.watch {
		if !slices.ContainsFunc(names, func(name string) bool { return matches(w, name) }) {
			return fmt.Errorf("watch %q: the model has no value of that name; package model lists them", w)
		}
	}
	return nil
}

// whole returns an error for a map of attention of a layer that does not have all positions.
func (s *steps) whole(p *step) error {
	for i := range s.m.Layers {
		name := fmt.Sprintf("blocks.%d.attention.probs", i)
		if _, watched := p.named[name]; watched && s.tail.rowsOf(s.m, i, s.size) < s.size {
			return fmt.Errorf("watch %q: the session keeps only the latest positions of this layer, whose queries see a window: make it with SessionOptions.Whole", name)
		}
	}
	return nil
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
