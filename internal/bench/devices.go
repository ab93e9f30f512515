package bench

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/internal/setting"
)

// Devices finds the devices to measure on. Without any names it returns every
// device that is real hardware.
//
// backends are names of backends: it returns their real hardware, or a software
// driver where a backend has nothing else. "auto" stands for the best device that
// opens. devices are single devices: "vulkan:1", or "1" or part of a name where
// one backend is named. "all" stands for every device of all backends, or of
// those that are named, software drivers too.
//
// skipped says why backends that were not asked for by name have no device, and
// why "auto" did not take better devices.
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

// bestThatOpens returns the device that "auto" stands for, and why better ones
// do not open.
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

// unique keeps the first of equal devices.
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
