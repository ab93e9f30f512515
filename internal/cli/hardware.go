package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"text/tabwriter"

	"caldera/backend"
	_ "caldera/backend/cpu" // a backend is known once it is imported
	_ "caldera/backend/vulkan"
)

// Hardware are the flags that choose what computes.
type Hardware struct {
	Backend     string `enum:"auto,cpu,vulkan" default:"auto" placeholder:"NAME" help:"What computes: cpu, vulkan, or auto for the best GPU that is real hardware and opens, else the CPU (${default})."`
	Device      string `placeholder:"WHICH" help:"Which device of the backend: its index, UUID or part of its name."`
	ListDevices bool   `help:"List the devices of every backend, and stop."`
	Threads     int    `short:"t" placeholder:"N" help:"Threads of the CPU backend (default: one a core)."`
}

// find looks the chosen device up, with what is to be tried where it cannot be
// opened, and tells why it is the one.
func (h Hardware) find() ([]backend.Device, string, error) {
	if h.Threads < 0 || h.Threads > 4096 {
		return nil, "", Usagef("--threads=%d: expected 1 to 4096", h.Threads)
	}
	if h.Threads > 0 {
		runtime.GOMAXPROCS(h.Threads)
	}
	spec := h.Backend
	if h.Device != "" {
		if spec == "auto" {
			return nil, "", Usagef("--device=%s goes with a backend: add --backend=vulkan or --backend=cpu", h.Device)
		}
		spec += ":" + h.Device
	}
	return backend.FindAll(spec)
}

// Open opens the chosen device and tells log in one line which it is and why.
// Where nobody asked for it by name and it fails, the next best GPU is tried,
// and at last the CPU, each after a line that warns of the one that failed.
func (h Hardware) Open(log io.Writer) (backend.Backend, backend.Device, error) {
	all, why, err := h.find()
	if err != nil {
		return nil, backend.Device{}, err
	}
	d := all[0]
	b, err := open(d)
	failed := err
	for _, next := range all[1:] {
		if err == nil {
			break
		}
		instead := fmt.Sprintf("%s (%s) is tried", next.Spec(), next.Name)
		if why = "the best GPU that opens"; next.Kind == backend.Host {
			instead, why = "the CPU computes", "no GPU opens"
		}
		fmt.Fprintf(log, "warning: %s instead: %s\n", instead, oneLine(err))
		d = next
		b, err = open(d)
		failed = errors.Join(failed, err)
	}
	if err != nil {
		return nil, d, failed
	}
	warning := ""
	if d.Kind == backend.Software {
		warning = "warning: "
	}
	fmt.Fprintf(log, "%s%s: %s (%s)\n", warning, d.Spec(), backend.Describe(b), why)
	return b, d, nil
}

func open(d backend.Device) (backend.Backend, error) {
	b, err := d.Open()
	if err != nil {
		return nil, fmt.Errorf("opening %s (%s): %w", d.Spec(), d.Name, err)
	}
	return b, nil
}

// List prints the devices of every backend, and why a backend has none.
func List(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DEVICE\tKIND\tNAME\tDRIVER\tMEMORY\tUUID")
	for _, name := range backend.Names() {
		devices, err := backend.Devices(name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%v\n", err)
			continue
		}
		for _, d := range devices {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Spec(), d.Kind, d.Name, d.Driver, gibibytes(d.Memory), d.UUID)
		}
	}
	return table.Flush()
}

func gibibytes(n int64) string {
	if n == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
