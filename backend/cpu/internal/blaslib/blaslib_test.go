package blaslib

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/gonum"

	"caldera/backend/cpu/internal/gemm"
	"caldera/backend/cpu/internal/isa"
)

// implementations are package gemm's, and that of a library if the machine has one.
func implementations() map[string]blas.Float32 {
	list := map[string]blas.Float32{"caldera": gemm.BLAS{}}
	for _, path := range names {
		if impl, name, err := open(path); err == nil {
			list[name] = impl
			break
		}
	}
	return list
}

// Whatever blas32 calls gives what gonum gives, also where rows are apart, where
// there is nothing to sum, and where what was there is no number and is not wanted.
func TestProducts(t *testing.T) {
	for name, impl := range implementations() {
		t.Run(name, func(t *testing.T) { testProducts(t, impl) })
	}
}

func testProducts(t *testing.T, impl blas.Float32) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(rows, cols, gap int) blas32.General {
		m := blas32.General{Rows: rows, Cols: cols, Stride: cols + gap, Data: make([]float32, rows*(cols+gap))}
		for i := range m.Data {
			m.Data[i] = r.Float32()
		}
		return m
	}
	flip := func(t blas.Transpose, m, n int) (int, int) {
		if t == blas.Trans {
			return n, m
		}
		return m, n
	}
	var want gonum.Implementation
	for _, n := range [][3]int{{1, 1, 1}, {5, 3, 7}, {64, 33, 1}, {1, 100, 65}, {90, 70, 130}, {4, 5, 0}} {
		for i := range 8 {
			tA, tB := [2]blas.Transpose{blas.NoTrans, blas.Trans}[i%2], [2]blas.Transpose{blas.NoTrans, blas.Trans}[i/2%2]
			alpha, beta := [2]float32{0.5, 1}[i/4], [2]float32{2, 0}[i/4]
			rows, cols := flip(tA, n[0], n[2])
			a := random(rows, cols, 3)
			rowsB, colsB := flip(tB, n[2], n[1])
			b := random(rowsB, colsB, 1)
			c := random(n[0], n[1], 2)
			if beta == 0 {
				c.Data[0] = float32(math.NaN())
			}
			d := slices.Clone(c.Data)
			impl.Sgemm(tA, tB, n[0], n[1], n[2], alpha, a.Data, a.Stride, b.Data, b.Stride, beta, c.Data, c.Stride)
			want.Sgemm(tA, tB, n[0], n[1], n[2], alpha, a.Data, a.Stride, b.Data, b.Stride, beta, d, c.Stride)
			same(t, "gemm", c.Data, d)
			if n[2] == 0 {
				continue
			}
			x, y := random(1, n[2]*2, 0), random(1, n[0]*3, 0) // every second and third element
			z := slices.Clone(y.Data)
			impl.Sgemv(tA, rows, cols, 2, a.Data, a.Stride, x.Data, 2, 0.5, y.Data, 3)
			want.Sgemv(tA, rows, cols, 2, a.Data, a.Stride, x.Data, 2, 0.5, z, 3)
			same(t, "gemv", y.Data, z)
		}
	}
}

func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range got {
		if d := math.Abs(float64(got[i] - want[i])); d > 1e-5*math.Abs(float64(want[i])) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestSliceTooShortPanics(t *testing.T) {
	for name, impl := range implementations() {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("a matrix that is shorter than its shape says was read")
				}
			}()
			x := make([]float32, 11)
			impl.Sgemm(blas.NoTrans, blas.NoTrans, 3, 4, 4, 1, x, 4, make([]float32, 16), 4, 0, make([]float32, 12), 4)
		})
	}
}

// What cannot be used is an error that says so, in a process of its own
// because a library is loaded once.
func TestAskedForLibraryIsMissing(t *testing.T) {
	if os.Getenv("BLASLIB_CHILD") != "" {
		_, err := Load()
		fmt.Println("load:", err)
		return
	}
	for value, want := range map[string]string{"gonum": "load: <nil>", "/nonexistent/libblas.so": Env + "=/nonexistent/libblas.so"} {
		cmd := itself("-test.run=^TestAskedForLibraryIsMissing$")
		cmd.Env = append(os.Environ(), "BLASLIB_CHILD=1", Env+"="+value)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s=%s: got %s (%v), want %q", Env, value, out, err, want)
		}
	}
}

// What serves, with libraries and without, as the rule says and as it is asked for. In
// processes of their own, in which the names are of libraries that are not there.
func TestRule(t *testing.T) {
	if os.Getenv("BLASLIB_CHILD") != "" {
		names = []string{"libnone.so.0", "/nonexistent/libnone.so"}
		lib, err := Load()
		fmt.Printf("load: %+v %v\n", lib, err)
		return
	}
	inGo := Library{Name: "Go", Own: true}
	advised := inGo
	advised.Advice = advice
	own := Library{Name: gemm.Name(), Own: true}
	if !gemm.Fast() {
		own.Advice = advice
	}
	for _, c := range []struct {
		asked, cpu string
		want       Library
	}{
		{"", "", own}, {"", "go", advised}, {"caldera", "go", inGo}, {"gonum", "", Library{Name: "gonum"}},
	} {
		cmd := itself("-test.run=^TestRule$")
		cmd.Env = append(os.Environ(), "BLASLIB_CHILD=1", Env+"="+c.asked, isa.Env+"="+c.cpu)
		out, err := cmd.CombinedOutput()
		if want := fmt.Sprintf("load: %+v <nil>\n", c.want); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s=%s %s=%s: got %s (%v), want %q", Env, c.asked, isa.Env, c.cpu, out, err, want)
		}
	}
}

// BenchmarkTiny is what a call costs beyond its arithmetic.
func BenchmarkTiny(b *testing.B) {
	Load()
	x := make([]float32, 64)
	b.ReportAllocs()
	for b.Loop() {
		blas32.Implementation().Sgemv(blas.NoTrans, 8, 8, 1, x, 8, x[:8], 1, 0, x[8:16], 1)
	}
}

func BenchmarkGemm(b *testing.B) {
	Load()
	for _, threads := range []int{1, 2} {
		for _, n := range []int{768, 2304, 3072} {
			for _, tr := range []blas.Transpose{blas.NoTrans, blas.Trans} {
				b.Run(fmt.Sprintf("threads=%d/n=%d/%c", threads, n, tr), func(b *testing.B) {
					m, k := 512, 768
					x := make([]float32, m*k)
					w := make([]float32, n*k)
					y := make([]float32, m*n)
					ldw := n
					if tr == blas.Trans {
						ldw = k
					}
					for b.Loop() {
						var wg sync.WaitGroup
						for t := range threads {
							wg.Go(func() {
								lo, hi := n*t/threads, n*(t+1)/threads
								ww := w[lo:]
								if tr == blas.Trans {
									ww = w[lo*k:]
								}
								blas32.Implementation().Sgemm(blas.NoTrans, tr, m, hi-lo, k, 1, x, k, ww, ldw, 0, y[lo:], n)
							})
						}
						wg.Wait()
					}
					b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GFLOP/s")
				})
			}
		}
	}
}

func BenchmarkGemv(b *testing.B) {
	Load()
	for _, threads := range []int{1, 2} {
		for _, tr := range []blas.Transpose{blas.NoTrans, blas.Trans} {
			b.Run(fmt.Sprintf("threads=%d/%c", threads, tr), func(b *testing.B) {
				k, n := 768, 50257*4
				x := make([]float32, k)
				w := make([]float32, n*k)
				for i := range w {
					w[i] = 1
				}
				y := make([]float32, n)
				for b.Loop() {
					var wg sync.WaitGroup
					for t := range threads {
						wg.Go(func() {
							lo, hi := n*t/threads, n*(t+1)/threads
							if tr == blas.NoTrans { // w [n,k]
								blas32.Implementation().Sgemv(blas.NoTrans, hi-lo, k, 1, w[lo*k:], k, x, 1, 0, y[lo:], 1)
							} else { // w [k,n]
								blas32.Implementation().Sgemv(blas.Trans, k, hi-lo, 1, w[lo:], n, x, 1, 0, y[lo:], 1)
							}
						})
					}
					wg.Wait()
				}
				b.ReportMetric(4*float64(n)*float64(k)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GB/s")
			})
		}
	}
}
