package train

import (
	"encoding/binary"
	"math"
	"sort"
)

// Tokens are token ids, in order: those of several files, one after the other.
type Tokens struct {
	parts []part
}

// part is the ids of one file, little-endian, as they lie in memory or are mapped.
type part struct {
	name  string // for people
	data  []byte
	width int // bytes of an id, 2 or 4

	doubtful bool // every second id is 0, as if they were of 32 bits
	first    int  // how many ids of the file come before
	end      int  // how many ids there are up to its end, those of the parts before included
}

func (p part) len() int { return len(p.data) / p.width }

func (p part) at(i int) int {
	if p.width == 2 {
		return int(binary.LittleEndian.Uint16(p.data[2*i:]))
	}
	return int(binary.LittleEndian.Uint32(p.data[4*i:]))
}

// add appends a part.
func (t *Tokens) add(p part) {
	p.end = t.Len() + p.len()
	t.parts = append(t.parts, p)
}

// Len is the number of ids.
func (t Tokens) Len() int {
	if len(t.parts) == 0 {
		return 0
	}
	return t.parts[len(t.parts)-1].end
}

// Read copies the ids from index from on; there must be as many as ids takes.
func (t Tokens) Read(ids []int, from int) {
	i := sort.Search(len(t.parts), func(i int) bool { return t.parts[i].end > from })
	for n := 0; n < len(ids); i++ {
		p := t.parts[i]
		for at := from + n - (p.end - p.len()); n < len(ids) && at < p.len(); at++ {
			ids[n] = p.at(at)
			n++
		}
	}
}

// split returns the first n ids and the others.
func (t Tokens) split(n int) (first, rest Tokens) {
	for _, p := range t.parts {
		cut := min(max(n-first.Len(), 0), p.len()) * p.width
		if cut > 0 {
			first.add(part{name: p.name, data: p.data[:cut], width: p.width})
		}
		if cut < len(p.data) {
			rest.add(part{name: p.name, data: p.data[cut:], width: p.width, first: cut / p.width})
		}
	}
	return first, rest
}

// packer holds ids in as few bytes as the vocabulary allows.
type packer struct {
	data  []byte
	width int
}

func newPacker(vocab int) *packer {
	if vocab <= math.MaxUint16+1 {
		return &packer{width: 2}
	}
	return &packer{width: 4}
}

func (p *packer) add(ids ...int) {
	for _, id := range ids {
		if p.width == 2 {
			p.data = binary.LittleEndian.AppendUint16(p.data, uint16(id))
		} else {
			p.data = binary.LittleEndian.AppendUint32(p.data, uint32(id))
		}
	}
}
