package gpt

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
)

// A NotFiniteError says that a tensor has a NaN or an infinity: nothing can be
// computed with it.
type NotFiniteError struct {
	Tensor string  // as Hugging Face names it
	Value  float32 // the first such number that was found: NaN, +Inf or -Inf
	Count  int     // of such numbers in the tensor
	Of     int     // numbers in the tensor
}

func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("tensor %s: %d of %d numbers are NaN or infinite, among them %v", e.Tensor, e.Count, e.Of, e.Value)
}

// finitePiece is how many bytes of a tensor are read at once.
const finitePiece = 16 << 20

// CheckFinite reads the weights of a model that was loaded with
// [LoadOptions].Train. It returns a [NotFiniteError] for the first tensor that has
// a NaN or an infinity.
func (m *Model) CheckFinite(ctx context.Context) error {
	if !m.train {
		return fmt.Errorf("the weights may have any dtype: load them with LoadOptions.Train to check them")
	}
	for _, w := range m.tensors() {
		x, _ := asStored(w, *w.dst)
		found := NotFiniteError{Tensor: w.name, Of: x.Size() / 4}
		data := make([]byte, min(x.Size(), finitePiece))
		for at := 0; at < x.Size(); at += len(data) {
			if err := ctx.Err(); err != nil {
				return err
			}
			data = data[:min(len(data), x.Size()-at)]
			if err := m.b.Read(data, x.Buf, 4*x.Offset+at); err != nil {
				return fmt.Errorf("tensor %s: %w", w.name, err)
			}
			found.look(data)
		}
		if found.Count > 0 {
			return &found
		}
	}
	return nil
}

// look counts what is not finite in data, f32.
func (e *NotFiniteError) look(data []byte) {
	const exponent = 0x7f800000 // all its bits are set in NaN and infinities
	for i := 0; i < len(data); i += 4 {
		bits := binary.LittleEndian.Uint32(data[i:])
		if bits&exponent != exponent {
			continue
		}
		if e.Count == 0 {
			e.Value = math.Float32frombits(bits)
		}
		e.Count++
	}
}
