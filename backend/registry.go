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
	Backend string // the name it is registered under: "cpu", "vulkan"
	Index   int    // among the devices of that backend
	Name    string // as the driver tells it
	Kind    Kind
	UUID    string // 32 hexadecimal digits where the driver tells one, else empty
	Driver  string // name and version of the driver or library that serves it
	Memory  int64  // bytes on the device, 0 if unknown
	Note    string // of a software driver: why there may be no other, such as a driver that does not load; else empty
	Open    func() (Backend, error)
}

// Spec names the device as [Open] takes it: "vulkan:0".
func (d Device) Spec() string { return fmt.Sprintf("%s:%d", d.Backend, d.Index) }

// Kind tells what a device is, best first.
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

// Register makes a backend known under a name. list returns its devices, best
// first; where there are none, an error that says why and what to do.
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

// Names are the names of the registered backends.
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
		return nil, fmt.Errorf("unknown backend %q: expected one of %s, auto", name, strings.Join(Names(), ", "))
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

// Find looks a device up and tells in a few words why it is the one. A spec is
// a backend ("vulkan": its best device), a backend with an index, a UUID or
// part of a device's name ("vulkan:1", "vulkan:radeon", "vulkan:4090"), or
// "auto": the best GPU that is real hardware, else the CPU.
func Find(spec string) (d Device, why string, err error) {
	all, why, err := FindAll(spec)
	if err != nil {
		return Device{}, "", err
	}
	return all[0], why, nil
}

// FindAll is Find with what is to be tried, in that order, where the device
// cannot be opened: for "auto" the other GPUs and then the CPU, else nothing.
func FindAll(spec string) (all []Device, why string, err error) {
	name, which, narrowed := strings.Cut(spec, ":")
	if name == "auto" {
		if narrowed {
			return nil, "", fmt.Errorf("%q: a device goes with a named backend, such as vulkan:%s", spec, which)
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
	d, why, err := findNamed(name, which, devices)
	return []Device{d}, why, err
}

func findAuto() (all []Device, why string, err error) {
	var errs []error
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
		why = fmt.Sprintf("no GPU was found; --backend=%s tells why", empty)
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

func findNamed(backend, which string, devices []Device) (Device, string, error) {
	var have []string
	for _, d := range devices {
		have = append(have, fmt.Sprintf("%d (%s)", d.Index, d.Name))
	}
	wrong := func(what string) (Device, string, error) {
		return Device{}, "", fmt.Errorf("backend %s has %s %q: it has %s", backend, what, which, strings.Join(have, ", "))
	}
	index, err := strconv.Atoi(which)
	number := err == nil
	want := strings.ToLower(which)
	var found, exact []Device
	for _, d := range devices {
		if number && d.Index == index {
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
	if len(exact) > 0 { // the whole name of one may be part of another's
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

// mentions reports whether part of a device's name is want. A number, such as
// 4090, must not be digits of a longer one or of a version.
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

// Open opens the device that [Find] finds for spec, for "auto" the best that
// can be opened.
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
