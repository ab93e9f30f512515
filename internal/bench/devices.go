package bench

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/internal/setting"
)

// Devices finds what to measure on. Without any names it is every device that
// is real hardware. backends takes those of the backends named, a software
// driver only where a backend has nothing else, and "auto" the best device
// that opens; devices takes single ones,
// as "vulkan:1", or "1" or part of a name where one backend is named, or as
// "all" every one of all backends, or of those named, software drivers
// included. skipped tells which backends have none, where none was asked for
// by name, and which devices "auto" passed over.
func Devices(backends, devices []string) (found []backend.Device, skipped []error, err error) {
	everything := len(devices) == 1 && devices[0] == "all"
	if len(devices) > 0 && !everything {
		found, err = single(backends, devices)
		return unique(found), nil, err
	}
	named := len(backends) > 0 && !(everything && slices.Contains(backends, "auto"))
	if !named {
		backends = backend.Names()
	}
	for _, name := range backends {
		if name == "auto" && !everything {
			best, failed, err := bestThatOpens()
			if err != nil {
				return nil, nil, err
			}
			found, skipped = append(found, best), append(skipped, failed...)
			continue
		}
		all, err := backend.Devices(name)
		if err != nil && named {
			return nil, nil, err
		}
		if err != nil {
			skipped = append(skipped, err)
			continue
		}
		hardware := slices.DeleteFunc(slices.Clone(all), func(d backend.Device) bool { return d.Kind == backend.Software && !everything })
		if len(hardware) == 0 && named {
			hardware = all[:1]
		}
		if len(hardware) == 0 {
			skipped = append(skipped, setting.Errorf("backend %s: it has software drivers only, which {backend=%[1]s} measures", name))
		}
		found = append(found, hardware...)
	}
	if len(found) == 0 {
		return nil, skipped, fmt.Errorf("no device found")
	}
	return unique(found), skipped, nil
}

// bestThatOpens is the device that "auto" stands for, and why better ones do not
// open.
func bestThatOpens() (best backend.Device, failed []error, err error) {
	all, _, err := backend.FindAll("auto")
	if err != nil {
		return best, nil, err
	}
	for _, d := range all {
		b, err := d.Open()
		if err == nil {
			return d, failed, b.Close()
		}
		failed = append(failed, fmt.Errorf("opening %s (%s): %w", d.Spec(), d.Name, err))
	}
	return best, nil, errors.Join(failed...)
}

// single finds devices by name.
func single(backends, devices []string) ([]backend.Device, error) {
	var found []backend.Device
	for _, spec := range devices {
		if spec == "all" {
			return nil, setting.Errorf("{device=all} goes without other devices: found %s", strings.Join(devices, ","))
		}
		d, _, err := backend.FindDevice(backends, spec)
		if err != nil {
			return nil, setting.Errorf("{device=%s}: %w", spec, err)
		}
		found = append(found, d)
	}
	return found, nil
}

// unique leaves each device once, where it stands first.
func unique(devices []backend.Device) []backend.Device {
	var out []backend.Device
	seen := map[string]bool{}
	for _, d := range devices {
		if !seen[d.Spec()] {
			seen[d.Spec()] = true
			out = append(out, d)
		}
	}
	return out
}
