//go:build cgo

package vulkan

import (
	"math/bits"

	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// Products of two matrices of f16 are what GPUs have matrix units for. Vulkan
// reaches them through cooperative matrices, with linear_matrix.comp: it has
// linear.comp's operands, push constants and tiles, so that it takes its place
// in one dispatch and not in another, as operands lie.

// matrixSpec makes the specialization constants of linear_matrix.comp from
// those of linear.comp. ok is false where the device cannot compute such tiles.
func (l *Limits) matrixSpec(tiles shaders.LinearSpec) (_ shaders.LinearMatrixSpec, ok bool) {
	across, ok := l.matrixAcross(tiles.Size)
	tiles.Lanes = 128 * tiles.Size
	return shaders.LinearMatrixSpec{
		LinearSpec: tiles, M: l.Matrix[0], N: l.Matrix[1], K: l.Matrix[2], Subgroup: l.MatrixSubgroup, Across: across,
	}, ok
}

// matrixAcross is how many subgroups lie side by side in a tile of
// linear_matrix.comp, so that each has about a square.
func (l *Limits) matrixAcross(size uint32) (across uint32, ok bool) {
	if l.MatrixSubgroup == 0 || 128*size%l.MatrixSubgroup != 0 {
		return 0, false
	}
	subgroups := 128 * size / l.MatrixSubgroup
	across = 1 << (bits.Len32(subgroups) / 2)
	return across, l.matrixFits(size, across)
}

// matrixFits reports whether the device can compute tiles of linear_matrix.comp
// with so many subgroups side by side.
func (l *Limits) matrixFits(size, across uint32) bool {
	const depth = 32
	m, n, k := l.Matrix[0], l.Matrix[1], l.Matrix[2]
	if m*n*k == 0 || (m|n|k)%8 != 0 || depth%k != 0 { // eights: see the shader
		return false
	}
	tile, subgroups := 64*size, 128*size/l.MatrixSubgroup
	along := subgroups / across
	shared := 2*tile*(depth+8)*2 + subgroups*m*n*4
	return along > 0 && along*across == subgroups && m*n%l.MatrixSubgroup == 0 &&
		tile/along%m == 0 && tile/along >= m && tile/across%n == 0 && tile/across >= n &&
		min(l.Invocations, l.WorkgroupSize[0]) >= 128*size && l.SharedMemory >= shared
}

// bestMatrix is the largest of the shapes that a device lists with which it can
// compute tiles.
func (l Limits) bestMatrix(shapes []vk.MatrixShape) (best [3]uint32) {
	for _, s := range shapes {
		l.Matrix = [3]uint32{uint32(s.M), uint32(s.N), uint32(s.K)}
		if _, ok := l.matrixAcross(1); ok && s.M*s.N*s.K > int(best[0]*best[1]*best[2]) {
			best = l.Matrix
		}
	}
	return best
}
