package peer

import "syscall"

// OwnGroup makes a process the leader of a group, and ends it with us, however we end.
func OwnGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
