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

// A driver may list cooperative matrices and multiply them wrongly. So kernels use
// them only after a self-test: products with known results, computed with tiles of
// each size. It runs once for each open device, before the first op that could use
// cooperative matrices.

// testMatrices runs the self-test at its first call and sets b.matrixTest.
func (b *Backend) testMatrices() {
	t := &b.matrixTest
	if t.done || b.limits.Software { // on a CPU they are slower than other kernels
		return
	}
	t.err = b.matrixSelfTest()
	t.done = !errors.Is(t.err, backend.ErrOutOfMemory) // next time there may be enough memory
	t.passed = t.err == nil
}

// describeMatrices returns the result of the self-test for Describe, or "" if it
// has not run.
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

// The sizes of the self-test's product. It needs more than one tile, slice and
// part, and the last of each is not full. The sums are too large to be exact in
// f16, so that a device that adds in f16 fails.
const (
	testRows, testOuts, testIns = 140, 132, 100
	testPart                    = 52
	testParts                   = 2
	testPitch                   = 144 // row stride of the operands, transposed or not
)

func testX(row, in int) float32 { return float32((row*37+in*11)%127 - 40) }
func testW(out, in int) float32 { return float32((out*29+in*23)%113 - 30) }

// testProducts computes the product for each combination of transposed operands
// that ops have, and checks the results.
func (b *Backend) testProducts(size, across uint32) error {
	ways := [][2]bool{{false, false}, {false, true}, {true, true}} // whether x and w are transposed: two for Linear, one for LinearBackward
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

// testOperand makes an operand [rows, testIns], or transposed [testIns, rows], in f16.
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

// checkProducts compares the two parts of the product with what they must be.
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
