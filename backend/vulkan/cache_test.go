//go:build cgo

package vulkan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"caldera/backend"
)

func testKey() cacheKey {
	return cacheKey{vendor: 0x10005, device: 7, uuid: [16]byte{1, 2, 3}}
}

// cacheData is cache data as a driver returns it for key.
func cacheData(key cacheKey, n int) []byte {
	var p []byte
	for _, v := range []uint32{32, 1, key.vendor, key.device} {
		p = binary.LittleEndian.AppendUint32(p, v)
	}
	return append(append(p, key.uuid[:]...), bytes.Repeat([]byte{0xab}, n)...)
}

func TestCacheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "cache")
	if readCache(path, testKey()) != nil {
		t.Error("a file that is not there has contents")
	}
	data := cacheData(testKey(), 100)
	if err := writeCache(path, data); err != nil {
		t.Fatal(err)
	}
	if got := readCache(path, testKey()); !bytes.Equal(got, data) {
		t.Fatal("the cache does not come back")
	}
	other := testKey()
	other.uuid[0]++
	if readCache(path, other) != nil {
		t.Error("another driver's pipelines are taken")
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range file {
		damaged := slices.Clone(file)
		damaged[n] ^= 0x10
		for what, p := range map[string][]byte{"cut off": file[:n], "damaged": damaged} {
			if err := os.WriteFile(path, p, 0o600); err != nil {
				t.Fatal(err)
			}
			if readCache(path, testKey()) != nil {
				t.Fatalf("a file %s at byte %d is taken", what, n)
			}
		}
	}
	// The checksum is right, the header is another's.
	for _, p := range [][]byte{nil, data[:31], cacheData(other, 10), append([]byte{255, 255, 255, 255}, data[4:]...)} {
		if err := writeCache(path, p); err != nil {
			t.Fatal(err)
		}
		if readCache(path, testKey()) != nil {
			t.Errorf("%d bytes with a wrong header are taken", len(p))
		}
	}
}

// TestCacheFileOfManyWriters: a reader sees one of the files, whole.
func TestCacheFileOfManyWriters(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cache")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				if err := writeCache(path, cacheData(testKey(), 1000*i)); err != nil {
					t.Error(err)
				}
				if readCache(path, testKey()) == nil {
					t.Error("a file half written is seen")
				}
			}
		})
	}
	wg.Wait()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, want 1 (%v)", len(left), err)
	}
}

// TestCachePruned: what is used longest ago goes where there are too many files or bytes,
// and what is too old in any case. Nothing else in the directory is touched.
func TestCachePruned(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name  string
		count int           // files beside the one that is written
		step  time.Duration // between their last uses
		bytes int64         // of each
		left  int
	}{
		{"few", 3, time.Hour, 10, 3},
		{"many", 40, time.Hour, 10, cacheFiles - 1},
		{"large", 8, time.Hour, cacheTotal / 4, 3},
		{"old", 8, cacheAge / 4, 10, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			touch := func(name string, age time.Duration, bytes int64) {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(os.Truncate(path, bytes), os.Chtimes(path, now, now.Add(-age))); err != nil { // a hole: it takes no space
					t.Fatal(err)
				}
			}
			for i := range c.count {
				touch(fmt.Sprintf("%02d%s", i, cacheSuffix), time.Duration(i)*c.step+time.Minute, c.bytes)
			}
			touch("notes.txt", 10*cacheAge, 10)
			touch("of.checks.json", 10*cacheAge, 10)      // pruned with its like
			touch("mine.1"+cacheTemp, cacheTempAge/2, 10) // another process may be writing it
			touch("mine.2"+cacheTemp, 2*cacheTempAge, 10)
			if err := os.Mkdir(filepath.Join(dir, "folder"+cacheSuffix), 0o700); err != nil {
				t.Fatal(err)
			}
			f := cacheFile{path: filepath.Join(dir, "mine"+cacheSuffix), key: testKey()}
			f.write(cacheData(testKey(), 10))
			want := []string{"mine.1" + cacheTemp, "of.checks.json", "folder" + cacheSuffix, "mine" + cacheSuffix, "notes.txt"}
			for i := range c.left {
				want = append(want, fmt.Sprintf("%02d%s", i, cacheSuffix))
			}
			slices.Sort(want)
			var got []string
			entries, err := os.ReadDir(dir)
			for _, e := range entries {
				got = append(got, e.Name())
			}
			if !slices.Equal(got, want) || err != nil {
				t.Errorf("left are %v, want %v (%v)", got, want, err)
			}
		})
	}
}

// TestCacheUnchanged: a process that compiled nothing new does not write the file again,
// but it counts as used; data that are too long are not written.
func TestCacheUnchanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	data := cacheData(testKey(), 100)
	if err := writeCache(path, data); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-cacheAge)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f := cacheFile{path: path, key: testKey()}
	if f.read() == nil || f.readNew() != nil {
		t.Fatal("the file is not read, or counts as written by another process")
	}
	f.write(data)
	f.write(make([]byte, cacheMaxSize+1))
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) || after.Size() != before.Size() || time.Since(after.ModTime()) > time.Hour {
		t.Errorf("the file is another one, or does not count as used: %v, %v", after, err)
	}
	if err := writeCache(path, cacheData(testKey(), 101)); err != nil {
		t.Fatal(err)
	}
	if got := f.readNew(); len(got) != vkCacheHeader+101 {
		t.Errorf("of what another process has written %d bytes are read", len(got))
	}
}

// TestCacheOnDisk opens a device several times, each time with the cache file of the last.
func TestCacheOnDisk(t *testing.T) {
	for _, driver := range []string{lavapipe, swiftshader} {
		t.Run(driver, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			work := func() string {
				b := openTest(t, driver, nil)
				x, y := vector(t, b, 1, 2), vector(t, b, 0, 0)
				if err := backend.Run(b, &backend.Add{Dst: y, A: x, B: x}); err != nil {
					t.Fatal(err)
				}
				if got := values(t, b, y); got[1] != 4 {
					t.Fatalf("got %v", got)
				}
				if s := b.Stats(); s.Pipelines == 0 || s.CompileTime <= 0 {
					t.Errorf("Stats() = %+v after an op has run", s)
				}
				path := b.pipes.file.path
				if !strings.HasPrefix(path, os.Getenv("XDG_CACHE_HOME")) {
					t.Fatalf("the cache is at %s, not in the user's cache directory", path)
				}
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				return path
			}
			path := work()
			work()
			for _, p := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte{0xff}, 100_000)} {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, p, 0o600); err != nil {
					t.Fatal(err)
				}
				work()
			}
		})
	}
}
