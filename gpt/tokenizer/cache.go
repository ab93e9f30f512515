package tokenizer

import "encoding/binary"

// A wordCache remembers the tokens of words during one call of Encode, because most
// words of a long text occur several times. It has a fixed number of slots: a word
// replaces any other that was in its slot.
type wordCache [1 << 12]cachedWord

// cacheFrom is the length in bytes of a text from which on a cache saves more time
// than it takes to clear its memory, 160 KiB.
const cacheFrom = 1 << 13

// A cachedWord is a word of at most 16 bytes and 4 tokens.
type cachedWord struct {
	key wordKey
	n   int32 // number of ids; 0 in an empty slot
	ids [4]int32
}

// A wordKey is a short word, padded with zeros, and its length.
type wordKey struct {
	lo, hi uint64
	len    int32
}

// slot returns the slot for w and the key of w, or nil if w is too long for a cache
// or there is none.
func (c *wordCache) slot(w string) (*cachedWord, wordKey) {
	var b [16]byte
	if c == nil || len(w) > len(b) {
		return nil, wordKey{}
	}
	copy(b[:], w)
	k := wordKey{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:]), int32(len(w))}
	hash := (k.lo ^ k.hi*0xC2B2AE3D27D4EB4F) * 0x9E3779B97F4A7C15
	return &c[hash>>(64-12)], k
}
