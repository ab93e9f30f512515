//go:build !unix

package bench

import (
	"os"
	"syscall"
)

// ownGroup does nothing where there are no groups of processes.
func ownGroup() *syscall.SysProcAttr { return nil }

// endGroup ends a process alone.
func endGroup(p *os.Process) { _ = p.Kill() }
