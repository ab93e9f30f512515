package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"caldera/backend"
	"caldera/backend/cpu"
	_ "caldera/backend/vulkan" // a backend is known once it is imported
	"caldera/internal/printable"
	"caldera/internal/table"
)

// Hardware has the flags that choose the device.
type Hardware struct {
	Backend     string `enum:"auto,${backends}" default:"auto" placeholder:"NAME" help:"What computes: cpu, vulkan, or auto for the best GPU that is real hardware and opens, else the CPU (${default})."`
	Device      string `placeholder:"WHICH" aliases:"dev" help:"Which device, as --list-devices prints it (vulkan:0), by its UUID or part of its name, or by its index where --backend is given."`
	ListDevices bool   `help:"List the devices of every backend, and stop; with --json as JSON."`
	Wide        Wide   `help:"Write tables whole, however wide."`
	Threads     int    `short:"t" aliases:"n-threads,num-threads" placeholder:"N" help:"Threads of the CPU backend (default: one a core)."`

	Reproducible bool `help:"Give a token the same scores, to the last bit, whatever else is in a step and with any number of threads. The CPU computes, with its own kernels, which do so at no cost."`
}

// find looks up the chosen device and the devices to try if it cannot be opened, and
// says why it is the one.
func (h Hardware) find() ([]backend.Device, string, error) {
	if h.Threads < 0 || h.Threads > 4096 {
		return nil, "", Usagef("--threads=%d: expected 1 to 4096", h.Threads)
	}
	if h.Threads > 0 {
		runtime.GOMAXPROCS(h.Threads)
		cpu.SetThreads(h.Threads)
	}
	if h.Reproducible {
		if err := cpu.UseOwn(); err != nil {
			return nil, "", fmt.Errorf("--reproducible: %w", err)
		}
	}
	if h.Device == "" || h.Device == "auto" {
		if h.Reproducible && h.Backend == "auto" {
			all, _, err := backend.FindAll("cpu")
			return all, "it is reproducible", err
		}
		return backend.FindAll(h.Backend)
	}
	d, why, err := backend.FindDevice([]string{h.Backend}, h.Device)
	if err != nil {
		err = fmt.Errorf("--device=%s: %w", h.Device, err)
		if _, notNumber := strconv.Atoi(h.Device); h.Backend == "auto" && notNumber == nil {
			err = UsageError{err} // an index of which backend?
		}
	}
	return []backend.Device{d}, why, err
}

// ListJSON is the flag --json of commands where it only changes the list of devices.
type ListJSON struct {
	JSON bool `name:"json" help:"With --list-devices: list them as JSON."`
}

// List lists the devices if the user asks for it. It returns an error if --json has no
// meaning.
func (f ListJSON) List(asked bool) (listed bool, err error) {
	if asked {
		return true, List(os.Stdout, f.JSON)
	}
	if f.JSON {
		return false, Usagef("--json goes with --list-devices")
	}
	return false, nil
}

// Open opens the chosen device, and writes a line to log that says which it is and why.
// If the user has not named a device and opening fails, it writes a warning and tries
// the next best GPU, and at last the CPU.
func (h Hardware) Open(log io.Writer) (backend.Backend, backend.Device, error) {
	return h.OpenBy(log, func(d backend.Device) (backend.Backend, error) { return d.Open() })
}

// OpenBy is Open for a command that opens devices in its own way.
func (h Hardware) OpenBy(log io.Writer, open func(backend.Device) (backend.Backend, error)) (backend.Backend, backend.Device, error) {
	all, why, err := h.find()
	if err != nil {
		return nil, backend.Device{}, err
	}
	d := all[0]
	b, err := opened(d, open)
	failed := err
	for _, next := range all[1:] {
		if err == nil {
			break
		}
		instead := fmt.Sprintf("%s (%s) is tried", next.Spec(), printable.Text(next.Name))
		if why = "the best GPU that opens"; next.Kind == backend.Host {
			instead, why = "the CPU computes", "no GPU opens"
		}
		fmt.Fprintf(log, "warning: %s instead: %s\n", instead, Message(err))
		d = next
		b, err = opened(d, open)
		failed = errors.Join(failed, err)
	}
	if err != nil {
		return nil, d, failed
	}
	if h.Reproducible && !backend.Reproducible(b) {
		return nil, d, errors.Join(Usagef("--reproducible: what %s (%s) adds up depends on how many tokens a step has; expected --backend=cpu", d.Spec(), printable.Text(d.Name)), b.Close())
	}
	warning := ""
	if d.Kind == backend.Software {
		warning = "warning: "
	}
	fmt.Fprintln(log, printable.Text(fmt.Sprintf("%s%s: %s (%s)", warning, d.Spec(), backend.Describe(b), why)))
	Advise(log, d)
	return b, d, nil
}

var advised sync.Map // the advice that was written

// Advise writes the device's advice to log in one line, if there is any: only once in a
// process.
func Advise(log io.Writer, d backend.Device) {
	if d.Advice == "" {
		return
	}
	if _, told := advised.LoadOrStore(d.Advice, true); !told {
		fmt.Fprintf(log, "%s: %s\n", d.Spec(), d.Advice)
	}
}

// opened says in an error which device was not opened.
func opened(d backend.Device, open func(backend.Device) (backend.Backend, error)) (backend.Backend, error) {
	b, err := open(d)
	if err != nil {
		return nil, fmt.Errorf("opening %s (%s): %w", d.Spec(), d.Name, err)
	}
	return b, nil
}

// List prints the devices of every backend as a table or as JSON, and why a backend has
// none. The names that it prints can be used for --device.
func List(w io.Writer, asJSON bool) error {
	type device struct {
		Device  string `json:"device"` // as --device takes it: vulkan:0
		Backend string `json:"backend"`
		Index   int    `json:"index"`
		Name    string `json:"name"`
		Kind    string `json:"kind"`
		Driver  string `json:"driver"`
		Memory  int64  `json:"memory_bytes"`     // 0 if unknown
		UUID    string `json:"uuid"`             // empty if unknown
		Faults  string `json:"faults,omitempty"` // what computed wrongly when it was last used
	}
	list := []device{} // so that an empty list is [] in JSON, not null
	for _, name := range backend.Names() {
		devices, err := backend.Devices(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, Message(err))
			continue
		}
		for _, d := range devices {
			faults := ""
			if d.Faults != nil {
				faults = d.Faults()
			}
			list = append(list, device{d.Spec(), d.Backend, d.Index, d.Name, d.Kind.String(), d.Driver, d.Memory, d.UUID, faults})
		}
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	rows := [][]string{{"DEVICE", "KIND", "NAME", "DRIVER", "MEMORY", "UUID"}}
	for _, d := range list {
		rows = append(rows, []string{d.Device, d.Kind, printable.Text(d.Name), printable.Text(d.Driver), gibibytes(d.Memory), d.UUID})
	}
	const gap = 2
	parts := []table.Part{{Rows: rows}}
	changed := false
	if columns := Columns(w); columns > 0 {
		parts, changed = table.Parts(rows, gap, columns)
	}
	var texts []string
	for _, part := range parts {
		texts = append(texts, table.Plain(part.Rows, gap))
	}
	for _, d := range list {
		if d.Faults != "" {
			texts = append(texts, printable.Text(d.Device+" is used without "+d.Faults+", which computed wrongly when it was last used.")+"\n")
		}
	}
	if changed {
		texts = append(texts, wideNote+"\n")
	}
	_, err := io.WriteString(w, strings.Join(texts, "\n"))
	return err
}

func gibibytes(n int64) string {
	if n == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
