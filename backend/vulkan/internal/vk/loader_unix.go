//go:build cgo && !windows

package vk

import (
	"errors"
	"runtime"

	"github.com/ebitengine/purego"
)

var loaderNames = func() []string {
	if runtime.GOOS != "darwin" {
		return []string{"libvulkan.so.1"}
	}
	var names []string
	for _, dir := range []string{"", "/opt/homebrew/lib/", "/usr/local/lib/"} {
		names = append(names, dir+"libvulkan.1.dylib", dir+"libMoltenVK.dylib")
	}
	return names
}()

// openLoader opens the library and returns the address of its
// vkGetInstanceProcAddr. The library stays open until the process ends.
func openLoader(name string) (uintptr, error) {
	lib, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return 0, err
	}
	return purego.Dlsym(lib, "vkGetInstanceProcAddr")
}

// checkDriver returns an error if a library is no Vulkan driver. It loads the
// library, as the loader does.
func checkDriver(name string) error {
	lib, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return err
	}
	defer purego.Dlclose(lib)
	for _, symbol := range driverSymbols {
		if _, err := purego.Dlsym(lib, symbol); err == nil {
			return nil
		}
	}
	return errors.New(notDriver)
}
