//go:build !linux && !darwin

package cpu

import "runtime"

func hostName() string           { return runtime.GOARCH }
func hostMemory() int64          { return 0 } // unknown
func freeMemory(int) (int, bool) { return 0, false }
func wantHugePages([]byte)       {}
func yield()                     {}
func cores() int                 { return 0 } // unknown
