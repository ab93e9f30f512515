//go:build cgo

package vulkan

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// TestProfileOfBrokenClocks simulates devices that run ops and do not tell when.
func TestProfileOfBrokenClocks(t *testing.T) {
	overwrite := func(value func(i int, tick uint64) uint64) func([]uint64, bool) bool {
		return func(ticks []uint64, written bool) bool {
			for i := range ticks {
				ticks[i] = value(i, ticks[i])
			}
			return written
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name  string
		hooks func(ticks []uint64, written bool) bool
		want  string // empty: the profile is right
	}{
		{"as it is", nil, ""},
		{"not written", func([]uint64, bool) bool { return false }, "has not written the timestamps"},
		{"zeros", overwrite(func(int, uint64) uint64 { return 0 }), "all 16 are 0"},
		{"a clock that stands still", overwrite(func(int, uint64) uint64 { return 12345 }), "its clock stands still: all 16 timestamps are 12345"},
		{"all ones", overwrite(func(int, uint64) uint64 { return math.MaxUint64 }), "its clock stands still"},
		{"backwards", overwrite(func(i int, _ uint64) uint64 { return 1<<60 - uint64(i)<<40 }), "run backwards"},
		{"a zero among others", overwrite(func(i int, tick uint64) uint64 {
			if i == 5 {
				return 0
			}
			return 1<<60 + tick%1000
		}), "run backwards"},
		{"a zero first", overwrite(func(i int, tick uint64) uint64 {
			if i == 0 {
				return 0
			}
			return 1<<60 + uint64(i)
		}), "since the first"},
		{"all ones among others", overwrite(func(i int, tick uint64) uint64 {
			if i%2 == 1 {
				return math.MaxUint64
			}
			return 1 << 60
		}), "run backwards"},
		{"noise", overwrite(func(int, uint64) uint64 { return rng.Uint64() }), "timestamps"},
		{"a clock in another unit", overwrite(func(i int, tick uint64) uint64 { return uint64(i) * uint64(time.Hour) }), "by the host's clock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := openWithHooks(t, lavapipe, nil, &vk.Hooks{Timestamps: c.hooks})
			if err != nil {
				t.Fatal(err)
			}
			x, y := vector(t, b, 1, 2), vector(t, b, 0, 0)
			op := &backend.Activate{Dst: y, X: x, Func: backend.GELUTanh}
			spans, err := b.Profile(func() error { return b.Run(op, op, op, op, op, op, op, op) })
			switch {
			case c.want == "" && (err != nil || len(spans) != 8):
				t.Errorf("%d spans, %v", len(spans), err)
			case c.want == "":
			case err == nil || !errors.Is(err, errors.ErrUnsupported) || spans != nil:
				t.Errorf("%d spans, error %v", len(spans), err)
			default:
				for _, want := range []string{"vulkan: llvmpipe", "driver llvmpipe Mesa", c.want, "without a profile"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error does not say %q: %v", want, err)
					}
				}
			}
		})
	}
}

// TestTicksEnd: what no Duration holds is not a negative one.
func TestTicksEnd(t *testing.T) {
	k := ticks{bits: 64, period: 1000}
	var last time.Duration
	for i := range uint64(8) {
		at, err := k.at(i << 61)
		if err != nil || at < last {
			t.Errorf("timestamp %d is %v (%v) after %v", i, at, err, last)
		}
		last = at
	}
	if _, err := (&ticks{bits: 64, period: 1, begun: true, last: 1 << 40}).at(1<<40 - 2e6); err == nil {
		t.Error("two milliseconds backwards are no error")
	}
}
