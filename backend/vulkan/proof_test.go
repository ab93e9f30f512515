//go:build cgo

package vulkan

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"caldera/backend/vulkan/internal/vk"
	"caldera/internal/commandtest"
)

// openWithHooks opens the device of a driver with hooks, under validation.
func openWithHooks(tb testing.TB, driver string, clamp func(*Limits), hooks *vk.Hooks) (*Backend, error) {
	tb.Helper()
	return openWithTimeout(tb, driver, clamp, hooks, commandtest.Patience)
}

// openWithTimeout is openWithHooks for a device that may never finish.
func openWithTimeout(tb testing.TB, driver string, clamp func(*Limits), hooks *vk.Hooks, timeout time.Duration) (*Backend, error) {
	tb.Helper()
	b, err := Open(Options{
		Device:     index(tb, driver),
		Validation: true,
		OnMessage:  func(text string) { tb.Errorf("validation: %s", text) },
		Limits:     clamp,
		hooks:      hooks,
		timeout:    timeout,
	})
	if err == nil {
		tb.Cleanup(func() {
			if err := b.Close(); err != nil {
				tb.Errorf("Close: %v", err)
			}
		})
	}
	return b, err
}

// without simulates a driver that leaves out commands of some kinds.
func without(kinds ...vk.CommandKind) *vk.Hooks {
	return &vk.Hooks{Command: func(_ vk.CommandBuffer, c vk.Command) bool {
		for _, k := range kinds {
			if c.Kind == k {
				return false
			}
		}
		return true
	}}
}

// TestRefused opens devices that compute wrongly or nothing.
func TestRefused(t *testing.T) {
	const opAdd, opSubtract = 129, 131 // OpFAdd, OpFSub
	wrongCompiler := &vk.Hooks{Shader: func(words []uint32) []uint32 {
		for at := 5; at < len(words); at += int(words[at] >> 16) {
			if words[at]&0xffff == opAdd {
				words[at] = words[at]&^0xffff | opSubtract
			}
		}
		return words
	}}
	const sums = "256 of 256 sums of a shader are wrong"
	endless := &vk.Hooks{Submit: func() (commands, fence bool) { return true, false }}
	emptySubmits := &vk.Hooks{Submit: func() (commands, fence bool) { return false, true }}
	for _, c := range []struct {
		name            string
		hooks           *vk.Hooks
		unified, staged string // what is found, where the host maps device memory and where not; "…": anything
	}{
		{"submits", emptySubmits, "does nothing that it is told: " + sums + "…, and so are 256 numbers of a copy and 256 numbers from the command buffer",
			"does nothing that it is told: " + sums + "…, and so are 256 numbers of a copy and 256 numbers from the command buffer and 256 numbers that the host wrote"},
		{"copies", without(vk.Copy), "computes wrongly: 256 of 256 numbers of a copy are wrong", "does nothing that it is told"},
		{"kernels", without(vk.Dispatch), "computes wrongly: " + sums, "computes wrongly: " + sums},
		{"writes of commands", without(vk.Update), "and so are 256 numbers from the command buffer", "and so are 256 numbers from the command buffer"},
		{"everything but copies", without(vk.Dispatch, vk.Update, vk.Fill), sums, sums},
		{"addition", wrongCompiler, "computes wrongly: " + sums, "computes wrongly: " + sums},
		{"fences", endless, "has not finished", "has not finished"},
	} {
		for name, clamp := range map[string]func(*Limits){"unified": nil, "staged": staged} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				t.Setenv("XDG_CACHE_HOME", t.TempDir())
				timeout := commandtest.Patience
				if c.hooks == endless {
					timeout = time.Second // however fast the machine is, it never finishes
				}
				_, err := openWithTimeout(t, lavapipe, clamp, c.hooks, timeout)
				var refused *RefusedError
				if !errors.As(err, &refused) {
					t.Fatalf("it is not refused: %v", err)
				}
				found := c.unified
				if clamp != nil {
					found = c.staged
				}
				found, more, _ := strings.Cut(found, "…")
				for _, want := range []string{"vulkan: llvmpipe", "driver llvmpipe Mesa", found, more, "choose another device", "update the driver", "backend=cpu"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error does not say %q: %v", want, err)
					}
				}
				if left := cachesLeft(); len(left) > 0 {
					t.Errorf("a device that is refused leaves %v in the user's cache", left)
				}
			})
		}
	}
}

// cachesLeft are the caches of pipelines in the user's cache directory.
func cachesLeft() []string {
	left, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "caldera", "vulkan", "*"))
	return left
}

// TestProofIsFresh: what was right for one opening is wrong for the next.
func TestProofIsFresh(t *testing.T) {
	first, second := proofValues(), proofValues()
	if proofFaults(first, first) != "" {
		t.Error("what is right is taken for wrong")
	}
	for part, name := range proofNames {
		same := 0
		for i := range proofNumbers {
			if at := part*proofNumbers + i; first[at] == second[at] {
				same++
			}
		}
		if same > 2 {
			t.Errorf("two openings have %d of %d %s in common", same, proofNumbers, name)
		}
		if found := proofFaults(first, second); !strings.Contains(found, name) {
			t.Errorf("%s of another opening are taken: %s", name, found)
		}
	}
}

// TestOneWrongNumber: each of them counts.
func TestOneWrongNumber(t *testing.T) {
	want := proofValues()
	for i := range want {
		got := append([]float32(nil), want...)
		got[i]++
		if proofFaults(got, want) == "" {
			t.Fatalf("number %d is wrong and goes unnoticed", i)
		}
	}
}

// TestOpenLeavesNoCache: the test of the device alone is no reason to write a cache.
func TestOpenLeavesNoCache(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	b, err := openWithHooks(t, lavapipe, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := b.Stats().Pipelines; n != 1 {
		t.Errorf("opening a device compiles %d pipelines, expected 1", n)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if left := cachesLeft(); len(left) > 0 {
		t.Errorf("opening and closing a device leaves %v in the user's cache", left)
	}
}
