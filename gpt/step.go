package gpt

// Steps: forward passes, recorded once for each number of tokens and run again and
// again. A session and a batch both run on these.

import (
	"cmp"
	"math/bits"
	"slices"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/nn"
)

// steps are the recorded passes over one cache.
type steps struct {
	m         *model.Model
	cache     model.Cache
	table     backend.Tensor // as in nn.Places, as is the next one
	nearTable backend.Tensor
	size      int            // positions that a sequence can have
	inputs    backend.Tensor // i32, of a step: ids, sequences, positions, the rows to score, the slots that these are drawn for
	edit      nn.Edit
	tail      tail   // where caches of layers with a window stand
	draws     *draws // where steps draw tokens; nil until one does

	recorded []*step // the latest used first
	last     *step   // that ran last, or nil
	held     *step   // whose scores may still be read while another is made ready; nil: none
}

// stepSize is how many tokens a step reads, each number a power of two or 0.
type stepSize struct {
	single int  // the first ones, each of any sequence
	chunk  int  // the others, of one sequence, at consecutive positions
	scored int  // tokens whose scores are computed; not a power of two where a chunk's last is one of them
	draws  bool // a token is drawn for each of these
}

// tokens is how many are read.
func (n stepSize) tokens() int { return n.single + n.chunk }

// picks reports whether the rows to score are an input: otherwise they are all rows.
func (n stepSize) picks() bool { return n.scored != n.tokens() }

// slots is where in a step's inputs the slots begin that its rows are drawn for.
func (n stepSize) slots() int {
	if n.picks() {
		return 3*n.tokens() + n.scored
	}
	return 3 * n.tokens()
}

// inputs is the number of a step's inputs.
func (n stepSize) inputs() int {
	if n.draws {
		return n.slots() + n.scored
	}
	return n.slots()
}

// step is a recorded pass.
type step struct {
	*nn.Program
	size   stepSize
	watch  []string // names of values that are kept
	named  map[string]backend.Tensor
	logits backend.Tensor // [1, scored, vocab]
	drawn  backend.Tensor // [scored, backend.SampleWords], if the step draws
}

// get returns the step of a size that watches the names, recorded at its first use.
// Before memory for another is asked for, those that were used longest ago are closed,
// until the others take at most so many bytes.
func (s *steps) get(size stepSize, watch []string, most int) (*step, error) {
	i := slices.IndexFunc(s.recorded, func(p *step) bool { return p.size == size && slices.Equal(p.watch, watch) })
	if i >= 0 {
		p := s.recorded[i]
		copy(s.recorded[1:], s.recorded[:i])
		s.recorded[0] = p
		return p, nil
	}
	t := s.m.Tape()
	t.Edit(s.edit)
	t.Watch(func(name string) bool {
		return slices.ContainsFunc(watch, func(pattern string) bool { return matches(pattern, name) })
	})
	n := size.tokens()
	ids, at := stepTensors(s.inputs, n)
	at.Table, at.NearTable, at.Single, at.Context = s.table, s.nearTable, size.single, s.size
	s.tail.places(&at, s.inputs, n, size.inputs())
	x := s.m.Forward(t, ids, at, s.cache) // [1, tokens, width]
	if size.picks() {
		x = t.Pick(x, s.inputs.Slice(-1, 3*n, 3*n+size.scored)) // [1, scored, width]
	}
	logits := t.Keep(model.Unembed(s.m, t, x))
	var drawn backend.Tensor
	if size.draws {
		draws := s.draws.Sampling
		draws.Slots = s.inputs.Slice(-1, size.slots(), size.inputs())
		drawn = t.Keep(t.Sample(logits, draws, s.inputs.Slice(-1, 0, size.scored)))
	}
	if err := s.forget(most); err != nil {
		return nil, err
	}
	program, err := t.Record()
	if err != nil {
		return nil, err
	}
	p := &step{program, size, watch, program.Named(), program.Tensor(logits), program.Tensor(drawn)}
	if err := cmp.Or(p.complete(), s.whole(p)); err != nil {
		p.Close()
		return nil, err
	}
	s.recorded = slices.Insert(s.recorded, 0, p)
	return p, nil
}

// run runs a step over its inputs.
func (s *steps) run(p *step, inputs []int32) error {
	inputs, err := s.place(p, inputs)
	if err != nil {
		return err
	}
	if err := backend.SetI32(s.m.Backend, s.inputs.Slice(-1, 0, len(inputs)), inputs); err != nil {
		return err
	}
	if err := p.Run(); err != nil {
		return err
	}
	s.last = p
	return nil
}

// place makes room for the tokens of a step where caches have the latest positions alone, and
// adds the places of these to its inputs. They are of one sequence, at consecutive positions.
func (s *steps) place(p *step, inputs []int32) ([]int32, error) {
	if s.tail.rows == 0 {
		return inputs, nil
	}
	n, known := p.size.tokens(), 0
	for known < n && inputs[n+known] != padding {
		known++
	}
	positions := inputs[2*n : 3*n]
	if err := s.tail.reach(s.m, s.cache, int(positions[0]), known); err != nil {
		return nil, err
	}
	return append(inputs, s.tail.near(positions)...), nil
}

// forget closes the steps that were used longest ago, until the others take at most so
// many bytes. It leaves the one that is held.
func (s *steps) forget(most int) error {
	total := 0
	for i, p := range s.recorded {
		if total += p.Memory(); total <= most {
			continue
		}
		old := s.recorded[i:]
		s.recorded = s.recorded[:i:i]
		for _, p := range old {
			if p == s.held {
				s.recorded = append(s.recorded, p)
				continue
			}
			if p == s.last {
				s.last = nil
			}
			if err := p.Close(); err != nil {
				return err
			}
		}
		break
	}
	return nil
}

// close frees the steps, their inputs and the cache.
func (s *steps) close() {
	for _, p := range s.recorded {
		p.Close()
	}
	s.recorded, s.last = nil, nil
	s.tail.close()
	append(s.cache, s.inputs, s.table, s.nearTable).Free()
	s.draws.free()
}

// stepTensors are what [stepInputs] of so many tokens is for, where inputs begins with it.
func stepTensors(inputs backend.Tensor, time int) (ids backend.Tensor, at nn.Places) {
	return inputs.Slice(-1, 0, time), nn.Places{At: inputs.Slice(-1, time, 3*time).Reshape(2, time)}
}

// stepInputs are ids, sequences and positions of a step of so many tokens, in one list: of
// ids, which follow one another from a position of a sequence on, and of padding.
func stepInputs(ids []int, seq, pos, time int) []int32 {
	values := make([]int32, 3*time, 3*time+1)
	for i := range time {
		put(values, i, 0, padding, 0)
		if i < len(ids) {
			put(values, i, ids[i], seq, pos+i)
		}
	}
	return values
}

// padding is the sequence of a token that is none.
const padding = -1

// put writes token i of the inputs of a step.
func put(values []int32, i, id, seq, pos int) {
	n := len(values) / 3
	values[i], values[n+i], values[2*n+i] = int32(id), int32(seq), int32(pos)
}

// int32s are ids as devices have them.
func int32s(ids []int) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}

// ceilPow2 is the least power of two that is at least n, and 0 for 0. Steps come in these
// sizes only, so that few programs serve every prompt.
func ceilPow2(n int) int {
	if n == 0 {
		return 0
	}
	return 1 << bits.Len(uint(n-1))
}
