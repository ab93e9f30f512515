package gpt

// Layers whose queries see a window need no keys and values of earlier positions. Where that
// saves memory, the caches of these layers have rows of the latest positions alone: row 0 is
// position start. When they are full, all rows move up. So every kernel reads rows that follow
// one another, as in a cache of all positions; only the places of tokens are others.

import (
	"caldera/backend"
	"caldera/gpt/model"
	"caldera/nn"
)

// tailStep is by how many rows caches move up at once: as many as a step has tokens at most,
// so that one move makes room for any step; and a multiple of what backends divide keys into,
// so that sums over them are added up in the order of a whole cache. Tests change it.
var tailStep = MaxChunk

// tail is where the caches of layers with a window stand.
type tail struct {
	rows   int // that they have; 0: as many as the others
	window int // positions that a query sees, its own included
	start  int // position of row 0, a multiple of tailStep
	move   backend.Program
}

// newTail is for sequences of up to size positions. A step may begin anywhere behind a
// window's rows, and another one may have moved them; so there are rows for a window and two
// steps: between moves a text can be taken back by as many tokens as a step has.
func newTail(m *model.Model, size int) (t tail) {
	t.window = widest(m)
	if rows := t.window - 1 + 2*tailStep; t.window > 0 && rows < size {
		t.rows = rows
	}
	return t
}

// rowsOf is how many rows the cache of layer i has, in a session of so many positions.
func (t *tail) rowsOf(m *model.Model, i, size int) int {
	if t.rows > 0 && m.Window(i) > 0 {
		return t.rows
	}
	return size
}

// CacheBytes is how many bytes of keys and values, as dtype d, a session of so many positions has of a model of shape c.
// Layers with a window have rows of the latest positions alone, where that is less.
func CacheBytes(c model.Config, size int, d backend.DType) int64 {
	return cacheBytes(model.New(nil, c.Complete(), model.Placement{}), size, d)
}

// cacheBytes is the size of a session's caches.
func cacheBytes(m *model.Model, size int, d backend.DType) (bytes int64) {
	t := newTail(m, size)
	for i := range m.Layers {
		bytes += int64(d.Bytes(t.rowsOf(m, i, size) * m.CacheWidth()))
	}
	return bytes
}

// places are those of a step's tokens in these caches, whose positions are inputs from from on.
func (t *tail) places(at *nn.Places, inputs backend.Tensor, n, from int) {
	if t.rows > 0 {
		at.Near = inputs.Slice(-1, n, n+1).Reshape(1, 1)
		at.Near.Shape[2], at.Near.Shape[3] = 2, n // the sequences, and the positions
		at.Near.Strides[2] = from - n
	}
}

// reach makes room for n tokens from position pos on. What the queries of these see stays.
func (t *tail) reach(m *model.Model, cache model.Cache, pos, n int) error {
	for t.rows > 0 && pos+n > t.start+t.rows {
		if t.move == nil {
			var err error
			if t.move, err = t.record(m, cache); err != nil {
				return err
			}
		}
		if err := t.move.Run(); err != nil {
			return err
		}
		t.start += tailStep
	}
	return nil
}

// record makes the program that moves rows up: in pieces that do not overlap what they replace.
func (t *tail) record(m *model.Model, cache model.Cache) (backend.Program, error) {
	var ops []backend.Op
	for i, c := range cache {
		if m.Window(i) == 0 {
			continue
		}
		for row := tailStep; row < t.rows; row += tailStep {
			end := min(row+tailStep, t.rows)
			ops = append(ops, &backend.Copy{Dst: c.Slice(-2, row-tailStep, end-tailStep), X: c.Slice(-2, row, end)})
		}
	}
	return backend.Record(m.Backend, ops...)
}

// holds reports whether a text can go on behind its first n tokens: whether the rows are there
// that the next one sees.
func (t *tail) holds(n int) bool { return t.start == 0 || n >= t.start+t.window-1 }

// near are positions as these caches count them.
func (t *tail) near(positions []int32) []int32 {
	if t.rows == 0 {
		return nil
	}
	rows := make([]int32, len(positions))
	for i, p := range positions {
		rows[i] = p - int32(t.start)
	}
	return rows
}

func (t *tail) close() {
	if t.move != nil {
		t.move.Close()
		t.move = nil
	}
}
