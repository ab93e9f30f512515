package backend

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Device is a piece of hardware that a registered backend can open.
type Device struct {
	Backend string // the name of the backend in the registry: "cpu", "vulkan"
	Index   int    // among the devices of that backend
	Name    string // as the driver reports it
	Kind    Kind
	UUID    string // 32 hexadecimal digits, or empty if the driver reports none
	Driver  string // name and version of the driver or library
	Memory  int64  // bytes on the device, 0 if unknown
	Advice  string // a sentence that says what to install to make it faster, or empty
	Note    string // for a software driver: why there may be no other, such as a driver that does not load; else empty
	Open    func() (Backend, error)

	// Faults returns what of the device computed wrongly when it was last used, so that
	// something else was taken in its place; or "". nil: nothing ever does.
	Faults func() string
}

// Spec returns the name of the device for [Open]: "vulkan:0".
func (d Device) Spec() string { return fmt.Sprintf("%s:%d", d.Backend, d.Index) }

// Kind says what a device is. The kinds are in order, best first.
type Kind uint8

const (
	Discrete   Kind = iota // a GPU with its own memory
	Integrated             // a GPU that shares memory with the host
	Virtual                // a GPU passed through to a virtual machine
	Host                   // the CPU through its own backend
	Software               // a GPU driver that computes on the CPU
)

func (k Kind) String() string {
	return [...]string{"discrete GPU", "integrated GPU", "virtual GPU", "CPU", "software driver"}[k]
}

var registry struct {
	sync.Mutex
	names []string
	list  map[string]func() ([]Device, error)
}

// Register adds a backend to the registry. list returns its devices, best first. If
// there are none it returns an error that says why and what to do. Register panics
// if the name is taken.
func Register(name string, list func() ([]Device, error)) {
	registry.Lock()
	defer registry.Unlock()
	if registry.list == nil {
		registry.list = map[string]func() ([]Device, error){}
	}
	if registry.list[name] != nil {
		panic("backend: Register called twice for " + name)
	}
	registry.list[name] = list
	registry.names = append(registry.names, name)
	slices.Sort(registry.names)
}

// Names returns the names of the registered backends, sorted.
func Names() []string {
	registry.Lock()
	defer registry.Unlock()
	return slices.Clone(registry.names)
}

// Devices lists the devices of one backend, best first.
func Devices(name string) ([]Device, error) {
	registry.Lock()
	list := registry.list[name]
	registry.Unlock()
	if list == nil {
		return nil, notRegistered(name)
	}
	devices, err := list()
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", name, err)
	}
	if len(devices) == 0 {
		return nil, fmt.Errorf("backend %s: it has no device", name)
	}
	return devices, nil
}

// packages are the backends that come with Caldera. Importing a package registers
// its backend.
var packages = []struct{ name, path string }{{"cpu", "caldera/backend/cpu"}, {"vulkan", "caldera/backend/vulkan"}}

// isBackend reports whether name is that of a backend, also of one that this program
// does not import.
func isBackend(name string) bool {
	return name == "auto" || slices.Contains(Names(), name) ||
		slices.ContainsFunc(packages, func(p struct{ name, path string }) bool { return p.name == name })
}

// notRegistered returns the error for a backend that is not registered. With "auto"
// it is that of a program that has no backend at all.
func notRegistered(name string) error {
	have := Names()
	var missing []string
	for _, p := range packages {
		line := fmt.Sprintf("import _ %q", p.path)
		if p.name == name {
			return fmt.Errorf("backend %s is not part of this program: add %s", name, line)
		}
		if !slices.Contains(have, p.name) {
			missing = append(missing, line)
		}
	}
	switch {
	case len(have) == 0:
		return fmt.Errorf("backend %q: this program has no backend: add %s", name, strings.Join(missing, " or "))
	case len(missing) > 0:
		return fmt.Errorf("unknown backend %q: expected one of %s, auto; for others add %s", name, strings.Join(have, ", "), strings.Join(missing, " or "))
	}
	return fmt.Errorf("unknown backend %q: expected one of %s, auto", name, strings.Join(have, ", "))
}

// Find looks up a device, and says in a few words why it is the one. spec is one of
//   - a backend: its best device ("vulkan");
//   - a backend with an index, a UUID, or a part of a device's name ("vulkan:1",
//     "vulkan:radeon", "vulkan:4090");
//   - "auto": the best GPU that is no software driver, else the CPU;
//   - "auto:" with a UUID or a part of a name: a device of any backend.
func Find(spec string) (d Device, why string, err error) {
	all, why, err := FindAll(spec)
	if err != nil {
		return Device{}, "", err
	}
	return all[0], why, nil
}

// FindAll is Find with the devices to try next if the first one cannot be opened:
// for "auto" the other GPUs and then the CPU, else none.
func FindAll(spec string) (all []Device, why string, err error) {
	name, which, narrowed := strings.Cut(spec, ":")
	if name == "auto" {
		if narrowed {
			d, why, err := findAnywhere(which)
			return []Device{d}, why, err
		}
		return findAuto()
	}
	devices, err := Devices(name)
	if err != nil {
		return nil, "", err
	}
	if !narrowed {
		if devices[0].Kind == Software {
			return devices[:1], noted("the only kind there is: no GPU was found, so this will be slow", devices[0].Note), nil
		}
		return devices[:1], fmt.Sprintf("the best of %d", len(devices)), nil
	}
	d, why, err := findNamed("backend "+name+" has", which, devices, true)
	return []Device{d}, why, err
}

// FindDevice looks up a device of one of the backends; of any backend if the list is
// empty or has "auto". which is what Find accepts after the name of a backend ("1",
// "radeon"), or a spec with that name, as [Device.Spec] returns it ("vulkan:1").
func FindDevice(backends []string, which string) (Device, string, error) {
	anywhere := len(backends) == 0 || slices.Contains(backends, "auto")
	spec := "auto:" + which
	if name, _, _ := strings.Cut(which, ":"); isBackend(name) {
		spec = which
	} else if !anywhere && len(backends) == 1 {
		spec = backends[0] + ":" + which
	}
	d, why, err := Find(spec)
	if err == nil && !anywhere && !slices.Contains(backends, d.Backend) {
		err = fmt.Errorf("device %q is %s, which is not of backend %s", which, d.Spec(), strings.Join(backends, " or "))
	}
	return d, why, err
}

// findAnywhere finds a device by UUID or name, whichever backend has it.
func findAnywhere(which string) (Device, string, error) {
	var all []Device
	var errs []error
	names := Names()
	if len(names) == 0 {
		return Device{}, "", notRegistered("auto")
	}
	for _, name := range names {
		devices, err := Devices(name)
		if err != nil {
			errs = append(errs, err)
		}
		all = append(all, devices...)
	}
	d, why, err := findNamed("this machine has", which, all, false)
	if _, notNumber := strconv.Atoi(which); err != nil && notNumber == nil {
		err = fmt.Errorf("%w; an index goes with a backend, such as vulkan:%s", err, which)
	}
	if err != nil {
		err = errors.Join(append([]error{err}, errs...)...)
	}
	return d, why, err
}

func findAuto() (all []Device, why string, err error) {
	var errs []error
	if len(Names()) == 0 {
		return nil, "", notRegistered("auto")
	}
	var empty, note string // a backend without devices, a note of one with software drivers only
	for _, name := range Names() {
		devices, err := Devices(name)
		if err != nil {
			errs, empty = append(errs, err), name
		}
		for _, d := range devices {
			if d.Kind != Software {
				all = append(all, d)
			} else if note == "" {
				note = d.Note
			}
		}
	}
	if len(all) == 0 {
		return nil, "", fmt.Errorf("no device found: %w", errors.Join(errs...))
	}
	slices.SortStableFunc(all, func(a, b Device) int { return int(a.Kind) - int(b.Kind) })
	switch {
	case all[0].Kind != Host:
		why = "the best GPU"
	case empty != "":
		why = fmt.Sprintf("no GPU was found; backend %s, chosen by name, tells why", empty)
	default:
		why = noted("no GPU was found", note)
	}
	return all, why, nil
}

func noted(why, note string) string {
	if note == "" {
		return why
	}
	return why + "; " + note
}

// findNamed finds the one of devices that which names: by UUID, by a part of the
// name, or, if indices is set, by index. Errors begin with has: "backend vulkan has".
func findNamed(has, which string, devices []Device, indices bool) (Device, string, error) {
	var have []string
	for _, d := range devices {
		have = append(have, fmt.Sprintf("%s (%s)", d.Spec(), d.Name))
	}
	wrong := func(what string) (Device, string, error) {
		return Device{}, "", fmt.Errorf("%s %s %q: found %s", has, what, which, strings.Join(have, ", "))
	}
	index, err := strconv.Atoi(which)
	number := err == nil
	want := strings.ToLower(which)
	var found, exact []Device
	for _, d := range devices {
		if indices && number && d.Index == index {
			return d, "asked for by index", nil
		}
		if d.UUID != "" && strings.ReplaceAll(want, "-", "") == d.UUID {
			return d, "asked for by UUID", nil
		}
		if want != "" && mentions(strings.ToLower(d.Name), want, number) {
			found = append(found, d)
		}
		if strings.ToLower(d.Name) == want {
			exact = append(exact, d)
		}
	}
	if len(exact) > 0 { // the whole name of one device may be a part of another's
		found = exact
	}
	switch len(found) {
	case 0:
		return wrong("no device")
	case 1:
		return found[0], "asked for by name", nil
	}
	return wrong("several devices named like")
}

// mentions reports whether name contains want. If want is a number, such as 4090, it
// must not be a part of a longer number or of a version.
func mentions(name, want string, number bool) bool {
	const digits = "0123456789."
	for {
		before, after, ok := strings.Cut(name, want)
		if !ok {
			return false
		}
		if !number || strings.TrimRight(before, digits) == before && strings.TrimLeft(after, digits) == after {
			return true
		}
		name = strings.TrimLeft(after, digits)
	}
}

// Open opens the device that [Find] finds for spec. For "auto" it opens the best one
// that can be opened.
func Open(spec string) (Backend, error) {
	all, _, err := FindAll(spec)
	if err != nil {
		return nil, err
	}
	if len(all) == 1 {
		return all[0].Open()
	}
	var failed []error
	for _, d := range all {
		b, err := d.Open()
		if err == nil {
			return b, nil
		}
		failed = append(failed, fmt.Errorf("opening %s (%s): %w", d.Spec(), d.Name, err))
	}
	return nil, errors.Join(failed...)
}
