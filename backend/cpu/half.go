package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

// pairs are the conversions of a dtype of 16 bits, nil for others.
func pairs(d backend.DType) *vec.Pairs {
	switch d {
	case backend.F16:
		return &vec.F16
	case backend.BF16:
		return &vec.BF16
	}
	return nil
}
