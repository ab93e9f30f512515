//go:build cgo

package vk

import (
	"errors"
	"fmt"
	"syscall"
)

var loaderNames = []string{"vulkan-1.dll"}

// openLoader opens the library and returns the address of its
// vkGetInstanceProcAddr. The library stays open until the process ends.
func openLoader(name string) (uintptr, error) {
	lib, err := syscall.LoadLibrary(name)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	addr, err := syscall.GetProcAddress(lib, "vkGetInstanceProcAddr")
	if err != nil {
		return 0, fmt.Errorf("%s: vkGetInstanceProcAddr: %w", name, err)
	}
	return addr, nil
}

// checkDriver returns an error if a library is no Vulkan driver. It loads the
// library, as the loader does.
func checkDriver(name string) error {
	lib, err := syscall.LoadLibrary(name)
	if err != nil {
		return err
	}
	defer syscall.FreeLibrary(lib)
	for _, symbol := range driverSymbols {
		if _, err := syscall.GetProcAddress(lib, symbol); err == nil {
			return nil
		}
	}
	return errors.New(notDriver)
}
