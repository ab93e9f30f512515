package hostmemory

import (
	"runtime"
	"testing"
	"testing/fstest"
)

func TestFree(t *testing.T) {
	base := map[string]string{
		"proc/meminfo":     "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n",
		"proc/self/status": "RssAnon:\t 1000 kB\nRssShmem:\t 500 kB\n",
	}
	const kb = 1 << 10
	for _, c := range []struct {
		name     string
		files    map[string]string
		promised int64
		want     int64
		total    int64
	}{
		{"no group", nil, 0, 8000 * kb, 9000 * kb},
		{"promised and touched", nil, 1500 * kb, 8000 * kb, 9000 * kb},
		{"promised and not touched", nil, 5500 * kb, 4000 * kb, 9000 * kb},
		{"promised more than there is", nil, 50000 * kb, 0, 9000 * kb},
		{"no limit", map[string]string{
			"proc/self/cgroup":           "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.current": "5\n",
		}, 0, 8000 * kb, 9000 * kb},
		{"a limit of a parent", map[string]string{
			"proc/self/cgroup":               "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max":     "4096000\n",
			"sys/fs/cgroup/a/memory.stat":    "anon 7\ninactive_file 1024000\n",
			"sys/fs/cgroup/a/memory.current": "2048000\n",
			"sys/fs/cgroup/a/b/memory.max":   "max\n", "sys/fs/cgroup/a/b/memory.current": "1\n",
		}, 0, 3072000, 4096000},
		{"a container, whose path is the host's", map[string]string{
			"proc/self/cgroup":         "0::/docker/123\n",
			"sys/fs/cgroup/memory.max": "4096000\n", "sys/fs/cgroup/memory.current": "96000\n",
		}, 0, 4000000, 4096000},
		{"version 1", map[string]string{
			"proc/self/cgroup": "5:cpu:/x\n4:memory:/y\n",
			"sys/fs/cgroup/memory/y/memory.limit_in_bytes": "1000000\n", "sys/fs/cgroup/memory/y/memory.usage_in_bytes": "400000\n",
		}, 0, 600000, 1000000},
		{"over the limit", map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "2000\n",
		}, 0, 0, 1000},
		{"damaged", map[string]string{"proc/self/cgroup": "x\n0::\n::::", "sys/fs/cgroup/memory.max": "1e9"}, 0, 8000 * kb, 9000 * kb},
	} {
		root := fstest.MapFS{}
		for _, files := range []map[string]string{base, c.files} {
			for name, text := range files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
		}
		if got, ok := free(root, c.promised); got != c.want || !ok {
			t.Errorf("%s: %d, %v; want %d", c.name, got, ok, c.want)
		}
		if got := total(root); got != c.total {
			t.Errorf("%s: %d in all; want %d", c.name, got, c.total)
		}
	}
	if _, ok := free(fstest.MapFS{}, 0); ok {
		t.Error("a machine that tells nothing has a known amount")
	}
}

func TestThisMachine(t *testing.T) {
	got, ok := Free(0)
	if ok != (runtime.GOOS == "linux") || ok && got < 1<<20 {
		t.Errorf("%d bytes, %v", got, ok)
	}
}
