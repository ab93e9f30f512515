package bench

import "syscall"

// ownGroup makes a process the leader of a group, and ends it with us, however we end.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
