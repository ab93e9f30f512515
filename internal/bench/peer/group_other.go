//go:build !unix

package peer

import (
	"os"
	"syscall"
)

// OwnGroup does nothing where there are no groups of processes.
func OwnGroup() *syscall.SysProcAttr { return nil }

// endGroup ends a process alone.
func endGroup(p *os.Process) { _ = p.Kill() }
