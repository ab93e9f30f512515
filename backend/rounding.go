package backend

// Rounder is an optional interface of backends that multiply faster if what weights are
// multiplied with has another dtype than f32.
type Rounder interface {
	// Rounding is the dtype of activations with which this device multiplies many rows and weights of
	// dtype w fastest: F32, or F16 for numbers in its precision (see [Round]), or a dtype of blocks.
	// Few rows are then rounded in the same way.
	Rounding(w DType) DType
}

// Rounding is what b's [Rounder] says of weights of dtype w, else F32.
func Rounding(b Backend, w DType) DType {
	if r, ok := As[Rounder](b); ok {
		return r.Rounding(w)
	}
	return F32
}
