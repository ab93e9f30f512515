package gemm

import "unsafe"

// portable are kernels in Go. Products are rounded before they are added, so that no
// compiler makes one instruction of both, here and not there.
var portable = kernels{
	name: "Go", lanes: 1, fewColumns: 8,
	dots:   [kinds][]dotTile{kindF32: {{4, dot4Go}, {1, dot1Go}}},
	outers: [kinds][]outerTile{kindF32: {{4, true, outer4Go}}},
}

func floats(p *float32, n int) []float32 { return unsafe.Slice(p, n) }

// from is the address of a row. None is computed behind the last one: that would be no pointer to Go.
func from(p *float32, bytes int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), bytes)) }

func dot4Go(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, wStride, n, _ int) {
	w0 := (*float32)(unsafe.Pointer(w))
	a, b, c, d := floats(w0, n), floats(from(w0, wStride), n), floats(from(w0, 2*wStride), n), floats(from(w0, 3*wStride), n)
	for r := range rows { // a compiler keeps four sums in registers, but not eight
		dst, x := from(dst, r*dstStride), from(x, r*xStride)
		var s0, s1, s2, s3 float32
		for i, v := range floats(x, n) {
			s0 += float32(v * a[i])
			s1 += float32(v * b[i])
			s2 += float32(v * c[i])
			s3 += float32(v * d[i])
		}
		y := (*[4]float32)(unsafe.Pointer(dst))
		y[0] += s0
		y[1] += s1
		y[2] += s2
		y[3] += s3
	}
}

func dot1Go(dst *float32, dstStride int, x *float32, xStride, rows int, w *byte, _, n, _ int) {
	a := floats((*float32)(unsafe.Pointer(w)), n)
	for r := range rows {
		var sum float32
		for i, v := range floats(from(x, r*xStride), n) {
			sum += float32(v * a[i])
		}
		*from(dst, r*dstStride) += sum
	}
}

func outer4Go(dst *float32, dstStride int, x *float32, xStride, xStep, rows int, w *byte, wStride, n, columns, _ int) {
	for r := range rows {
		dst, x := from(dst, r*dstStride), from(x, r*xStride)
		if columns == 4 {
			y := (*[4]float32)(unsafe.Pointer(dst))
			s0, s1, s2, s3 := y[0], y[1], y[2], y[3]
			for i := range n {
				v := *from(x, i*xStep)
				a := (*[4]float32)(unsafe.Add(unsafe.Pointer(w), i*wStride))
				s0 += float32(v * a[0])
				s1 += float32(v * a[1])
				s2 += float32(v * a[2])
				s3 += float32(v * a[3])
			}
			y[0], y[1], y[2], y[3] = s0, s1, s2, s3
		} else {
			for c := range columns {
				y := from(dst, 4*c)
				sum := *y
				for i := range n {
					sum += float32(*from(x, i*xStep) * *from((*float32)(unsafe.Pointer(w)), i*wStride+4*c))
				}
				*y = sum
			}
		}
	}
}
