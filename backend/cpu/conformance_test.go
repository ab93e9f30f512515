package cpu_test

import (
	"testing"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Test(t, func(tb testing.TB) backend.Backend {
		b, err := cpu.Open()
		if err != nil {
			tb.Fatal(err)
		}
		return b
	})
}
