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

// Some drivers accept all commands and execute none, or compile a shader wrongly.
// The results are then wrong without an error. So each device has to pass a test
// when it is opened: its proof. The device gets random numbers, adds them in a
// shader and copies them, and the host checks the results. The numbers take both
// ways by which data get to a device: memory that the host writes (a staging
// buffer if device memory is not host-visible), and the command buffer.

// RefusedError is the error of a device that fails the test when it is opened.
type RefusedError struct {
	Device string // its name
	Driver string // name and version
	Found  string // what was wrong, and what was expected
}

func (e *RefusedError) Error() string { return e.Unwrap().Error() }

// Unwrap returns the error with the names of settings, which a command spells as
// its flags (package setting).
func (e *RefusedError) Unwrap() error {
	return setting.Errorf("%s (driver %s) is refused because it %s; choose another {device}, update the driver, "+
		"or compute on the CPU, {backend=cpu}", e.Device, e.Driver, e.Found)
}

const (
	proofNumbers = 256             // in each part of the buffer
	proofTimeout = 2 * time.Minute // the test takes milliseconds, but the device may be busy with other work
)

// The parts of the proof's buffer, of proofNumbers each.
const (
	proofUploaded = iota // random numbers, written by the host
	proofUpdated         // random numbers, written by the command buffer
	proofSums            // uploaded + updated, computed by a shader
	proofCopies          // a copy of uploaded
	proofParts
)

var proofNames = [proofParts]string{"numbers that the host wrote", "numbers from the command buffer", "sums of a shader", "numbers of a copy"}

// prove tests the device. It returns a RefusedError if the device fails.
func (b *Backend) prove(timeout time.Duration) error {
	refused := func(format string, args ...any) error {
		return &RefusedError{Device: b.phys.Name, Driver: driverOf(b.phys), Found: fmt.Sprintf(format, args...)}
	}
	want := proofValues()
	got, err := b.proofRun(want, timeout)
	if errors.Is(err, errUnfinished) {
		return fmt.Errorf("%w: %w", refused("has not finished a test of %d additions after %v", proofNumbers, timeout), err)
	}
	if err != nil {
		return err
	}
	if found := proofFaults(got, want); found != "" {
		return refused("%s", found)
	}
	return nil
}

// proofValues returns what the proof's buffer must contain in the end. The numbers
// are integers, and small enough that their sums are exact in f32.
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

// proofRun runs the test and returns the contents of the proof's buffer.
func (b *Backend) proofRun(want []float32, timeout time.Duration) (got []float32, err error) {
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
		write = b.upload // put would use the command buffer
	}
	if err := write(buf, proofUploaded*size, given[:size]); err != nil {
		return nil, err
	}
	err = b.encode(func(e *encoder) error {
		e.name = "test of the device"
		e.tried = &tried{} // this is a check of its own
		e.rec.update(buf.block.Buffer, buf.offset+proofUpdated*size, given[size:])
		e.rec.use(buf)
		part := func(i int) backend.Tensor { return backend.Of(buf, backend.F32, i*proofNumbers, proofNumbers) }
		if err := encodeOp(e, &backend.Add{Dst: part(proofSums), A: part(proofUploaded), B: part(proofUpdated)}); err != nil {
			return err
		}
		return e.copy(part(proofCopies), part(proofUploaded))
	})
	if err == nil {
		err = b.queue.waitTimeout(b.queue.last, uint64(timeout))
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

// proofFaults says what is wrong with the contents of the proof's buffer. It
// returns "" if they are right.
func proofFaults(got, want []float32) string {
	var found, more []string
	total := 0 // wrong numbers, except in the part that the host writes
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
