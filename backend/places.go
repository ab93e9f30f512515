package backend

import (
	"errors"
	"fmt"
	"math"
)

// checkPlaces returns an error unless at, [2, n], has a sequence and a position for each
// of n tokens. The package comment tells what they mean.
func checkPlaces(at Tensor, n int) error {
	return first(wantDType("at", at, I32), wantShape("at", at, 2, n), wantRows("at", at))
}

// cacheSize returns how many sequences a cache has, and how many positions each. Without
// a table it is [sequences, context, width]: the vector of a position is in row
//
//	seq · context + pos
//
// With a table, [sequences, blocks of each], it is a pool, [blocks, block, width], and
// the row is
//
//	table[seq, pos / block] · block + pos % block
func cacheSize(cache, table Tensor) (sequences, context int) {
	if table.Absent() {
		return cache.Dim(-3), cache.Dim(-2)
	}
	return table.Dim(-2), table.Dim(-1) * cache.Dim(-2)
}

// checkTable returns an error unless table, which may be absent, tells the blocks of
// cache, named name, which is a pool then.
func checkTable(name string, cache, table Tensor) error {
	if table.Absent() {
		return nil
	}
	block := cache.Dim(-2)
	if block&(block-1) != 0 {
		return fmt.Errorf("%s has blocks of %d positions, expected a power of two where there is a table", name, block)
	}
	if table.Dim(-1) > math.MaxInt32/block {
		return errors.New("table has more positions than an i32 can count")
	}
	return first(
		wantDType("table", table, I32),
		wantShape("table", table, table.Dim(-2), table.Dim(-1)),
		wantRows("table", table),
	)
}
