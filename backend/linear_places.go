package backend

import (
	"errors"
	"fmt"
)

// LinearRotation rotates the result of a [Linear] whose rows are tokens, as [Rotary]
// does: all outputs, or as many of the first ones as the product's Sum has. Without angles
// there is none.
type LinearRotation struct {
	Angles  Tensor // [context, 2·pairs] f32; absent: no rotation
	At      Tensor // [2, batch·time] i32: sequence and position of each token
	Heads   int    // of the outputs that are rotated
	Pairing Pairing
}

// LinearStore writes outputs of a [Linear] whose rows are tokens to a cache, as [Store]
// does: those from the From-th on, as many as a row of the cache takes. They are in dst
// besides. Without a cache nothing is stored.
type LinearStore struct {
	Cache Tensor // the dst of Store; absent: nothing is stored
	At    Tensor // [2, batch·time] i32: sequence and position of each token
	Table Tensor // optional, as that of Store
	From  int    // the first output that is stored
}

func (r *LinearRotation) present() bool { return !r.Angles.Absent() }
func (s *LinearStore) present() bool    { return !s.Cache.Absent() }

// op is the rotation of x as an op of its own.
func (r *LinearRotation) op(dst, x Tensor) *Rotary {
	return &Rotary{Dst: dst, X: x, Angles: r.Angles, At: r.At, Heads: r.Heads, Pairing: r.Pairing}
}

// op is the storing of a part of x as an op of its own.
func (s *LinearStore) op(x Tensor) *Store {
	return &Store{Dst: s.Cache, X: x.Slice(-1, s.From, s.From+s.Cache.Dim(-1)), At: s.At, Table: s.Table}
}

func (r *LinearRotation) operands(yield func(string, *Tensor, Access)) {
	if r.present() {
		yield("angles", &r.Angles, Read)
		yield("rotated at", &r.At, Read)
	}
}

func (s *LinearStore) operands(yield func(string, *Tensor, Access)) {
	if s.present() {
		yield("cache", &s.Cache, Update)
		yield("at", &s.At, Read)
		if !s.Table.Absent() {
			yield("table", &s.Table, Read)
		}
	}
}

// checkPlaces checks what needs to know where tokens stand.
func (o *Linear) checkPlaces() error {
	r, s := &o.Rotation, &o.Store
	switch {
	case !r.present() && *r != (LinearRotation{}):
		return errors.New("the rotation has no angles, expected none of at, heads and pairing either")
	case !s.present() && *s != (LinearStore{}):
		return errors.New("nothing is stored, for there is no cache: expected none of at, table and from either")
	case s.present() && o.Gate.On:
		return errors.New("the result is gated: expected nothing to be stored")
	case r.present() && (o.Activation != NoActivation || !o.Residual.Absent()):
		return errors.New("the result is rotated: expected no activation and no residual")
	}
	if r.present() {
		if err := r.op(o.Dst.Slice(-1, 0, o.Sum.Dim(-1)), o.Sum).Check(); err != nil {
			return fmt.Errorf("rotation: %w", err)
		}
	}
	if s.present() {
		if n := o.Dst.Dim(-1); s.From < 0 || s.From > n-s.Cache.Dim(-1) {
			return fmt.Errorf("%d outputs from the %d-th on are stored, but there are %d", s.Cache.Dim(-1), s.From, n)
		}
		if err := s.op(o.Dst).Check(); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}
