//go:build cgo

// Finding and opening the Vulkan loader at run time. So the program starts on
// machines without Vulkan too, and can say what is missing.

package vk

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	binding "github.com/vulkan-go/vulkan"
)

// LoaderEnv names the environment variable that holds the path of a loader (or
// of a driver that is one, such as libMoltenVK.dylib) to open in place of the
// system's.
const LoaderEnv = "CALDERA_VULKAN_LOADER"

// global guards what exists once in a process: the open loader, and the binding's
// function pointers, which each new instance overwrites.
var global struct {
	sync.Mutex
	getProc uintptr // vkGetInstanceProcAddr
}

// load opens the loader, unless it is open. The caller has locked global.
func load() error {
	if global.getProc != 0 {
		return nil
	}
	names := loaderNames
	if path := os.Getenv(LoaderEnv); path != "" {
		names = []string{path}
	}
	var reasons []string
	for _, name := range names {
		addr, err := openLoader(name)
		if err != nil {
			reasons = append(reasons, err.Error())
			continue
		}
		binding.SetGetInstanceProcAddr(*(*unsafe.Pointer)(unsafe.Pointer(&addr)))
		if err := binding.Init(); err != nil {
			return fmt.Errorf("%w: %s: %v", ErrNoLoader, name, err)
		}
		global.getProc = addr
		return nil
	}
	if os.Getenv(LoaderEnv) != "" {
		return fmt.Errorf("%w: %s; unset %s to use the system's loader",
			ErrNoLoader, strings.Join(reasons, "; "), LoaderEnv)
	}
	return fmt.Errorf("%w (%s): %s, or name one in %s",
		ErrNoLoader, strings.Join(reasons, "; "), installLoader(), LoaderEnv)
}

func installLoader() string {
	switch runtime.GOOS {
	case "darwin":
		return "install MoltenVK and its loader (brew install molten-vk vulkan-loader)"
	case "windows":
		return "install the graphics card's current driver, which brings vulkan-1.dll"
	}
	return "install the Vulkan loader (apt install libvulkan1, dnf install vulkan-loader)"
}

func installDriver() string {
	switch runtime.GOOS {
	case "darwin":
		return "install MoltenVK (brew install molten-vk)"
	case "windows":
		return "install the graphics card's current driver"
	}
	return "install the driver of the graphics card (apt install mesa-vulkan-drivers for AMD, Intel and " +
		"the software driver lavapipe; NVIDIA's own brings its Vulkan part)"
}
