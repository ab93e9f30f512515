//go:build unix && !linux

package peer

import "syscall"

// OwnGroup makes a process the leader of a group.
func OwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
