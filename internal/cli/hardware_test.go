package cli

import (
	"errors"
	"strings"
	"testing"

	"caldera/backend"
)

// TestAutoFallsBack has a GPU that is the best there is and cannot be opened.
func TestAutoFallsBack(t *testing.T) {
	errBroken := errors.New("the driver is older than the kernel\nupdate it")
	backend.Register("broken", func() ([]backend.Device, error) {
		return []backend.Device{{Backend: "broken", Name: "Best GPU", Kind: backend.Discrete,
			Open: func() (backend.Backend, error) { return nil, errBroken }}}, nil
	})
	var log strings.Builder
	b, d, err := Hardware{Backend: "auto"}.Open(&log)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	lines := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
	if d.Spec() != "cpu:0" || len(lines) != 2 ||
		lines[0] != "warning: the CPU computes instead: opening broken:0 (Best GPU): the driver is older than the kernel; update it" ||
		!strings.HasPrefix(lines[1], "cpu:0: ") || !strings.Contains(lines[1], "the best GPU failed") {
		t.Errorf("opened %s and told %q, expected the CPU after one line of warning", d.Spec(), lines)
	}

	// What was asked for by name is opened or nothing.
	log.Reset()
	_, _, err = Hardware{Backend: "broken"}.Open(&log)
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "opening broken:0 (Best GPU)") || log.Len() > 0 {
		t.Errorf("by name: %v, told %q", err, log.String())
	}
}

// TestAdvise tells each device's advice once.
func TestAdvise(t *testing.T) {
	var log strings.Builder
	for _, advice := range []string{"", "install this", "install this", "install that", "install this"} {
		Advise(&log, backend.Device{Backend: "vulkan", Index: 1, Advice: advice})
	}
	if got, want := log.String(), "vulkan:1: install this\nvulkan:1: install that\n"; got != want {
		t.Errorf("told %q, expected %q", got, want)
	}
}
