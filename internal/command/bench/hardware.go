package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/internal/bench"
	"caldera/internal/cli"
)

// hardwareFlags choose what to measure on.
type hardwareFlags struct {
	Backend     []string `placeholder:"NAME" help:"Backends to measure: cpu, vulkan, or auto for the best device (default: every device that is real hardware; a software driver only if its backend is named and has nothing else)."`
	Device      []string `sep:"none" placeholder:"WHICH" help:"Devices to measure, as --list-devices prints them (vulkan:1), by UUID or part of a name, or by index where one --backend is given; all: every one, software drivers too."`
	ListDevices bool     `help:"List the devices of every backend, and stop."`
	cli.ListJSON
	Threads int `short:"t" aliases:"n-threads,num-threads" placeholder:"N" help:"Threads of the CPU backend (default: one a core)."`
}

// find looks the devices up. What is left out is told on standard error.
func (f *hardwareFlags) find() ([]backend.Device, error) {
	if f.Threads < 0 || f.Threads > 4096 {
		return nil, cli.Usagef("--threads=%d: expected 1 to 4096", f.Threads)
	}
	if f.Threads > 0 {
		runtime.GOMAXPROCS(f.Threads)
		cpu.SetThreads(f.Threads)
	}
	devices, skipped, err := bench.Devices(f.Backend, f.names())
	for _, why := range skipped {
		notMeasured(why)
	}
	if err != nil {
		return nil, cli.UsageError{Err: err}
	}
	return devices, nil
}

// names are the devices of --device. Commas part them, but a driver's name for a
// device may have commas of its own: what is a device as it stands is one.
func (f *hardwareFlags) names() (list []string) {
	for _, value := range f.Device {
		if _, _, err := backend.FindDevice(f.Backend, value); err == nil {
			list = append(list, value)
		} else {
			list = append(list, strings.Split(value, ",")...)
		}
	}
	return list
}

func notMeasured(why error) {
	fmt.Fprintf(os.Stderr, "%s: not measured: %s\n", cli.Self(), cli.Message(why))
}

// repetitions is a flag that several commands have.
type repetitions struct {
	Repetitions int `short:"r" default:"5" placeholder:"N" help:"How often each measurement is repeated, after a warm-up (${default})."`
}

func (f repetitions) check() error {
	if f.Repetitions < 1 || f.Repetitions > 10000 {
		return cli.Usagef("-r %d: expected 1 to 10000 repetitions", f.Repetitions)
	}
	return nil
}
