package nn

import "caldera/backend"

// Places say where the tokens of a step stand: those of ids [batch, time], and of all
// that is computed for them.
type Places struct {
	// At is [2, batch·time] i32: of each token its sequence and its position: see package
	// backend.
	At Tensor

	// Table is [sequences, blocks of each], i32, where caches are pools of blocks, [blocks,
	// block, width]: see [backend.Store]. Where it is absent, caches are [sequences,
	// context, width].
	Table Tensor

	// Near is At for the caches of layers with a window, where these have rows of the latest
	// positions alone, so that row 0 is not position 0. Absent: they have all positions.
	Near Tensor

	// NearTable is Table for the caches of layers with a window, where these are pools of their own,
	// in which a sequence has the blocks of its latest positions alone. Absent: Table is theirs too.
	NearTable Tensor

	// Single is how many tokens, the first ones, are each of any sequence at any position.
	// The others of a row of ids are of one sequence, at consecutive positions, with padding
	// at most behind them. If it is not 0 or all of a row, there is one row.
	Single int

	// Context is how many positions a sequence can have, where that is less than its cache
	// has room for. 0: as many.
	Context int
}

// Within is where keys and values of a layer are whose queries see a window; 0: all positions.
func (p Places) Within(window int) Places {
	if window > 0 && !p.Near.Absent() {
		p.At = p.Near
	}
	if window > 0 && !p.NearTable.Absent() {
		p.Table = p.NearTable
	}
	return p
}

// Positions is how many positions a sequence of x, [batch, time, …], can have, whose keys
// are in a cache, or in none.
func (p Places) Positions(x, cache Tensor) int {
	switch {
	case p.Context > 0:
		return p.Context
	case cache.Absent():
		return x.Dim(-2)
	case !p.Table.Absent():
		return p.Table.Dim(-1) * cache.Dim(-2)
	}
	return cache.Dim(-2)
}

// NewPlaces returns the places of batch whole sequences of time tokens: row b of ids is
// sequence b, from position 0 on.
func NewPlaces(b backend.Backend, batch, time int) (Places, error) {
	n := batch * time
	at, err := backend.New(b, backend.I32, 2, n)
	if err != nil {
		return Places{}, err
	}
	values := make([]int32, 2*n)
	for i := range n {
		values[i], values[n+i] = int32(i/time), int32(i%time)
	}
	if err := backend.SetI32(b, at, values); err != nil {
		at.Buf.Free()
		return Places{}, err
	}
	return Places{At: at}, nil
}
