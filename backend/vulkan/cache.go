//go:build cgo

package vulkan

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"caldera/internal/atomicfile"
)

// Compiled pipelines are cached on disk. There is one file for each device,
// driver and set of shaders:
//
//	magic       [8]byte   "CLDRPIPE"
//	length      uint64    of data in bytes, little-endian
//	checksum    [32]byte  SHA-256 of data
//	data        []byte    the result of vkGetPipelineCacheData
//
// Some drivers crash on damaged data. So data is passed to a driver only if its
// checksum is right and it has the header that Vulkan prescribes. The file is
// replaced as a whole. A process adds its pipelines to what other processes have
// written since it began. If two write in the same moment, the last one wins, and
// pipelines of the other one are compiled again.
//
// Files of other drivers and of older versions of this program are removed when a
// file is written: see prune.

const (
	cacheMagic    = "CLDRPIPE"
	cacheHeader   = len(cacheMagic) + 8 + sha256.Size
	cacheMaxSize  = 256 << 20 // bytes; a larger file is refused, and not written
	vkCacheHeader = 32        // bytes of VkPipelineCacheHeaderVersionOne

	cacheSuffix = ".pipelines"
	cacheTemp   = ".tmp" // ends the name of a file that is being written: see package atomicfile
)

// Bounds of the files of one kind in the cache directory: of compiled pipelines, and of what was
// found about devices (verdicts.go).
const (
	cacheFiles   = 16
	cacheTotal   = 512 << 20           // bytes
	cacheAge     = 90 * 24 * time.Hour // since the last use
	cacheTempAge = time.Hour           // of what a process that was killed has left
)

// cacheKey holds what compiled pipelines depend on.
type cacheKey struct {
	vendor, device uint32
	uuid           [16]byte // pipelineCacheUUID: changes with the driver's version
	shaders        [sha256.Size]byte
}

// cacheFile is the file for a key.
type cacheFile struct {
	path string // empty: there is none
	key  cacheKey
	sum  [sha256.Size]byte // checksum of the data that was read
}

// cacheFolder is where the files are in a user's cache directory. If that is "", it is the one that the system names;
// if there is none, the folder is "" too.
func cacheFolder(user string) string {
	if user == "" {
		var err error
		if user, err = os.UserCacheDir(); err != nil {
			return ""
		}
	}
	return filepath.Join(user, "caldera", "vulkan")
}

// cacheFileOf returns the file for key in a folder. Its path is "" if that is.
func cacheFileOf(folder string, key cacheKey) cacheFile {
	if folder == "" {
		return cacheFile{key: key}
	}
	name := fmt.Sprintf("%04x-%04x-%x-%x%s", key.vendor, key.device, key.uuid, key.shaders[:8], cacheSuffix)
	return cacheFile{path: filepath.Join(folder, name), key: key}
}

// read returns the file's data, or nil if it has none that are valid.
func (f *cacheFile) read() []byte {
	data := readCache(f.path, f.key)
	if data != nil {
		f.sum = sha256.Sum256(data)
	}
	return data
}

// readNew returns the file's data if another process has written it since read.
func (f *cacheFile) readNew() []byte {
	data := readCache(f.path, f.key)
	if sha256.Sum256(data) == f.sum {
		return nil
	}
	return data
}

// write replaces the file, unless data are what was read, and removes old files.
func (f *cacheFile) write(data []byte) {
	switch {
	case len(data) > cacheMaxSize:
	case sha256.Sum256(data) == f.sum:
		markUsed(f.path)
	case writeCache(f.path, data) == nil:
		prune(f.path, time.Now())
	}
}

// readCache returns the data of the cache file at path. It returns nil if there
// is no such file or the file is not valid: pipelines are then compiled anew.
func readCache(path string, key cacheKey) []byte {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > cacheMaxSize {
		return nil
	}
	file, err := os.ReadFile(path)
	if err != nil || len(file) < cacheHeader || string(file[:len(cacheMagic)]) != cacheMagic {
		return nil
	}
	data := file[cacheHeader:]
	length := binary.LittleEndian.Uint64(file[len(cacheMagic):])
	sum := sha256.Sum256(data)
	if length != uint64(len(data)) || !bytes.Equal(file[len(cacheMagic)+8:cacheHeader], sum[:]) || !key.matches(data) {
		return nil
	}
	return data
}

// matches reports whether data has a VkPipelineCacheHeaderVersionOne for k.
func (k cacheKey) matches(data []byte) bool {
	le := binary.LittleEndian
	return len(data) >= vkCacheHeader && le.Uint32(data) >= vkCacheHeader && uint64(le.Uint32(data)) <= uint64(len(data)) &&
		le.Uint32(data[4:]) == 1 && le.Uint32(data[8:]) == k.vendor && le.Uint32(data[12:]) == k.device &&
		bytes.Equal(data[16:32], k.uuid[:])
}

// writeCache replaces the file at path.
func writeCache(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	header := append([]byte(cacheMagic), binary.LittleEndian.AppendUint64(nil, uint64(len(data)))...)
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(append(header, sum[:]...))
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
}

// prune removes files beside the one at path, of the same ending: those that were not used
// for cacheAge, and those that were used longest ago where there are more than cacheFiles,
// or than cacheTotal bytes, together with that file, which stays. Files that were never completed go too.
func prune(path string, now time.Time) {
	dir, keep := filepath.Split(path)
	_, ending, _ := strings.Cut(keep, ".")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	var files []os.FileInfo // except keep
	count, total := 0, int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		name := info.Name()
		_, end, _ := strings.Cut(name, ".")
		switch {
		case strings.HasSuffix(name, cacheTemp):
			if now.Sub(info.ModTime()) > cacheTempAge {
				os.Remove(filepath.Join(dir, name))
			}
		case name == keep:
			count, total = count+1, total+info.Size()
		case end == ending:
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, info := range files {
		count, total = count+1, total+info.Size()
		if count > cacheFiles || total > cacheTotal || now.Sub(info.ModTime()) > cacheAge {
			os.Remove(filepath.Join(dir, info.Name()))
		}
	}
}

// markUsed says that a file was used now, for prune.
func markUsed(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}
