//go:build !amd64

package isa

func amd() bool { return false }
