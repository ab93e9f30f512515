package cpu

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"caldera/backend"
	"caldera/backend/cpu/internal/qgemm"
)

func TestSpeed(t *testing.T) {
	runtime.LockOSThread()
	b := open(t)
	b.pool.stop()
	b.pool = newPool(1)
	now := func() time.Duration {
		var ts unix.Timespec
		unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
		return time.Duration(ts.Nano())
	}
	shapes := [][3]int{{1, 768, 50257}, {1, 3072, 8192}, {1, 768, 3072}, {2, 768, 50257}, {4, 768, 50257}, {8, 768, 3072}, {32, 768, 3072}, {64, 768, 3072}, {512, 768, 3072}, {512, 3072, 768}, {512, 768, 768}}
	for _, d := range []backend.DType{backend.Q8_0, backend.Q4_0} {
		for _, n := range shapes {
			rows, in, out := n[0], n[1], n[2]
			if f := os.Getenv("ROWS"); f != "" && !strings.Contains(","+f+",", fmt.Sprintf(",%d,", rows)) {
				continue
			}
			x, w, y, q := tensor(t, b, backend.F32, rows, in), tensor(t, b, d, out, in), tensor(t, b, backend.F32, rows, out), tensor(t, b, backend.Q8_A, rows, in)
			best := map[string]time.Duration{}
			old := &backend.Linear{Dst: y, X: x, W: w}
			cp, nw := &backend.Copy{Dst: q, X: x}, &backend.Linear{Dst: y, X: q, W: w}
			for from := time.Now(); time.Since(from) < 2000*time.Millisecond; {
				try := func(name string, op backend.Op) {
					a := now()
					b.Run(op)
					if e := now() - a; best[name] == 0 || e < best[name] {
						best[name] = e
					}
				}
				try("f32", old)
				used := qgemm.Set()
				for _, s := range qgemm.Sets() {
					if s != "go" {
						qgemm.Use(s)
						try(s, nw)
					}
				}
				qgemm.Use(used)
				try("copy", cp)
			}
			fmt.Printf("%v rows=%d in=%d out=%d: ", d, rows, in, out)
			for _, k := range []string{"f32", "avx512", "avxvnni", "avx2", "copy"} {
				s := best[k].Seconds()
				fmt.Printf(" %s %.0fus %.0fGOP/s %.1fGB/s;", k, s*1e6, 2*float64(rows)*float64(in)*float64(out)/s/1e9, float64(w.Size())/s/1e9)
			}
			fmt.Println()
			w.Buf.Free()
		}
	}
}
