//go:build cgo

package vulkan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/x448/float16"

	"caldera/backend"
	"caldera/shaders"
)

// That a driver lists cooperative matrices does not mean that it multiplies
// right. So before kernels may use them, products whose sums are known are
// computed with tiles of each size: once for each open device, at the first op
// that could use them.

// testMatrices fills b.matrixTest at its first call.
func (b *Backend) testMatrices() {
	t := &b.matrixTest
	if t.done || b.limits.Software { // on a CPU they cost more than they gain
		return
	}
	t.err = b.matrixSelfTest()
	t.done = !errors.Is(t.err, backend.ErrOutOfMemory) // of which there may be more next time
	t.passed = t.err == nil
}

// describeMatrices tells what came of it; nothing before there was a need.
func (b *Backend) describeMatrices() string {
	switch t, m := &b.matrixTest, b.limits.Matrix; {
	case t.passed:
		return fmt.Sprintf(", f16 on cooperative matrices of %d×%d×%d", m[0], m[1], m[2])
	case t.err != nil && m != [3]uint32{}:
		return fmt.Sprintf(", no cooperative matrices: %v", t.err)
	}
	return ""
}

func (b *Backend) matrixSelfTest() error {
	err := errors.New("the device advertises no cooperative matrices that suit")
	for size := uint32(1); size <= 2; size++ {
		if across, ok := b.limits.matrixAcross(size); ok {
			if err = b.testProducts(size, across); err != nil {
				return fmt.Errorf("tiles of %d: %w", 64*size, err)
			}
		}
	}
	return err
}

// The products of the self-test take more than one tile, slice and part, none
// of which is whole. f16 could not hold their sums: some device might add in it.
const (
	testRows, testOuts, testIns = 140, 132, 100
	testPart                    = 52
	testParts                   = 2
	testPitch                   = 144 // of the operands, whichever way they lie
)

func testX(row, in int) float32 { return float32((row*37+in*11)%127 - 40) }
func testW(out, in int) float32 { return float32((out*29+in*23)%113 - 30) }

// testProducts computes one product with the operands in each way that ops have them.
func (b *Backend) testProducts(size, across uint32) error {
	ways := [][2]bool{{false, false}, {false, true}, {true, true}} // x, w transposed: linear's, linear's, its gradient's
	const products = testParts * testRows * testOuts
	buf, err := b.alloc(uint64(4 * products * len(ways)))
	if err != nil {
		return err
	}
	defer buf.Free()
	for i, way := range ways {
		x, err := b.testOperand(testRows, way[0], testX)
		if err != nil {
			return err
		}
		defer x.Buf.Free()
		w, err := b.testOperand(testOuts, way[1], testW)
		if err != nil {
			return err
		}
		defer w.Buf.Free()
		spec, _ := b.limits.matrixSpec(shaders.LinearSpec{Transposed: way[1], Size: size, XTransposed: way[0]})
		spec.Across = across
		err = b.run(func(e *encoder) error {
			e.name = "matrix self-test"
			push := shaders.LinearPush{
				Bias:      shaders.Absent,
				DstStride: testOuts, XStride: testPitch, WStride: testPitch,
				Rows: testRows, In: testIns, Out: testOuts, Part: testPart, PartStride: testRows * testOuts,
			}
			var bind [4]binding
			bind[0], push.Dst = e.operand(backend.Of(buf, backend.F32, products*i, products), backend.Write)
			bind[1], push.X = e.operand(x, backend.Read)
			bind[2], push.W = e.operand(w, backend.Read)
			bind[3], _ = e.operand(backend.Tensor{}, backend.Read)
			tile := 64 * size
			variant, _ := matrixVariant()
			return e.dispatch(pipelineSpec{variant: variant, spec: spec}, push,
				[3]uint32{(testOuts + tile - 1) / tile, (testRows + tile - 1) / tile, testParts},
				bind[0], bind[1], bind[2], bind[3], bind[3])
		})
		if err != nil {
			return err
		}
	}
	got := make([]byte, buf.size)
	if err := b.read(got, buf, 0); err != nil {
		return err
	}
	for i, way := range ways {
		if err := checkProducts(got[4*products*i:][:4*products]); err != nil {
			return fmt.Errorf("x transposed %v, w transposed %v: %w", way[0], way[1], err)
		}
	}
	return nil
}

// testOperand is [rows, testIns], or transposed [testIns, rows], in f16.
func (b *Backend) testOperand(rows int, transposed bool, value func(row, in int) float32) (backend.Tensor, error) {
	n := testPitch * testPitch
	data := make([]byte, 2*n)
	for r := range rows {
		for i := range testIns {
			at := r*testPitch + i
			if transposed {
				at = i*testPitch + r
			}
			binary.LittleEndian.PutUint16(data[2*at:], float16.Fromfloat32(value(r, i)).Bits())
		}
	}
	buf, err := b.alloc(uint64(len(data)))
	if err != nil {
		return backend.Tensor{}, err
	}
	if err := b.write(buf, 0, data); err != nil {
		buf.Free()
		return backend.Tensor{}, err
	}
	return backend.Of(buf, backend.F16, 0, n), nil
}

// checkProducts holds the two parts of the product against what must be there.
func checkProducts(got []byte) error {
	for at := 0; at < len(got)/4; at++ {
		part, row, out := at/(testRows*testOuts), at/testOuts%testRows, at%testOuts
		sum := float32(0)
		for i := part * testPart; i < min((part+1)*testPart, testIns); i++ {
			sum += testX(row, i) * testW(out, i)
		}
		if v := math.Float32frombits(binary.LittleEndian.Uint32(got[4*at:])); v != sum {
			return fmt.Errorf("row %d, output %d, part %d: the sum is %v, expected %v", row, out, part, v, sum)
		}
	}
	return nil
}
