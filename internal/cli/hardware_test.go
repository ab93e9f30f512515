package cli

import (
	"errors"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
)

// TestAutoFallsBack has GPUs that are the best there are and cannot be opened.
func TestAutoFallsBack(t *testing.T) {
	errBroken := errors.New("the driver is older than the kernel\nupdate it")
	third := false
	backend.Register("broken", func() ([]backend.Device, error) {
		fails := func() (backend.Backend, error) { return nil, errBroken }
		opens := func() (backend.Backend, error) { return backend.Open("cpu") }
		devices := []backend.Device{
			{Backend: "broken", Index: 0, Name: "Best GPU", Kind: backend.Discrete, Open: fails},
			{Backend: "broken", Index: 1, Name: "Next GPU", Kind: backend.Integrated, Open: fails},
		}
		if third {
			devices = append(devices, backend.Device{Backend: "broken", Index: 2, Name: "Good GPU", Kind: backend.Virtual, Open: opens})
		}
		return devices, nil
	})
	const first = "warning: broken:1 (Next GPU) is tried instead: opening broken:0 (Best GPU): the driver is older than the kernel; update it"
	for _, c := range []struct {
		third  bool
		device string
		want   []string
	}{
		{false, "", []string{first, "warning: the CPU computes instead: opening broken:1 (Next GPU): the driver is older than the kernel; update it",
			"cpu:0: ", "(no GPU opens)"}},
		{true, "auto", []string{first, "warning: broken:2 (Good GPU) is tried instead: opening broken:1 (Next GPU): the driver is older than the kernel; update it",
			"broken:2: ", "(the best GPU that opens)"}},
	} {
		third = c.third
		var log strings.Builder
		b, d, err := Hardware{Backend: "auto", Device: c.device}.Open(&log)
		if err != nil {
			t.Fatal(err)
		}
		b.Close()
		lines := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
		if len(lines) != 3 || lines[0] != c.want[0] || lines[1] != c.want[1] ||
			!strings.HasPrefix(lines[2], c.want[2]) || !strings.HasSuffix(lines[2], c.want[3]) {
			t.Errorf("opened %s and told %q, expected %q", d.Spec(), lines, c.want)
		}
	}

	// What was asked for by name is opened or nothing.
	for _, h := range []Hardware{{Backend: "broken"}, {Backend: "broken", Device: "0"}} {
		var log strings.Builder
		_, _, err := h.Open(&log)
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "opening broken:0 (Best GPU)") || log.Len() > 0 {
			t.Errorf("by name: %v, told %q", err, log.String())
		}
	}
}

// TestReproducible has the CPU compute where a token is to have the same bits always, and no device that
// does not promise it.
func TestReproducible(t *testing.T) {
	var log strings.Builder
	b, d, err := Hardware{Backend: "auto", Reproducible: true}.Open(&log)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if d.Backend != "cpu" || !strings.HasSuffix(log.String(), "(it is reproducible)\n") {
		t.Errorf("opened %s and told %q", d.Spec(), log.String())
	}
	backend.Register("other", func() ([]backend.Device, error) {
		return []backend.Device{{Backend: "other", Name: "GPU", Open: func() (backend.Backend, error) { return &null.Backend{}, nil }}}, nil
	})
	_, _, err = Hardware{Backend: "other", Reproducible: true}.Open(&log)
	if usage := (UsageError{}); !errors.As(err, &usage) || !strings.Contains(Message(err), "--reproducible: what other:0 (GPU) adds up depends on") {
		t.Errorf("another device: %v, expected a usage error that names it", err)
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
