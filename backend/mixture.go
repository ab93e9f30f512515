package backend

import "cmp"

// Mixtures of llama.cpp: names of models in which matrices that matter more have more
// bits than most. Which these are is told by gpt/model; no tensor is of a mixture.
const (
	Q5_K_M DType = 130 // most are q5_k, some q6_k
	Q4_K_M DType = 131 // most are q4_k, some q6_k
)

// mixture is what a mixture consists of.
type mixture struct{ most, better DType }

func init() {
	enter(Q5_K_M, row{name: "q5_k_m", block: 256, bytes: 176, unit: 2, roles: Targets, gguf: &gguf{file: 17}, mixture: mixture{Q5_K, Q6_K}})
	enter(Q4_K_M, row{name: "q4_k_m", block: 256, bytes: 144, unit: 2, roles: Targets, gguf: &gguf{file: 15}, mixture: mixture{Q4_K, Q6_K}})
}

// Mixture returns the dtypes of a mixture: of most matrices, and of those that matter
// more. Both are d if it is no mixture.
func (d DType) Mixture() (most, better DType) {
	if m := rows[d].mixture; m.most != None {
		return m.most, m.better
	}
	return d, d
}

// MixtureOfGGUF is the mixture of a general.file_type in GGUF files, or None.
func MixtureOfGGUF(file uint32) DType {
	for _, d := range dtypes {
		if g := rows[d].gguf; rows[d].mixture.most != None && g.file == file {
			return d
		}
	}
	return None
}

// Fitting is the dtype in which rows of n numbers are stored where d is asked for: d, if
// they are whole blocks, else another one that is about as exact, and at last f16.
func (d DType) Fitting(n int) DType {
	for n%d.BlockLen() != 0 {
		d = cmp.Or(rows[d].instead, F16)
	}
	return d
}
