//go:build !amd64 && !arm64

package draw

var sets []*functions
