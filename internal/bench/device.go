package bench

import (
	"fmt"
	"slices"
	"time"

	"caldera/backend"
	"caldera/internal/bench/result"
)

// Device is an open device and what all measurements on it share.
type Device struct {
	backend.Device
	b        *watcher
	now      func() time.Time
	sizes    sizes
	ceilings *result.Ceilings // nil until they are measured
}

// Open opens a device for measuring.
func Open(d backend.Device) (*Device, error) {
	b, err := d.Open()
	if err != nil {
		return nil, fmt.Errorf("opening %s (%s): %w", d.Spec(), d.Name, err)
	}
	return newDevice(d, b, time.Now), nil
}

// newDevice takes the time from now, so that a test can have a clock of its own.
func newDevice(d backend.Device, b backend.Backend, now func() time.Time) *Device {
	return &Device{Device: d, b: &watcher{Backend: b, now: now}, now: now, sizes: usualSizes}
}

// Describe returns a line about what serves the device.
func (d *Device) Describe() string { return backend.Describe(d.b) }

// newCommon begins a record of something that is measured on the device.
func (d *Device) newCommon(kind string) result.Common {
	return result.NewCommon(kind, d.Device, d.Describe())
}

// Close closes the device.
func (d *Device) Close() error { return d.b.Close() }

// watcher is a backend that passes everything on to another. It adds up the time
// that it takes to make programs: on a GPU, to compile shaders and to record
// commands. It also notes which fused ops the other lacks, so that simpler ones
// ran in their place.
type watcher struct {
	backend.Backend
	now     func() time.Time
	spent   time.Duration
	lacked  []string // fused ops that were asked for since the last program
	lowered []string // those that programs lacked which have run; sorted

	recorded func(ops []backend.Op) // is called with what is recorded; nil: not
}

func (w *watcher) Unwrap() backend.Backend { return w.Backend }

// Supports is asked about a fused op before it takes the place of simpler ones
// (backend.Fuse) or gives it to them (backend.Prepare).
func (w *watcher) Supports(op backend.Op) bool {
	if w.Backend.Supports(op) {
		return true
	}
	if o, ok := op.(*backend.Linear); ok && o.Joined() {
		return false // such products pay on some devices alone, and for few rows: none are missed
	}
	if l, ok := op.(backend.Lowerer); ok && len(l.Lower()) > 0 && !slices.Contains(w.lacked, backend.Label(op)) {
		w.lacked = append(w.lacked, backend.Label(op))
	}
	return false
}

// Record implements backend.Recorder, for backends that do and those that don't.
func (w *watcher) Record(ops ...backend.Op) (backend.Program, error) {
	start := w.now()
	defer func() { w.spent += w.now().Sub(start) }()
	if w.recorded != nil {
		w.recorded(ops)
	}
	p, err := backend.Record(w.Backend, ops...)
	if err != nil {
		return nil, err
	}
	watched := &watchedProgram{p, w, w.lacked}
	w.lacked = nil
	return watched, nil
}

type watchedProgram struct {
	backend.Program
	w      *watcher
	lacked []string
}

func (p *watchedProgram) Run() error {
	for _, name := range p.lacked {
		if i, found := slices.BinarySearch(p.w.lowered, name); !found {
			p.w.lowered = slices.Insert(p.w.lowered, i, name)
		}
	}
	return p.Program.Run()
}
