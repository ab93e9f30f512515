package backend

import "slices"

// fuseBeside makes one op of two that do the same with neighbouring slices, where b supports
// it and the second one may come as early as the first.
func fuseBeside(b Backend, ops []Op) []Op {
	out := slices.Clone(ops)
	for i := range out {
		for j, between := i+1, 0; out[i] != nil && j < len(out) && between <= mostBetween; j++ {
			if out[j] == nil {
				continue
			}
			others := slices.DeleteFunc(slices.Clone(out[i+1:j]), func(op Op) bool { return op == nil })
			if one := beside(out[i], out[j]); one != nil && movable(out[j], others) && Check(one) == nil && takes(b, one) {
				out[i], out[j] = one, nil
				j, between = i, 0
				continue
			}
			between++
		}
	}
	return slices.DeleteFunc(out, func(op Op) bool { return op == nil })
}

// beside returns the op that does what a and then c do, or nil. They do the same, with tensors
// of which those of c begin where those of a end.
func beside(a, c Op) Op {
	switch a := a.(type) {
	case *Linear:
		if c, ok := c.(*Linear); ok {
			return besideLinear(a, c)
		}
	case *Rotary:
		if c, ok := c.(*Rotary); ok {
			return besideRotary(a, c)
		}
	case *Store:
		if c, ok := c.(*Store); ok {
			return besideStore(a, c)
		}
	}
	return nil
}

// besideLinear joins products of one x with matrices one below the other. What is rotated of
// them comes first, and what is stored last.
func besideLinear(a, c *Linear) Op {
	if a.X != c.X || a.Rounded != c.Rounded || a.Norm.present() || c.Norm.present() ||
		!a.Rotation.present() && a.HasEpilogue() || !c.Rotation.present() && c.HasEpilogue() {
		return nil
	}
	one := *a
	ok := extend(&one.W, c.W, 2) && extend(&one.Dst, c.Dst, 3)
	if ok && !(a.Bias.Absent() && c.Bias.Absent()) {
		ok = extend(&one.Bias, c.Bias, 3)
	}
	if ok && c.Rotation.present() {
		r, s := a.Rotation.op(a.Dst, a.Sum), c.Rotation.op(c.Dst.Slice(-1, 0, c.Sum.Dim(-1)), c.Sum)
		ok = a.Sum.Dim(-1) == a.Dst.Dim(-1) && a.Rotation.present() && sameTurns(r, s) && extend(&one.Sum, c.Sum, 3)
		one.Rotation.Heads += c.Rotation.Heads
	}
	if ok && c.Store.present() {
		s, out := &a.Store, a.Dst.Dim(-1)
		if !s.present() {
			one.Store = c.Store
			one.Store.From += out
		} else {
			ok = s.From+s.Cache.Dim(-1) == out && c.Store.From == 0 && s.At == c.Store.At && s.Table == c.Store.Table &&
				extend(&one.Store.Cache, c.Store.Cache, 3)
		}
	}
	if !ok {
		return nil
	}
	return &one
}

func besideRotary(a, c *Rotary) Op {
	one := *a
	one.Heads += c.Heads
	if !sameTurns(a, c) || !extend(&one.X, c.X, 3) || !extend(&one.Dst, c.Dst, 3) {
		return nil
	}
	return &one
}

// sameTurns reports whether the heads of both are rotated alike.
func sameTurns(a, c *Rotary) bool {
	return a.Heads > 0 && c.Heads > 0 && a.HeadSize() == c.HeadSize() &&
		a.Angles == c.Angles && a.At == c.At && a.Pairing == c.Pairing && a.Inverse == c.Inverse
}

func besideStore(a, c *Store) Op {
	one := *a
	if a.At != c.At || a.Table != c.Table || !extend(&one.X, c.X, 3) || !extend(&one.Dst, c.Dst, 3) {
		return nil
	}
	return &one
}

// extend makes t the tensor of t and u, if u begins where t ends along an axis, within the
// same rows.
func extend(t *Tensor, u Tensor, axis int) bool {
	if t.Absent() || t.Buf != u.Buf || t.DType != u.DType || u.Offset != t.Offset+t.Shape[axis]*t.Strides[axis] {
		return false
	}
	one := *t
	one.Shape[axis] += u.Shape[axis]
	for i := range one.Shape {
		if i != axis && t.Shape[i] != u.Shape[i] || u.Shape[i] > 1 && t.Strides[i] != u.Strides[i] {
			return false
		}
		if i < axis && one.Shape[i] > 1 && one.Strides[i] < one.Shape[axis]*one.Strides[axis] { // rows are no longer than they are apart
			return false
		}
	}
	*t = one
	return true
}
