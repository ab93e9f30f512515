package gpt

// The memory of a batch: which blocks its sequences have and reserve.

import (
	"slices"
	"sort"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt/model"
	"caldera/nn"
)

// perSequence is how many blocks a sequence has at most.
func (o BatchOptions) perSequence() int { return (o.Context + o.Block - 1) / o.Block }

// reserve is how many blocks a sequence takes that has so many tokens and draws predict
// more, and whether its context can become full. What is drawn last is not read.
func (o BatchOptions) reserve(tokens, predict int) (blocks int, slides bool) {
	if predict < 0 || predict > o.Context-tokens+1 {
		return o.perSequence(), true
	}
	return (tokens + predict - 1 + o.Block - 1) / o.Block, false
}

// Need is how many blocks a batch has to have for so many answers to a prompt of so many
// tokens, each of up to predict tokens, as in Options: forks of one sequence, which share
// the blocks that the prompt fills. Answers that can fill a context share nothing then.
func (o BatchOptions) Need(c model.Config, prompt, predict, answers int) (int, error) {
	o, err := o.sizes(c)
	if err != nil {
		return 0, err
	}
	if predict == 0 {
		predict = o.Context - prompt + 1
	}
	each, slides := o.reserve(prompt, predict)
	if slides {
		return answers * each, nil
	}
	return each + (answers-1)*(each-prompt/o.Block), nil
}

// demand is how many blocks the live sequences, and more, can come to take together. It
// never grows but by a sequence that is admitted.
//
// A sequence whose context can become full gives up what it shares then, so all that it
// can have counts. For the others, what they share counts once, and what they can still
// take is added.
func (b *Batch) demand(more ...*Sequence) int {
	total, seen, counted := 0, map[int]bool{}, map[*Sequence]bool{}
	count := func(s *Sequence) {
		total += s.most
		switch {
		case s.slides:
		case s.of == nil:
			for _, n := range s.blocks {
				if seen[n] {
					total--
				}
				seen[n] = true
			}
		case s.of.slides && !counted[s.of]: // which keeps nothing for those that wait for it
			counted[s.of] = true
		default:
			total -= s.length() / b.o.Block
		}
	}
	for _, s := range b.live {
		count(s)
	}
	for _, s := range more {
		count(s)
	}
	return total
}

// enter writes an entry of the table: the number of the i-th block of a sequence.
func (b *Batch) enter(s *Sequence, i, number int) {
	if b.entries == nil {
		return
	}
	b.entries[s.row*b.o.perSequence()+i] = int32(number)
	b.stale = true
}

// extend makes room for so many positions.
func (b *Batch) extend(s *Sequence, positions int) {
	for len(s.blocks)*b.o.Block < positions {
		n := b.pool.take()
		b.enter(s, len(s.blocks), n)
		s.blocks = append(s.blocks, n)
		b.windowed.extend(b, s)
	}
}

// full are the blocks that a fork shares with a sequence.
func (s *Sequence) full() []int { return s.blocks[:s.read/s.batch.o.Block] }

// give lets a fork share what the other has read.
func (b *Batch) give(f, s *Sequence) error {
	f.of, f.read, f.blocks = nil, s.read, slices.Clone(s.full())
	for i, n := range f.blocks {
		b.pool.share(n)
		b.enter(f, i, n)
	}
	full, rest := len(f.blocks), s.read%b.o.Block
	b.windowed.share(b, f, s, full)
	if rest == 0 {
		return nil
	}
	b.extend(f, s.read)
	from, to := []int{s.blocks[full]}, []int{f.blocks[full]}
	if b.windowed.pool != nil {
		from, to = append(from, s.near[full]), append(to, f.near[full])
	}
	return b.copy(from, to, rest)
}

// copies are programs that copy rows of the cache of all layers.
type copies struct {
	program *nn.Program
	inputs  backend.Tensor // i32: [block] rows to read, then sequences and positions as for a step; likewise of layers with a window
}

func (c *copies) close() {
	c.program.Close()
	model.Cache{c.inputs}.Free()
	*c = copies{}
}

// record makes the program, before the first fork: where memory is short no sequence has
// changed then. It reads rows as an embedding does, and stores them as a sequence of
// the whole pool.
func (c *copies) record(b *Batch) (err error) {
	block := b.o.Block
	if c.program != nil || block == 1 || b.o.Sequences == 1 { // where none is ever half full, and where there are no forks
		return nil
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.inputs, err = backend.New(b.m.Backend, backend.I32, 2*3*block); err != nil {
		return err
	}
	t := nn.NewTape(b.m.Backend)
	for i, pool := range b.cache {
		inputs := c.inputs
		if b.windowed.pool != nil && b.m.Window(i) > 0 {
			inputs = c.inputs.Slice(-1, 3*block, 6*block)
		}
		rows, at := stepTensors(inputs, block)
		all := pool.Reshape(1, pool.Dim(-3)*block, pool.Dim(-1))
		t.Store(all, t.Pick(all, rows), at)
	}
	c.program, err = t.Record()
	return err
}

// copy copies the first n positions of a block to another one, in every layer. from and to have a
// block for all layers, or a second one for those with a window.
func (b *Batch) copy(from, to []int, n int) error {
	block := b.o.Block
	var values []int32
	for k := range from {
		one := stepInputs(make([]int, n), 0, to[k]*block, block)
		for i := range n {
			one[i] = int32(from[k]*block + i)
		}
		values = append(values, one...)
	}
	if err := backend.SetI32(b.m.Backend, b.copies.inputs.Slice(-1, 0, len(values)), values); err != nil {
		return err
	}
	return b.copies.program.Run()
}

// usable is how many blocks the backend can use at once: ops address a whole pool.
func (o BatchOptions) usable(m *model.Model) int {
	width, most := m.CacheWidth(), o.Sequences*o.perSequence()
	at, x := null.Tensor(backend.I32, 2, 1), null.Tensor(backend.F32, 1, 1, width)
	table := null.Tensor(backend.I32, o.Sequences, o.perSequence())
	return sort.Search(most, func(i int) bool {
		op := &backend.Store{Dst: null.Tensor(o.Cache, i+1, o.Block, width), X: x, At: at, Table: table}
		return backend.Check(op) != nil || !m.Backend.Supports(op)
	})
}
