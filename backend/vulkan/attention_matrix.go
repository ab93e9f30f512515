//go:build cgo

package vulkan

import (
	"math/bits"

	"caldera/backend"
	"caldera/shaders"
)

// Attention of several queries a run, with keys and values in f16, runs on cooperative matrices with
// attention_matrix.comp where the device has them. Its results are as accurate as those of attention_tile.comp,
// which takes over where it fails its check.

// Of attention_matrix.comp: rows that a subgroup serves, and keys of a tile.
const (
	attentionMatrixRows = 16
	attentionMatrixTile = 32
)

// shapeMatrixAttention returns how attention_matrix.comp divides its work: the rule by which a part of an op
// takes it. ok is false if the device has no matrices of a size that suits it, if vectors are too long for its registers,
// or if there are fewer rows than a subgroup serves.
func shapeMatrixAttention(l *Limits, part *backend.Attention) (s shaders.AttentionMatrixSpec, ok bool) {
	size, shared, lanes := part.HeadSize(), part.Heads/part.Groups(), l.attentionSubgroup()
	for _, n := range l.Matrix {
		if n != 8 && n != 16 {
			return s, false
		}
	}
	if part.K.DType != backend.F16 || size%8 != 0 || size > 128 || lanes < 8 || lanes > 64 || bits.OnesCount32(lanes) != 1 {
		return s, false
	}
	s.M, s.N, s.Inner, s.SubgroupSize = l.Matrix[0], l.Matrix[1], l.Matrix[2], lanes
	s.Size, s.Heads, s.Cluster = uint32(size), 1, max(lanes/attentionMatrixRows, 1)
	for shared%int(2*s.Heads) == 0 && s.Heads < 4 {
		s.Heads *= 2
	}
	rows := part.Q.Dim(2) * int(s.Heads) // of a run, which share keys
	if part.Q.Dim(2) < 2 || rows < attentionMatrixRows {
		return s, false
	}
	// As many subgroups share a tile as leave enough workgroups to keep the device busy, but no more than there are
	// rows for; and so many that a lane fetches no more than 64 bytes of keys, and of values.
	least := uint32(2)
	for least*lanes < s.Size {
		least *= 2
	}
	groups := part.Q.Dim(1) * part.Heads / int(s.Heads)
	for n := max(least, 4); ; n /= 2 {
		s.Lanes = n * lanes
		each := int(n) * attentionMatrixRows
		if n == least || rows > each/2 && groups*tiles(rows, each)*int(s.Lanes) >= l.MatrixTiles*256 {
			break
		}
	}
	s.Held = l.maker().holds || l.SharedMemory < attentionMatrixShared(s)
	return s, s.Lanes <= min(l.Invocations, l.WorkgroupSize[0]) && l.SharedMemory >= attentionMatrixShared(s)
}

// attentionMatrixShared is how many bytes of shared memory attention_matrix.comp takes.
func attentionMatrixShared(s shaders.AttentionMatrixSpec) uint32 {
	const tile, rows = attentionMatrixTile, attentionMatrixRows
	width, subgroups := (s.Size+15)/16*16, s.Lanes/s.SubgroupSize
	keys, values := tile*(width/8+1)*16, width*(tile/2+4)*4
	row := (tile/4+1)*16 + uint32(4) // its scores
	if !s.Held {
		row += (width/8*2 + 1) * 16 // its query
	}
	const odd = 16 // a bit for each key of four tiles
	return keys + values + subgroups*rows*row + odd
}

// attentionMatrixPipeline is that of attention_matrix.comp.
func attentionMatrixPipeline(part *backend.Attention, spec shaders.AttentionMatrixSpec) pipelineSpec {
	return pipelineSpec{variant: wideVariant("attention_matrix", part), spec: spec, work: attentionWork(part, part.Q.Dim(2))}
}

// attentionMatrixQueries is how many queries a workgroup of attention_matrix.comp takes.
func attentionMatrixQueries(spec shaders.AttentionMatrixSpec) int {
	return int(spec.Lanes / spec.SubgroupSize * attentionMatrixRows / spec.Heads)
}

// matrix encodes the dispatch for runs of several queries on cooperative matrices.
func (w *wideAttention) matrix(e *encoder, part *backend.Attention, spec shaders.AttentionMatrixSpec) error {
	groups := [3]uint32{uint32(tiles(part.Q.Dim(2), attentionMatrixQueries(spec))), uint32(part.Heads / int(spec.Heads)), uint32(part.Q.Dim(1))}
	return w.dispatch(e, attentionMatrixPipeline(part, spec), part, part.Dst, groups)
}
