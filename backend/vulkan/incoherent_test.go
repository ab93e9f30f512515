//go:build cgo

package vulkan

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// openIncoherent opens a device with simulated incoherent memory: host and device see
// each other's writes only after a range is flushed or invalidated.
func openIncoherent(t *testing.T, clamp func(*Limits)) *Backend {
	t.Helper()
	b, err := openWithHooks(t, lavapipe, func(l *Limits) {
		if clamp != nil {
			clamp(l)
		}
		l.Coherent = false
	}, &vk.Hooks{Incoherent: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestIncoherentMemory lets host and device write parts of a buffer in turn, at different
// offsets, also side by side.
func TestIncoherentMemory(t *testing.T) {
	for name, clamp := range map[string]func(*Limits){"unified": nil, "staged": staged} {
		t.Run(name, func(t *testing.T) {
			b := openIncoherent(t, clamp)
			rng := rand.New(rand.NewPCG(7, 8))
			const words = 500
			buf, source := mustAlloc(t, b, 4*words), mustAlloc(t, b, 4*words)
			model := make([]byte, 4*words)
			from := randomBytes(rng, 4*words)
			if err := b.Write(source, 0, from); err != nil {
				t.Fatal(err)
			}
			part := func() (at, n int) {
				at = rng.IntN(words)
				return at, 1 + rng.IntN(min(words-at, 70))
			}
			for i := range 300 {
				at, n := part()
				var what string
				switch rng.IntN(4) {
				case 0:
					what = fmt.Sprintf("the device copies words [%d, %d)", at, at+n)
					dst, src := backend.Of(buf, backend.F32, at, n), backend.Of(source, backend.F32, at, n)
					if err := backend.Run(b, &backend.Copy{Dst: dst, X: src}); err != nil {
						t.Fatal(err)
					}
					copy(model[4*at:4*(at+n)], from[4*at:])
				case 1:
					what = "the device finishes"
					if err := b.waitAll(); err != nil {
						t.Fatal(err)
					}
				case 2:
					off, p := 4*at+rng.IntN(4), randomBytes(rng, 4*n-3)
					what = fmt.Sprintf("the host writes bytes [%d, %d)", off, off+len(p))
					if err := b.Write(buf, off, p); err != nil {
						t.Fatal(err)
					}
					copy(model[off:], p)
				case 3:
					what = fmt.Sprintf("the host reads words [%d, %d)", at, at+n)
					if got := mustRead(t, b, buf, 4*at, 4*n); !bytes.Equal(got, model[4*at:4*(at+n)]) {
						t.Fatalf("step %d: words [%d, %d) differ", i, at, at+n)
					}
				}
				if i%10 == 9 && !bytes.Equal(mustRead(t, b, buf, 0, 4*words), model) {
					t.Fatalf("step %d (%s): the buffer differs", i, what)
				}
			}
		})
	}
}
