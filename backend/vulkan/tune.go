//go:build cgo

package vulkan

import "slices"

// tuning is what was measured to be the fastest way to compute a product, by the product's
// and the choice's String.
type tuning map[string]string

// first puts the way before the others that was measured to be the fastest, if it is one of them.
func (t tuning) first(p *product, list []linearChoice) []linearChoice {
	if len(t) == 0 {
		return list
	}
	name, ok := t[p.String()]
	if !ok {
		return list
	}
	i := slices.IndexFunc(list, func(c linearChoice) bool { return c.String() == name })
	if i <= 0 {
		return list
	}
	c := list[i]
	return slices.Insert(slices.Delete(list, i, i+1), 0, c)
}
