//go:build cgo

package vulkan

import "caldera/shaders"

// What a workgroup of linear_spread.comp computes. With more of any of them the code of a round, a
// product of 1,024 vectors, no longer fits into a processor's cache of 32 KiB.
const (
	spreadRows    = 16
	spreadOuts    = 4 // of a lane
	spreadReaders = 4
	spreadInputs  = 4 * spreadReaders // of a round
)

// waysOfSpread: lanes that have outputs of their own and share what they read of x, for many rows on a
// software driver.
func waysOfSpread(l *Limits, p *product) []linearChoice {
	if !l.softwareShuffles(p.rows) || l.SubgroupSize%spreadReaders != 0 || p.columns || p.rows == 1 || p.in%spreadInputs != 0 || !p.texels && !p.words {
		return nil
	}
	return []linearChoice{{source: "linear_spread", texel: p.texels, words: !p.texels, subgroup: true,
		lanes: l.SubgroupSize, rows: spreadRows, outs: int(spreadOuts * l.SubgroupSize), rowsEach: spreadRows, outsEach: spreadOuts}}
}

func specOfSpread(l *Limits, p *product, c *linearChoice) any {
	return shaders.LinearSpreadSpec{
		LinearEpilogue: epilogue(p, c), Transposed: p.transposed, Permute: l.Permutes,
		Rows: c.rowsEach, Outs: c.outsEach, AtOnce: 8, Readers: spreadReaders,
	}
}
