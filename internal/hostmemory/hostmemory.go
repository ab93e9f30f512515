// Package hostmemory tells how much memory this process may still take. The
// kernel hands out pages when they are first touched and kills the process when
// there are none, so whoever allocates much asks here first.
package hostmemory

import (
	"bufio"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// Free is the number of bytes that may still be allocated: what the machine
// has, or the limit of a container if that is less. promised bytes have been
// allocated before, and may or may not have been touched since. ok is false
// where it is not known: anywhere but on Linux.
func Free(promised int64) (bytes int64, ok bool) { return free(os.DirFS("/"), promised) }

// Total is the number of bytes that the machine has, or the limit of a container if that is less; 0 where it is not known:
// anywhere but on Linux.
func Total() int64 { return total(os.DirFS("/")) }

func total(root fs.FS) int64 {
	all, _ := kilobytes(root, "proc/meminfo", "MemTotal:")
	if most, ok := cgroup(root, func(most, _, _ int64) int64 { return most }); ok {
		all = min(all, most)
	}
	return all
}

func free(root fs.FS, promised int64) (int64, bool) {
	there, ok := kilobytes(root, "proc/meminfo", "MemAvailable:")
	if !ok {
		return 0, false
	}
	room, ok := cgroup(root, func(most, used, files int64) int64 { return max(0, most-used+files) }) // the kernel drops pages of files first
	if ok {
		there = min(there, room)
	}
	anonymous, _ := kilobytes(root, "proc/self/status", "RssAnon:")
	shared, _ := kilobytes(root, "proc/self/status", "RssShmem:")
	return max(0, min(there, there+anonymous+shared-promised)), true
}

// kilobytes is a field of a file of the kernel's, "name: 12 kB", in bytes.
func kilobytes(root fs.FS, file, name string) (int64, bool) {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0, false
	}
	for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 53)
			return n << 10, err == nil
		}
	}
	return 0, false
}

// cgroup is the least of what room makes of the control groups around this process, of version 2 or 1: of the bytes that one may
// have, has, and has of pages of files not lately used. ok is false where none has a limit.
func cgroup(root fs.FS, room func(most, used, files int64) int64) (bytes int64, ok bool) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	least, found := int64(0), false
	for line := range strings.Lines(string(text)) { // "0::/path" or "4:memory:/path"
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || f[1] != "" && f[1] != "memory" {
			continue
		}
		mount, limit, usage := "sys/fs/cgroup", "memory.max", "memory.current"
		if f[1] == "memory" {
			mount, limit, usage = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
		}
		// In a container the path may be the host's, and its own group the mount itself.
		for dir := path.Clean("/" + f[2]); ; dir = path.Dir(dir) {
			group := path.Join(mount, dir)
			most, ok := number(root, path.Join(group, limit))
			used, ok2 := number(root, path.Join(group, usage))
			if ok && ok2 {
				if n := room(most, used, files(root, path.Join(group, "memory.stat"))); !found || n < least {
					least, found = n, true
				}
			}
			if dir == "/" {
				break
			}
		}
	}
	return least, found
}

// number is the one number in a file; "max" is none.
func number(root fs.FS, file string) (int64, bool) {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// files are the bytes of a group that are pages of files not lately used.
func files(root fs.FS, file string) int64 {
	text, _ := fs.ReadFile(root, file)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "inactive_file "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 63)
			return n
		}
	}
	return 0
}
