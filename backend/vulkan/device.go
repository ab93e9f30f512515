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

// Devices lists what [Open] can open, best first: GPUs with memory of their
// own, GPUs that share the host's, virtual ones, and drivers that compute on the CPU.
// Where there is none the error says what is missing and what to install.
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
		}
	}
	return list, nil
}

// minBindings is how many storage buffers the shader with most of them has.
// Vulkan promises 4; every GPU of the last decade has 16 and more.
const minBindings = 8

// physicalDevices are the devices that can be opened, best first. It is the
// order of every index.
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

// uuidOf is the device's UUID as 32 digits, and empty where the driver leaves
// it zero.
func uuidOf(p *vk.PhysicalDevice) string {
	if p.DeviceUUID == (vk.UUID{}) {
		return ""
	}
	return hex.EncodeToString(p.DeviceUUID[:])
}

// driverOf is the driver's name and version.
func driverOf(p *vk.PhysicalDevice) string {
	if p.DriverName == "" {
		return fmt.Sprintf("driver %#x of vendor %#04x", p.DriverVersion, p.VendorID)
	}
	return strings.TrimSpace(p.DriverName + " " + p.DriverInfo)
}

// memoryOf is the size of the device's own memory.
func memoryOf(p *vk.PhysicalDevice) int64 {
	var most uint64
	for _, h := range p.Heaps {
		if h.DeviceLocal {
			most = max(most, h.Size)
		}
	}
	return int64(most)
}
