package cpu_test

import (
	"testing"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/conformance"
)

func open(tb testing.TB) backend.Backend {
	b, err := cpu.Open()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestConformance(t *testing.T) { conformance.Test(t, open) }

// TestLong tries random cases for as long as CALDERA_LONG says, as `make test-long` does.
func TestLong(t *testing.T) { conformance.Long(t, open) }
