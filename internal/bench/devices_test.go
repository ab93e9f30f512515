package bench

import (
	"errors"
	"strings"
	"testing"

	"caldera/backend"
)

func init() {
	kinds := func(name string, kinds ...backend.Kind) func() ([]backend.Device, error) {
		return func() ([]backend.Device, error) {
			var list []backend.Device
			for i, k := range kinds {
				list = append(list, backend.Device{Backend: name, Index: i, Name: name + " " + k.String(), Kind: k, Open: func() (backend.Backend, error) {
					if k == refused {
						return nil, errors.New("it does nothing")
					}
					return &played{}, nil
				}})
			}
			return list, nil
		}
	}
	backend.Register("mixed", kinds("mixed", backend.Discrete, backend.Integrated, backend.Software))
	backend.Register("soft", kinds("soft", backend.Software, backend.Software))
	backend.Register("none", func() ([]backend.Device, error) { return nil, errors.New("no loader") })
}

// refused is a kind of device that does not open; Software stands for none.
var refused = backend.Software

// TestBestThatOpens passes over the best device, which does not open.
func TestBestThatOpens(t *testing.T) {
	refused = backend.Discrete
	defer func() { refused = backend.Software }()
	found, skipped, err := Devices([]string{"auto"}, nil)
	if err != nil || len(found) != 1 || found[0].Spec() != "mixed:1" || join(skipped) != "opening mixed:0 (mixed discrete GPU): it does nothing" {
		t.Errorf("found %v, skipped %v, %v", found, skipped, err)
	}
}

func TestDevices(t *testing.T) {
	for _, test := range []struct{ name, backends, devices, want, skipped string }{
		{"all real ones", "", "", "cpu:0 mixed:0 mixed:1", "backend none: no loader; backend soft: it has software drivers only, which backend=soft measures"},
		{"a backend that has nothing else", "soft", "", "soft:0", ""},
		{"those of a backend that are real", "mixed,cpu,mixed", "", "mixed:0 mixed:1 cpu:0", ""},
		{"a backend without devices", "none", "", "error: backend none: no loader", ""},
		{"an unknown backend", "cuda", "", `error: unknown backend "cuda"`, ""},
		{"by backend and index", "", "mixed:2,cpu", "mixed:2 cpu:0", ""},
		{"by part of the name", "mixed", "discrete,2", "mixed:0 mixed:2", ""},
		{"without a backend", "", "discrete,mixed:2", "mixed:0 mixed:2", ""},
		{"by name among two backends", "cpu,mixed", "integrated", "mixed:1", ""},
		{"by name of neither", "cpu,soft", "integrated", "error: device=integrated: device \"integrated\" is mixed:1, which is not of backend cpu or soft", ""},
		{"of another backend", "cpu", "mixed:0", "error: device=mixed:0: device \"mixed:0\" is mixed:0, which is not of backend cpu", ""},
		{"all", "", "all", "cpu:0 mixed:0 mixed:1 mixed:2 soft:0 soft:1", "backend none: no loader"},
		{"the best", "auto", "", "mixed:0", ""},
		{"the best, and those of a backend", "cpu,auto", "", "cpu:0 mixed:0", ""},
		{"any, by name", "auto", "mixed:1", "mixed:1", ""},
		{"an index of the best", "auto", "1", "error: device=1: this machine has no device \"1\"", ""},
		{"all, whichever is best", "auto", "all", "cpu:0 mixed:0 mixed:1 mixed:2 soft:0 soft:1", "backend none: no loader"},
		{"all of a backend", "mixed", "all", "mixed:0 mixed:1 mixed:2", ""},
		{"all of a backend without devices", "none", "all", "error: backend none: no loader", ""},
		{"all and another", "", "all,cpu", "error: device=all goes without other devices: found all,cpu", ""},
		{"not there", "", "mixed:7", "error: device=mixed:7: backend mixed has no device", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, skipped, err := Devices(list(test.backends), list(test.devices))
			var specs []string
			for _, d := range found {
				specs = append(specs, d.Spec())
			}
			got := strings.Join(specs, " ")
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != test.want && (err == nil || !strings.HasPrefix(got, test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if got := strings.ReplaceAll(join(skipped), "\n", "; "); got != test.skipped {
				t.Errorf("skipped: got %q, want %q", got, test.skipped)
			}
		})
	}
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func join(errs []error) string {
	if len(errs) == 0 {
		return ""
	}
	return errors.Join(errs...).Error()
}
