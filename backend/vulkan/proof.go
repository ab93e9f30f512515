//go:build cgo

package vulkan

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"caldera/backend"
	"caldera/internal/setting"
)

// A driver may accept all commands and carry out none, or compile a shader to
// something else: what it computes then looks like a result. So a device must
// prove itself when it is opened. It gets numbers that nobody can guess, adds
// them in a shader and copies them, and the host checks all that comes back. The numbers
// go both ways that data go to a device: in memory that the host writes, which
// is staging memory where it cannot map the device's own, and in the command buffer.

// RefusedError tells that a device did not do what it was told when it was opened.
type RefusedError struct {
	Device string // its name
	Driver string // name and version
	Found  string // what was found, and what was expected
}

func (e *RefusedError) Error() string { return e.Unwrap().Error() }

// Unwrap returns what Error says, with the names of settings.
func (e *RefusedError) Unwrap() error {
	return setting.Errorf("%s (driver %s) is refused because it %s; choose another {device}, update the driver, "+
		"or compute on the CPU, {backend=cpu}", e.Device, e.Driver, e.Found)
}

const (
	proofNumbers = 256             // in each part of the proof
	proofWait    = 2 * time.Minute // for a device that never finishes; the proof takes milliseconds, but others may use the device
)

// The parts of the proof's buffer, of proofNumbers each.
const (
	proofUploaded = iota // written by the host
	proofUpdated         // written by the command buffer
	proofSums            // a shader's: uploaded + updated
	proofCopies          // a copy of uploaded
	proofParts
)

var proofNames = [proofParts]string{"numbers that the host wrote", "numbers from the command buffer", "sums of a shader", "numbers of a copy"}

// prove returns a RefusedError where the device does not compute what it is told.
func (b *Backend) prove(patience time.Duration) error {
	refused := func(format string, args ...any) error {
		return &RefusedError{Device: b.phys.Name, Driver: driverOf(b.phys), Found: fmt.Sprintf(format, args...)}
	}
	want := proofValues()
	got, err := b.proofRun(want, patience)
	if errors.Is(err, errUnfinished) {
		return fmt.Errorf("%w: %w", refused("has not finished a test of %d additions after %v", proofNumbers, patience), err)
	}
	if err != nil {
		return err
	}
	if found := proofFaults(got, want); found != "" {
		return refused("%s", found)
	}
	return nil
}

// proofValues are what the proof's buffer must hold in the end. The numbers are
// integers whose sums f32 holds exactly.
func proofValues() []float32 {
	random := make([]byte, 8*proofNumbers)
	rand.Read(random) // never fails
	want := make([]float32, proofParts*proofNumbers)
	for i := range proofNumbers {
		x := float32(1 + binary.LittleEndian.Uint32(random[8*i:])>>10) // up to 2^22
		y := float32(1 + binary.LittleEndian.Uint32(random[8*i+4:])>>10)
		for part, v := range [proofParts]float32{proofUploaded: x, proofUpdated: y, proofSums: x + y, proofCopies: x} {
			want[part*proofNumbers+i] = v
		}
	}
	return want
}

// proofRun has the device compute sums and copies, and returns all of the proof's buffer.
func (b *Backend) proofRun(want []float32, patience time.Duration) (got []float32, err error) {
	const size = 4 * proofNumbers
	buf, err := b.alloc(proofParts * size)
	if err != nil {
		return nil, err
	}
	defer buf.Free()
	buf.zeroFrom = buf.size // all of it is written
	given := make([]byte, 0, 2*size)
	for _, v := range want[:2*proofNumbers] {
		given = binary.LittleEndian.AppendUint32(given, math.Float32bits(v))
	}
	write := b.put
	if !b.limits.Unified {
		write = b.upload // put would take the command buffer
	}
	if err := write(buf, proofUploaded*size, given[:size]); err != nil {
		return nil, err
	}
	err = b.encode(func(e *encoder) error {
		e.name = "test of the device"
		e.rec.update(buf.block.Buffer, buf.offset+proofUpdated*size, given[size:])
		e.rec.use(buf)
		part := func(i int) backend.Tensor { return backend.Of(buf, backend.F32, i*proofNumbers, proofNumbers) }
		if err := encodeOp(e, &backend.Add{Dst: part(proofSums), A: part(proofUploaded), B: part(proofUpdated)}); err != nil {
			return err
		}
		return e.copy(part(proofCopies), part(proofUploaded))
	})
	if err == nil {
		err = b.queue.within(b.queue.last, uint64(patience))
	}
	if err != nil {
		return nil, err
	}
	read := make([]byte, proofParts*size)
	if err := b.read(read, buf, 0); err != nil {
		return nil, err
	}
	got = make([]float32, len(want))
	for i := range got {
		got[i] = math.Float32frombits(binary.LittleEndian.Uint32(read[4*i:]))
	}
	return got, nil
}

// proofFaults tells what is wrong with the proof's buffer; empty if nothing is.
func proofFaults(got, want []float32) string {
	var found, more []string
	total := 0 // of what the device had to do itself
	for _, part := range [proofParts]int{proofSums, proofCopies, proofUpdated, proofUploaded} {
		wrong, first := 0, 0
		for i := (part+1)*proofNumbers - 1; i >= part*proofNumbers; i-- {
			if got[i] != want[i] {
				wrong, first = wrong+1, i
			}
		}
		if part != proofUploaded {
			total += wrong
		}
		switch {
		case wrong == 0:
		case found == nil:
			found = append(found, fmt.Sprintf("%d of %d %s are wrong (number %d is %.8g, expected %.8g)",
				wrong, proofNumbers, proofNames[part], first-part*proofNumbers, got[first], want[first]))
		default:
			more = append(more, fmt.Sprintf("%d %s", wrong, proofNames[part]))
		}
	}
	if len(more) > 0 {
		found = append(found, "and so are "+strings.Join(more, " and "))
	}
	switch {
	case found == nil:
		return ""
	case total == (proofParts-1)*proofNumbers:
		return "does nothing that it is told: " + strings.Join(found, ", ")
	}
	return "computes wrongly: " + strings.Join(found, ", ")
}
