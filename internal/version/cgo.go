//go:build cgo

package version

// cgo is whether the program was built with cgo, which the Vulkan backend needs.
const cgo = true
