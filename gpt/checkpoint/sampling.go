package checkpoint

// Reads how the authors of a model want its tokens to be drawn, and writes it.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"

	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/model"
	"caldera/internal/regular"
)

// Sampling is what the files of a model say about drawing tokens; nil where they say nothing.
// What each means is said at gpt.Sampling.
type Sampling struct {
	Temperature   *float64 // 0 where do_sample is false
	TopK          *int     // 0: off
	TopP          *float64 // 1: off
	MinP          *float64
	RepeatPenalty *float64
	RepeatLastN   *int // −1, all tokens, beside a penalty of generation_config.json
}

// Names of the settings, which are llama.cpp's options.
const (
	nameTemp          = "temp"
	nameTopK          = "top-k"
	nameTopP          = "top-p"
	nameMinP          = "min-p"
	nameRepeatPenalty = "repeat-penalty"
	nameRepeatLastN   = "repeat-last-n"
)

// numbers are the numbers of s with their names, those in generation_config.json and in GGUF,
// and up to what they go.
func (s *Sampling) numbers() []samplingNumber {
	return []samplingNumber{
		{&s.Temperature, nameTemp, "temperature", "temp", 0, math.MaxFloat32}, {&s.TopP, nameTopP, "top_p", "top_p", 0, 1},
		{&s.MinP, nameMinP, "min_p", "min_p", 0, 1}, {&s.RepeatPenalty, nameRepeatPenalty, "repetition_penalty", "penalty_repeat", 1e-6, 1e6},
	}
}

type samplingNumber struct {
	to               **float64
	name, json, gguf string
	from, most       float64
}

// counts are the whole numbers of s with their names and keys of GGUF. -1, which a file may have, counts
// as the least.
func (s *Sampling) counts() []samplingCount {
	return []samplingCount{{&s.TopK, nameTopK, keyTopK, 0}, {&s.RepeatLastN, nameRepeatLastN, keyPenaltyLastN, -1}}
}

type samplingCount struct {
	to         **int
	name, gguf string
	least      int64
}

func (n samplingNumber) set(name string, x float64) error {
	if !(x >= n.from && x <= n.most) {
		return fmt.Errorf("%s: found %v, expected %v to %v", name, x, n.from, n.most)
	}
	*n.to = &x
	return nil
}

const (
	keySampling         = "general.sampling." // of llama.cpp
	keyTopK             = keySampling + "top_k"
	keyPenaltyLastN     = keySampling + "penalty_last_n"
	generationTopK      = "top_k"
	generationDoSample  = "do_sample"
	expectedTopK        = "a whole number, 0 or more, or -1 for off"
	expectedSampleValue = "a number"
)

// Sampling reads it, but for what the user gives: those settings are nil, and whatever the files have
// for them is no error. They are called as llama.cpp's options are: temp, top-k, top-p, min-p,
// repeat-penalty, repeat-last-n.
//
// The error names the file of a directory, the key, what was found and what was expected.
func (c *Checkpoint) Sampling(given ...string) (Sampling, error) {
	if c.sampling == nil {
		return Sampling{}, nil
	}
	return c.sampling(func(name string) bool { return !slices.Contains(given, name) })
}

// readSampling reads that of a directory in Hugging Face's layout.
func readSampling(fsys fs.FS, wanted func(name string) bool) (s Sampling, err error) {
	o, err := readGeneration(fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = s.parse(o, wanted)
	}
	if err != nil {
		return Sampling{}, fmt.Errorf("%s: %w", generationName, regular.Cause(err))
	}
	return s, nil
}

func (s *Sampling) parse(o settings, wanted func(name string) bool) error {
	for _, n := range s.numbers() {
		if !wanted(n.name) {
			continue
		}
		var x float64
		found, err := o.decode(n.json, &x, expectedSampleValue)
		if found && err == nil {
			err = n.set(n.json, x)
		}
		if err != nil {
			return err
		}
	}
	if wanted(nameTopK) {
		k := 0
		switch found, err := o.decode(generationTopK, &k, expectedTopK); {
		case err != nil:
			return err
		case found && (k < -1 || k > math.MaxInt32):
			return fmt.Errorf("%s: found %d, expected %s", generationTopK, k, expectedTopK)
		case found:
			k = max(0, k)
			s.TopK = &k
		}
	}
	if wanted(nameTemp) {
		draws := true
		if _, err := o.decode(generationDoSample, &draws, "true or false"); err != nil {
			return err
		}
		if !draws {
			s.Temperature = new(float64)
		}
	}
	if s.RepeatPenalty != nil && wanted(nameRepeatLastN) {
		all := -1
		s.RepeatLastN = &all
	}
	return nil
}

// sampling reads that of a GGUF file.
func (m metadata) sampling(wanted func(name string) bool) (s Sampling, err error) {
	for _, n := range s.numbers() {
		if !wanted(n.name) {
			continue
		}
		key := keySampling + n.gguf
		x, found, err := valueOf(m, key, expectedSampleValue, gguf.Value.Float)
		if found && err == nil {
			err = n.set(key, shortest(x))
		}
		if err != nil {
			return Sampling{}, err
		}
	}
	for _, n := range s.counts() {
		if !wanted(n.name) {
			continue
		}
		x, found, err := valueOf(m, n.gguf, "a whole number", gguf.Value.Int)
		if found && err == nil && (x < -1 || x > math.MaxInt32) {
			err = fmt.Errorf("%s: found %d, expected -1 or more", n.gguf, x)
		}
		if err != nil {
			return Sampling{}, err
		}
		if found {
			count := int(max(x, n.least))
			*n.to = &count
		}
	}
	return s, nil
}

// generation is what the files of a model say about writing text with it.
type generation struct {
	sampling Sampling
	members  settings // of generation_config.json; nil where there is no such file
}

// savedGeneration is what is to be written. Like a template that cannot be read, it is left out where
// o allows that.
func (c *Checkpoint) savedGeneration(o SaveOptions) (g generation, err error) {
	if g.sampling, err = c.Sampling(); err == nil && c.generation != nil {
		if g.members, err = c.generation(); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return generation{}, o.lost("what the files say of sampling cannot be read, and is not written: %w", err)
	}
	return g, nil
}

// inDirectory is what a directory can hold of it. There a penalty of repetition is for all tokens.
func (g generation) inDirectory(o SaveOptions) (generation, error) {
	if g.members != nil {
		return g, nil // it is from there
	}
	var held *int
	if g.sampling.RepeatPenalty != nil {
		all := -1
		held = &all
	}
	var err error
	switch n := g.sampling.RepeatLastN; {
	case n != nil && (held == nil || *n != *held):
		err = o.lost("%s is %d, which %s cannot say, and is left out: there a penalty is for all tokens; give --%s=%[2]d",
			keyPenaltyLastN, *n, generationName, nameRepeatLastN)
	case n == nil && held != nil && *g.sampling.RepeatPenalty != 1:
		err = o.lost("%spenalty_repeat stands without %s, and so counts as many tokens as the program that draws has it: in %s a penalty is for all tokens; give --%s",
			keySampling, keyPenaltyLastN, generationName, nameRepeatLastN)
	}
	g.sampling.RepeatLastN = held
	return g, err
}

// json is the text of generation_config.json for a model of shape c: the members of the model's own file, or what a
// GGUF file says of sampling; nil where nothing is said. It has what begins and ends a text too, for Transformers then
// asks config.json for neither.
func (g generation) json(c model.Config) ([]byte, error) {
	all := map[string]any{}
	for key, value := range g.members {
		all[key] = value
	}
	if g.members == nil {
		if all = samplingSettings(g.sampling); all == nil {
			return nil, nil
		}
	}
	for key, ids := range map[string][]int{"bos_token_id": c.BOS, "eos_token_id": c.EOS} {
		if value, there := g.members[key]; !there || string(value) == "null" {
			all[key] = tokenIDs(ids)
		}
	}
	text, err := json.MarshalIndent(all, "", "  ")
	return append(text, '\n'), err
}

// shortest is a number of float32 as people write it.
func shortest(x float64) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64)
	if err != nil {
		return x
	}
	return y
}

// samplingMetadata are the entries of a GGUF file.
func samplingMetadata(s Sampling) (all []gguf.KeyValue) {
	for _, n := range s.numbers() {
		if x := *n.to; x != nil {
			all = append(all, gguf.KeyValue{Key: keySampling + n.gguf, Value: gguf.OfFloat32(float32(*x))})
		}
	}
	for _, n := range s.counts() {
		if x := *n.to; x != nil {
			all = append(all, gguf.KeyValue{Key: n.gguf, Value: gguf.OfInt32(int32(*x))})
		}
	}
	return all
}

// samplingSettings are the members of generation_config.json, nil for none.
func samplingSettings(s Sampling) map[string]any {
	all := map[string]any{}
	for _, n := range s.numbers() {
		if x := *n.to; x != nil {
			all[n.json] = *x
		}
	}
	if s.TopK != nil {
		all[generationTopK] = *s.TopK
	}
	if len(all) == 0 {
		return nil
	}
	all[generationDoSample] = true
	if s.Temperature != nil && *s.Temperature == 0 {
		delete(all, "temperature")
		all[generationDoSample] = false
	}
	return all
}
