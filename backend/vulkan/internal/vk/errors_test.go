//go:build cgo

package vk_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"caldera/backend/vulkan/internal/vk"
)

func TestResult(t *testing.T) {
	err := error(&vk.CallError{Call: "vkQueueSubmit", Result: -4})
	if got := err.Error(); !strings.HasPrefix(got, "vkQueueSubmit: VK_ERROR_DEVICE_LOST (-4): ") {
		t.Error(got)
	}
	err = fmt.Errorf("decode: %w", err)
	if !errors.Is(err, vk.ErrDeviceLost) || errors.Is(err, vk.ErrOutOfMemory) || !errors.Is(err, vk.Result(-4)) {
		t.Error("a lost device is not known as one")
	}
	for _, r := range []vk.Result{-1, -2, -1000069000} {
		if !errors.Is(r, vk.ErrOutOfMemory) {
			t.Errorf("%v is not ErrOutOfMemory", r)
		}
	}
	if got := vk.Result(-77).Error(); got != "VkResult (-77): a code newer than this program" {
		t.Error(got)
	}
}

func TestOutOfMemory(t *testing.T) {
	i, m := newInstance(t)
	d := openFirst(t, i)
	_, err := d.AllocateMemory(1<<40, 0)
	if !errors.Is(err, vk.ErrOutOfMemory) || !strings.Contains(fmt.Sprint(err), "vkAllocateMemory (1099511627776 bytes of memory type 0): VK_ERROR_OUT_OF_") {
		t.Errorf("1 TiB: %v", err)
	}
	m.take() // the layer points at maxMemoryAllocationSize, too
}

func TestBadArguments(t *testing.T) {
	d, _ := newDevice(t)
	for _, spirv := range [][]byte{nil, addSPIRV[:16], addSPIRV[:len(addSPIRV)-1], make([]byte, 64)} {
		if _, err := d.CreateShaderModule(spirv); err == nil || !strings.Contains(err.Error(), "not SPIR-V") {
			t.Errorf("%d bytes: %v", len(spirv), err)
		}
	}
	layout := must[vk.DescriptorSetLayout](t)(d.CreateDescriptorSetLayout(nil))
	defer d.DestroyDescriptorSetLayout(layout)
	for _, n := range []int{-4, 2, d.Physical.Limits.MaxPushConstants + 4} {
		if _, err := d.CreatePipelineLayout(layout, n); err == nil {
			t.Errorf("%d bytes of push constants were taken", n)
		}
	}
	cache := must[vk.PipelineCache](t)(d.CreatePipelineCache([]byte(strings.Repeat("garbage", 100))))
	d.DestroyPipelineCache(cache)

	x := newAdder(t, d, 4, 1)
	defer x.free()
	defer func() {
		if got := fmt.Sprint(recover()); got != "vk: 8 bytes of push constants for a layout of 4" {
			t.Errorf("too many push constants: %s", got)
		}
	}()
	d.CmdRun(x.cb, x.pipeline, x.layout, x.set, make([]byte, 8), 1, 1, 1)
}

// TestMissing runs itself on machines that lack something.
func TestMissing(t *testing.T) {
	if want := os.Getenv("CALDERA_VK_MISSING"); want != "" {
		i, err := vk.New(vk.Options{Validation: want == "layer"})
		if err == nil {
			_, err = i.Devices()
		}
		fmt.Printf("loader=%t driver=%t %v\n", errors.Is(err, vk.ErrNoLoader), errors.Is(err, vk.ErrNoDriver), err)
		return
	}
	for _, c := range []struct{ missing, env, want string }{
		{"loader", "CALDERA_VULKAN_LOADER=/nonexistent/libvulkan.so.1", "loader=true driver=false no Vulkan loader"},
		{"driver", "VK_DRIVER_FILES=/nonexistent/icd.json", "loader=false driver=true no Vulkan driver"},
		{"layer", "VK_LAYER_PATH=/nonexistent", "loader=false driver=false validation was asked for"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMissing$")
		cmd.Env = append(os.Environ(), "CALDERA_VK_MISSING="+c.missing, c.env)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("without %s: %v, %s\nwant %s", c.missing, err, out, c.want)
		}
		t.Logf("without %s: %s", c.missing, out)
		remedy := map[string]string{"loader": "unset CALDERA_VULKAN_LOADER", "driver": "unset VK_DRIVER_FILES",
			"layer": "apt install vulkan-validationlayers"}[c.missing]
		if !strings.Contains(string(out), remedy) {
			t.Errorf("without %s: the error does not say %q", c.missing, remedy)
		}
	}
}
