// Package inspect looks into a GPT while it reads a text: how the text is cut into
// tokens, which vectors stand for them, who looks at whom, what each block adds, and
// how probable every next token is, at any place.
//
// All values come from a model that runs: an [Inspector] watches what the model names
// while a [gpt.Session] reads the text, on whichever backend has the model. Nothing is
// computed that is not looked at. Each file has one way to look:
//
//	tally.go        the weights of a model, by kind
//	tokens.go       a text cut into tokens
//	embed.go        words as vectors: what is near, sums, directions, a map
//	next.go         what is expected after every token, what came, what may be drawn
//	forget.go       what a window drops when it is full
//	run.go          the values that a model names, while it reads a text
//	scores.go       vectors mapped to scores of all tokens
//	attention.go    who looks at whom
//	context.go      a word in two texts, and what moved its vectors apart
//	mlp.go          which questions of the MLP a vector answers, and what the answers write
//	weights.go      products with weights that no session computes
//	lens.go         scores of the vectors after every block
//	attribution.go  what each part of the model added to a score
//	ablation.go     what the model says with some of its parts switched off
//	made.go         which ops made a value, and how long that took
//	learn.go        a text, read with the weights that a training run has kept on its way
//
// Results are structs that marshal to JSON.
package inspect

import (
	"cmp"
	"errors"
	"fmt"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
)

// Inspector looks into one model. Calls must not overlap.
type Inspector struct {
	Model     *model.Model         // as it was given, on a backend that measures ops
	Tokenizer *tokenizer.Tokenizer // nil: the model has none, and reads ids
	Name      string               // of the model, for people

	masked  *masked      // to switch parts off, or nil
	session *gpt.Session // with room for the longest text so far
	cache   backend.DType
	heads   map[int]*head        // by the number of rows
	norms   map[string][]float64 // of the rows of a matrix, by its name

	profiling bool
	made      []Made
}

// Options say how an Inspector runs a model.
type Options struct {
	Name  string        // of the model, for people
	Cache backend.DType // of keys and values: one of caches; None: F32
}

// New returns an Inspector of m. The model stays the caller's, who closes it after the
// Inspector, and its weights must stay as they are until then. t is the model's
// tokenizer, or nil.
//
// Where the model's products round what they read, to f16 or because the device is faster so, those of the Inspector do
// not: a text must give the same numbers, which add up to its scores, on every device. Blocks that
// were asked for are the same on every device, and are kept.
func New(m *model.Model, t *tokenizer.Tokenizer, o Options) *Inspector {
	measured := *m
	measured.Backend = backend.WithProfiler(m.Backend)
	if m.Network != nil && !m.Activations.Quantized() {
		measured.Activations = backend.F32
	}
	return &Inspector{Model: &measured, Tokenizer: t, Name: o.Name, cache: cmp.Or(o.Cache, backend.F32), heads: map[int]*head{}, norms: map[string][]float64{}}
}

// Close frees what the Inspector has on the device.
func (in *Inspector) Close() {
	if in.session != nil {
		in.session.Close()
		in.session = nil
	}
	in.masked.close()
	in.masked = nil
	for _, h := range in.heads {
		h.close()
	}
	clear(in.heads)
}

// UserError is an error that whoever asks can mend: a text that is too long, a layer
// that the model does not have.
type UserError struct{ Err error }

func (e UserError) Error() string { return e.Err.Error() }
func (e UserError) Unwrap() error { return e.Err }

// Userf returns a UserError with a message.
func Userf(format string, args ...any) error { return UserError{fmt.Errorf(format, args...)} }

// Encode cuts a text into tokens, behind those that the tokenizer puts before a text.
// An empty text is the token that begins one, if the model has any. The error of a text
// that does not fit the model's context is a UserError.
func (in *Inspector) Encode(text string, options ...tokenizer.Option) ([]int, error) {
	return in.EncodeUpTo(in.Model.Context, text, options...)
}

// EncodeUpTo is Encode for a text of up to so many tokens, which may be more than the
// model's context holds.
func (in *Inspector) EncodeUpTo(most int, text string, options ...tokenizer.Option) ([]int, error) {
	switch {
	case text == "" && in.Tokenizer != nil && len(in.Tokenizer.Prefix()) > 0:
		return in.Tokenizer.Prefix(), nil
	case text == "" && len(in.Model.BOS) > 0:
		return in.Model.BOS[:1], nil
	case text == "":
		return nil, Userf("the text is empty: this model has no token that begins a text, so give it at least one word")
	case in.Tokenizer == nil:
		return nil, Userf("the model has no tokenizer: give it token ids, 0 to %d", in.Model.Vocab-1)
	}
	if least := (len(text) + in.Tokenizer.Longest() - 1) / in.Tokenizer.Longest(); least > most {
		return nil, in.tooLong(fmt.Sprintf("%d bytes, which are at least %d tokens,", len(text), least), most)
	}
	ids, err := in.Tokenizer.EncodePrompt(text, options...)
	if err != nil {
		return nil, UserError{err}
	}
	return ids, in.fitsUpTo(most, ids)
}

// Fits returns an error for ids that are no text for the model: none, too many, or
// unknown ones.
func (in *Inspector) Fits(ids []int) error { return in.fitsUpTo(in.Model.Context, ids) }

func (in *Inspector) fitsUpTo(most int, ids []int) error {
	if len(ids) == 0 {
		return UserError{errors.New("the text has no tokens: give it at least one")}
	}
	if len(ids) > most {
		return in.tooLong(fmt.Sprintf("%d tokens", len(ids)), most)
	}
	return in.known(ids)
}

func (in *Inspector) tooLong(found string, most int) error {
	if most != in.Model.Context {
		return Userf("the text has %s and at most %d are expected: shorten it", found, most)
	}
	return Userf("the text has %s and the model's context holds %d: shorten it", found, most)
}

// known returns an error for ids that the model does not have.
func (in *Inspector) known(ids []int) error {
	for i, id := range ids {
		if id < 0 || id >= in.Model.Vocab {
			return Userf("token %d of the text is %d: expected 0 to %d, the ids that the model knows", i, id, in.Model.Vocab-1)
		}
	}
	return nil
}

// checkLayer returns an error if the model has no block i.
func (in *Inspector) checkLayer(i int) error {
	if i < 0 || i >= in.Model.Layers {
		return Userf("layer %d: this model has layers 0 to %d", i, in.Model.Layers-1)
	}
	return nil
}

// checkHead returns an error if a layer has no head i.
func (in *Inspector) checkHead(i int) error {
	if i < 0 || i >= in.Model.Heads {
		return Userf("head %d: a layer of this model has heads 0 to %d", i, in.Model.Heads-1)
	}
	return nil
}

// checkPosition returns the position of ids that i stands for: from the end if it is
// below 0.
func checkPosition(i int, ids []int) (int, error) {
	at := i
	if i < 0 {
		at = len(ids) + i
	}
	if at < 0 || at >= len(ids) {
		return 0, Userf("position %d: the text has positions 0 to %d, or -%d to -1 from its end", i, len(ids)-1, len(ids))
	}
	return at, nil
}
