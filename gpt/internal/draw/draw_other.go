//go:build !amd64

package draw

var sets []*functions
