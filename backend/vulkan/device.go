//go:build cgo

package vulkan

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

func init() { backend.Register("vulkan", Devices) }

// Devices lists the devices that [Open] can open, best first: discrete GPUs,
// integrated GPUs, virtual GPUs, and software drivers, which compute on the CPU.
// If there is no device, the error says what is missing and what to install.
func Devices() ([]backend.Device, error) {
	inst, err := vk.New(vk.Options{})
	if err != nil {
		return nil, err
	}
	defer inst.Close()
	found, err := physicalDevices(inst)
	if err != nil {
		return nil, err
	}
	note := ""
	if !slices.ContainsFunc(found, func(p *vk.PhysicalDevice) bool { return kindOf(p) != backend.Software }) {
		note = vk.NamedFaults()
	}
	list := make([]backend.Device, len(found))
	for i, p := range found {
		list[i] = backend.Device{
			Backend: "vulkan",
			Index:   i,
			Name:    p.Name,
			Kind:    kindOf(p),
			UUID:    uuidOf(p),
			Driver:  driverOf(p),
			Memory:  memoryOf(p),
			Note:    note,
			Open:    func() (backend.Backend, error) { return Open(Options{Device: i}) },
			Faults:  func() string { return lastFaults(cacheFolder(""), p) },
		}
	}
	return list, nil
}

// minBindings is the largest number of storage buffers that a shader of ours
// binds which has no other in its place. Vulkan guarantees only 4; GPUs of the last ten years have at least 16.
const minBindings = 8

// physicalDevices returns the devices that can be opened, best first. An index
// of a device, as in [Options] and "vulkan:1", is an index in this list.
func physicalDevices(inst *vk.Instance) ([]*vk.PhysicalDevice, error) {
	all, err := inst.Devices()
	if err != nil {
		return nil, err
	}
	computes := func(q vk.QueueFamily) bool { return q.Compute && q.Count > 0 }
	usable := slices.DeleteFunc(slices.Clone(all), func(p *vk.PhysicalDevice) bool {
		return p.APIVersion < vk.MakeVersion(1, 1, 0) || !slices.ContainsFunc(p.Queues, computes) ||
			p.Limits.MaxStorageBuffers < minBindings
	})
	if len(usable) == 0 {
		var have []string
		for _, p := range all {
			have = append(have, p.String())
		}
		return nil, fmt.Errorf("%w: Vulkan 1.1, a queue for compute and %d storage buffers a shader are needed, and there is only %s",
			vk.ErrNoDevice, minBindings, strings.Join(have, "; "))
	}
	slices.SortStableFunc(usable, func(a, b *vk.PhysicalDevice) int { return int(kindOf(a)) - int(kindOf(b)) })
	return usable, nil
}

func kindOf(p *vk.PhysicalDevice) backend.Kind {
	switch p.Type {
	case vk.DiscreteGPU:
		return backend.Discrete
	case vk.IntegratedGPU:
		return backend.Integrated
	case vk.CPU:
		return backend.Software
	}
	return backend.Virtual
}

// uuidOf returns the device's UUID as 32 hexadecimal digits, or "" if the
// driver does not set it.
func uuidOf(p *vk.PhysicalDevice) string {
	if p.DeviceUUID == (vk.UUID{}) {
		return ""
	}
	return hex.EncodeToString(p.DeviceUUID[:])
}

// driverOf returns the driver's name and version.
func driverOf(p *vk.PhysicalDevice) string {
	if p.DriverName == "" {
		return fmt.Sprintf("driver %#x of vendor %#04x", p.DriverVersion, p.VendorID)
	}
	return strings.TrimSpace(p.DriverName + " " + p.DriverInfo)
}

// memoryOf returns the size of the largest device-local heap in bytes.
func memoryOf(p *vk.PhysicalDevice) int64 {
	var most uint64
	for _, h := range p.Heaps {
		if h.DeviceLocal {
			most = max(most, h.Size)
		}
	}
	return int64(most)
}
