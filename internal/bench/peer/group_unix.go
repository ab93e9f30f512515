//go:build unix

package peer

import (
	"os"
	"syscall"
)

// endGroup ends a process of OwnGroup and what it started.
func endGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
