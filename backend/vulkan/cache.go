//go:build cgo

package vulkan

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
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
// replaced as a whole: if several processes write it, the last one wins.

const (
	cacheMagic   = "CLDRPIPE"
	cacheHeader  = len(cacheMagic) + 8 + sha256.Size
	cacheMaxSize = 256 << 20 // bytes; a larger file is refused
)

// cacheKey holds what compiled pipelines depend on.
type cacheKey struct {
	vendor, device uint32
	uuid           [16]byte // pipelineCacheUUID: changes with the driver's version
	shaders        [sha256.Size]byte
}

// cachePath returns the path of the cache file for key, or "" if the user has no
// cache directory.
func cachePath(key cacheKey) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	name := fmt.Sprintf("%04x-%04x-%x-%s.pipelines", key.vendor, key.device, key.uuid, hex.EncodeToString(key.shaders[:8]))
	return filepath.Join(dir, "caldera", "vulkan", name)
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
	return len(data) >= 32 && le.Uint32(data) >= 32 && uint64(le.Uint32(data)) <= uint64(len(data)) &&
		le.Uint32(data[4:]) == 1 && le.Uint32(data[8:]) == k.vendor && le.Uint32(data[12:]) == k.device &&
		bytes.Equal(data[16:32], k.uuid[:])
}

// writeCache writes data to a new file and renames it to path.
func writeCache(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	file := append([]byte(cacheMagic), binary.LittleEndian.AppendUint64(nil, uint64(len(data)))...)
	file = append(append(file, sum[:]...), data...)
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(file)
	if e := temp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}
