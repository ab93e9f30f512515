package bench

import (
	"context"
	"errors"
	"fmt"

	"caldera/backend"
	"caldera/internal/bench/result"
)

// ceilingSteps is how often Ceilings tells its progress.
const ceilingSteps = 2

// sizes are those of what ceilings and yardsticks run.
type sizes struct {
	read      [2]int // rows and columns of the f32 matrix of the bandwidth yardstick
	copy      int    // bytes; half of it, and so on, where there is too little memory
	leastCopy int    // bytes of that
	squares   []int  // sides of the matrices of the peak
}

// Reading 512 MiB and copying 256 MiB go past every cache; rows are short
// enough that a vector as long stays in the nearest one. Products of larger
// matrices are faster until a device is full; 4096³ fills those of today.
var usualSizes = sizes{
	read: [2]int{65536, 2048},
	copy: 256 << 20, leastCopy: 4 << 20,
	squares: []int{1024, 2048, 4096},
}

// longestPeak bounds the time of one product, in seconds: a slow device is full
// at a small size.
const longestPeak = 0.5

// Ceilings measures the device's ceilings; once, they are kept.
func (d *Device) Ceilings(ctx context.Context, repetitions int, progress func(what string)) (result.Ceilings, error) {
	if d.ceilings != nil {
		return *d.ceilings, nil
	}
	c := result.Ceilings{CeilingSamples: repetitions}
	measure := func(y *yardstick) (rate result.Spread, err error) {
		var samples []float64
		for range repetitions {
			if err := ctx.Err(); err != nil {
				return rate, err
			}
			s, err := y.measure()
			if err != nil {
				return rate, err
			}
			samples = append(samples, y.work/s)
		}
		return result.SpreadOf(samples), nil
	}
	progress("copy bandwidth")
	y, err := d.newCopy()
	if err != nil {
		return c, err
	}
	copied, err := measure(y)
	y.close()
	if err != nil {
		return c, err
	}
	c.Copy, c.AvgCopy, c.StddevCopy = y.name, copied.Mean, copied.SD

	progress("arithmetic peak")
	if y, err = d.fastestProduct(ctx); err != nil {
		return c, err
	}
	peak, err := measure(y)
	y.close()
	if err != nil {
		return c, err
	}
	c.Peak, c.AvgPeak, c.StddevPeak = y.name, peak.Mean, peak.SD
	d.ceilings = &c
	return c, nil
}

// newCopy copies as much f32 as there is memory for, up to what is usual.
func (d *Device) newCopy() (*yardstick, error) {
	for size := d.sizes.copy; ; size /= 2 {
		const columns = 4096
		y := &yardstick{name: fmt.Sprintf("copy of %.2f MiB f32", float64(size)/(1<<20)), unit: UnitBytes, work: 2 * float64(size), now: d.now}
		from, err := y.tensor(d.b, backend.F32, size/4/columns, columns)
		if err == nil {
			var to backend.Tensor
			if to, err = y.tensor(d.b, backend.F32, size/4/columns, columns); err == nil {
				err = y.run(d.b, to.Buf, &backend.Copy{Dst: to, X: from})
			}
		}
		if err == nil {
			err = y.warm(long)
		}
		if errors.Is(err, backend.ErrOutOfMemory) && size/2 >= d.sizes.leastCopy {
			y.close()
			continue
		}
		return y.made(err)
	}
}

// fastestProduct finds the size and the type at which square matrices are
// multiplied fastest. It must run at one of them at least.
func (d *Device) fastestProduct(ctx context.Context) (best *yardstick, err error) {
	bestRate, why := 0.0, []error(nil)
	for _, x := range []square{{backend.F32, backend.F32}, {backend.F32, backend.F16}, {backend.F16, backend.F16}} {
		took := 0.0
		for i, n := range d.sizes.squares {
			grown := 1.0
			if i > 0 {
				grown = float64(n) / float64(d.sizes.squares[i-1])
			}
			if took*grown*grown*grown > longestPeak {
				break
			}
			if err := ctx.Err(); err != nil {
				if best != nil {
					best.close()
				}
				return nil, err
			}
			y, s, err := d.square(n, x)
			if err != nil {
				why = append(why, err)
				break
			}
			took = s
			if rate := y.work / s; rate > bestRate {
				best, y, bestRate = y, best, rate
			}
			if y != nil {
				y.close()
			}
		}
	}
	if best == nil {
		return nil, errors.Join(why...)
	}
	return best, nil
}

// square is what a product of square matrices reads.
type square struct{ x, w backend.DType }

func (s square) String() string {
	if s.x == backend.F16 {
		return "f16 × f16"
	}
	return s.w.String()
}

// square is the product of two matrices of n × n, and the seconds that it takes.
func (d *Device) square(n int, of square) (*yardstick, float64, error) {
	f := float64(n)
	y := &yardstick{name: fmt.Sprintf("linear %d×%[1]d×%[1]d %v", n, of), unit: UnitFLOPs, work: 2 * f * f * f, now: d.now}
	w, err := y.tensor(d.b, of.w, n, n)
	if err == nil {
		err = y.record(d.b, []product{{w: w, rows: n, x: of.x}})
	}
	seconds := 0.0
	if err == nil {
		err = y.warm(long)
	}
	if err == nil {
		seconds, err = y.measure()
	}
	y, err = y.made(err)
	return y, seconds, err
}
