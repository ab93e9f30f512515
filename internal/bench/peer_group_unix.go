//go:build unix

package bench

import (
	"os"
	"syscall"
)

// endGroup ends a process of ownGroup and what it started.
func endGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
