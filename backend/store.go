package backend

// Store writes vectors to a cache, that of each token to the row of its place: row pos
// of sequence seq, or with a table the row of the pool that is said there:
//
//	dst[seq, pos] = x[b,t]
//	dst[table[seq, pos / block], pos % block] = x[b,t]
//
// Other rows of dst keep their contents. What is padding, or has a sequence, a position
// or a block outside of dst or the table, is not stored. No two tokens may have the same
// row: which of them it holds then is not defined. Numbers are rounded to the nearest
// that dst can hold, ties to even.
type Store struct {
	Dst   Tensor // [sequences, context, width] of a dtype of caches; with a table [blocks, block, width]
	X     Tensor // [batch, time, width] f32
	At    Tensor // [2, batch·time] i32: sequence and position of each token
	Table Tensor // [sequences, context/block] i32, optional: the number of each block of a sequence in dst
}

func (*Store) Name() string { return "store" }

func (o *Store) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Update)
	yield("x", &o.X, Read)
	yield("at", &o.At, Read)
	if !o.Table.Absent() {
		yield("table", &o.Table, Read)
	}
}

// Cache is how many sequences dst has, and how many positions each.
func (o *Store) Cache() (sequences, context int) { return cacheSize(o.Dst, o.Table) }

func (o *Store) Check() error {
	batch, time, width := o.X.Dim(-3), o.X.Dim(-2), o.X.Dim(-1)
	return first(
		wantDType("dst", o.Dst, DTypes(Caches)...),
		wantDType("x", o.X, F32),
		wantShape("x", o.X, batch, time, width),
		wantShape("dst", o.Dst, o.Dst.Dim(-3), o.Dst.Dim(-2), width),
		checkPlaces(o.At, batch*time),
		checkTable("dst", o.Dst, o.Table),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	)
}

// Cost counts the rows of dst that are written.
func (o *Store) Cost() (flops, bytes int64) { return 0, moved(o, o.X.Len(), "dst") }
