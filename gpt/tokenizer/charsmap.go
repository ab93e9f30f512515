package tokenizer

// This file applies SentencePiece's table of characters (precompiled_charsmap), as
// Hugging Face's tokenizers do: whole grapheme clusters of few bytes first, then
// characters.
//
// The table is a trie, a double array as in darts-clone, after its length in bytes, and
// the texts that its values point to, each with a zero at its end.

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// maxCluster is from which length on, in bytes, a cluster is not looked up as a whole.
const maxCluster = 6

// A charsmap is such a table.
type charsmap struct {
	units []uint32
	texts string
}

func parseCharsmap(data string) (*charsmap, error) {
	bad := errors.New("precompiled_charsmap: expected the length of a trie, the trie, and texts that end with zeros")
	if len(data) < 4 {
		return nil, bad
	}
	size := int64(binary.LittleEndian.Uint32([]byte(data[:4])))
	if size%4 != 0 || size == 0 || size > int64(len(data)-4) {
		return nil, bad
	}
	c := &charsmap{units: make([]uint32, size/4), texts: data[4+size:]}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32([]byte(data[4+4*i : 8+4*i]))
	}
	if !strings.HasSuffix(c.texts, "\x00") {
		return nil, bad
	}
	return c, nil
}

// Parts of a unit, as darts-clone has them.
func unitOffset(u uint32) uint32 { return (u >> 10) << ((u & (1 << 9)) >> 6) }
func unitLabel(u uint32) uint32  { return u & (1<<31 | 0xff) }
func unitHasLeaf(u uint32) bool  { return u>>8&1 == 1 }

// find returns what the shortest beginning of s that the table has becomes.
func (c *charsmap) find(s string) (string, bool) {
	at := unitOffset(c.units[0])
	for i := range len(s) {
		if s[i] == 0 {
			break
		}
		at ^= uint32(s[i])
		if int64(at) >= int64(len(c.units)) {
			break
		}
		u := c.units[at]
		if unitLabel(u) != uint32(s[i]) {
			break
		}
		at ^= unitOffset(u)
		if unitHasLeaf(u) {
			if int64(at) >= int64(len(c.units)) {
				break
			}
			value := int64(c.units[at] & (1<<31 - 1))
			if value >= int64(len(c.texts)) {
				break
			}
			text, _, _ := strings.Cut(c.texts[value:], "\x00")
			return text, true
		}
	}
	return "", false
}

// apply returns what the table makes of text, of at most limit bytes.
func (c *charsmap) apply(text string, limit int) (string, error) {
	var b strings.Builder
	state := -1
	for text != "" {
		if b.Len() > limit {
			return "", errGrows
		}
		var cluster string
		cluster, text, _, state = uniseg.FirstGraphemeClusterInString(text, state)
		if len(cluster) < maxCluster {
			if to, ok := c.find(cluster); ok {
				b.WriteString(to)
				continue
			}
		}
		for cluster != "" {
			_, size := utf8.DecodeRuneInString(cluster)
			part := cluster[:size]
			if to, ok := c.find(part); ok {
				part = to
			}
			b.WriteString(part)
			cluster = cluster[size:]
		}
	}
	return b.String(), nil
}
