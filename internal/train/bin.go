package train

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"caldera/internal/mapfile"
	"caldera/internal/setting"
)

// What llm.c writes before the ids: 256 numbers of 32 bits, of which three count.
// https://github.com/karpathy/llm.c/blob/master/dev/data/data_common.py
const (
	llmcHeader   = 256 * 4
	llmcGPT2     = 20240520 // magic of ids of 16 bits
	llmcGPT2Is   = 1        // its version
	llmcLlama    = 20240801 // magic of ids of 32 bits
	llmcLlamaIs  = 7
	shortestFile = 2
)

// IsBin reports whether the name is that of a file of token ids.
func IsBin(name string) bool { return strings.EqualFold(filepath.Ext(name), ".bin") }

// openBin maps a file of token ids: 16 bits each, as nanoGPT writes them, or
// behind the header of llm.c. One that comes through a pipe is kept first. No byte
// of it is believed.
func openBin(ctx context.Context, path string) (part, *spool, error) {
	s := &spool{}
	var err error
	if (File{Path: path}).Stream() {
		s, err = openSpool(ctx, path)
	} else {
		s.data, s.maps, err = mapfile.Open(os.DirFS(filepath.Dir(path)), filepath.Base(path), path)
	}
	if err != nil {
		return part{}, nil, File{Path: path}.wrap(err)
	}
	p, err := parseBin(path, s.data)
	if err != nil {
		return part{}, nil, errors.Join(err, s.close())
	}
	return p, s, nil
}

func parseBin(path string, data []byte) (part, error) {
	p := part{name: path, data: data, width: 2}
	if found := otherFormat(data); found != "" {
		return p, setting.Errorf("%s: found "+found+"; expected token ids: of 16 bits without a header, as nanoGPT writes them, or llm.c's format", path)
	}
	magic := word(data, 0)
	// As ids of 16 bits, either magic number begins with one that GPT-2 lacks.
	switch magic {
	case llmcGPT2, llmcLlama:
		version := llmcGPT2Is
		if magic == llmcLlama {
			p.width, version = 4, llmcLlamaIs
		}
		if len(data) < llmcHeader {
			return p, fmt.Errorf("%s: found %d bytes, expected a header of %d as llm.c's %d at its start says", path, len(data), llmcHeader, magic)
		}
		if found := word(data, 1); found != version {
			return p, fmt.Errorf("%s: header of llm.c has version %d, expected %d", path, found, version)
		}
		p.data = data[llmcHeader:]
		if found, n := word(data, 2), len(p.data)/p.width; found != n || len(p.data)%p.width != 0 {
			return p, fmt.Errorf("%s: header of llm.c tells of %d tokens, found %d bytes, expected %d: the file is cut short or is no file of tokens",
				path, found, len(p.data), int64(found)*int64(p.width))
		}
	default:
		if len(data)%2 != 0 {
			return p, fmt.Errorf("%s: found %d bytes, expected an even number: token ids of 16 bits, as nanoGPT writes them, or llm.c's format", path, len(data))
		}
		bits, doubtful := widerIDs(data)
		if bits > 0 {
			return p, fmt.Errorf("%s: found what looks like token ids of %d bits without a header, expected ids of 16 bits, or llm.c's format: %s", path, bits, convertIDs(data, bits))
		}
		p.doubtful = doubtful
	}
	if len(p.data) < shortestFile {
		return p, fmt.Errorf("%s: it has no tokens", path)
	}
	return p, nil
}

// word is number i of 32 bits, -1 behind the end.
func word(data []byte, i int) int {
	if len(data) < 4*i+4 {
		return -1
	}
	return int(int32(binary.LittleEndian.Uint32(data[4*i:])))
}

// binDirectory finds the files of ids in a directory: nanoGPT's train.bin and
// val.bin, or llm.c's whose names have _train and _val in them. Both lists are
// empty where there is no file of ids.
func binDirectory(dir string) (train, val []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries { // in the order of names, which is that of shards
		name := strings.ToLower(e.Name())
		if e.IsDir() || !IsBin(name) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		switch {
		case name == "train.bin" || strings.Contains(name, "_train"):
			train = append(train, path)
		case name == "val.bin" || strings.Contains(name, "_val"):
			val = append(val, path)
		}
	}
	if len(train) == 0 && len(val) > 0 {
		return nil, nil, fmt.Errorf("%s has %s and no train.bin beside it", dir, filepath.Base(val[0]))
	}
	return train, val, nil
}

// FindBins sorts out what of paths is token ids: files *.bin, and directories
// of such files. rest is what must be text.
func FindBins(paths []string) (train, val, rest []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case IsBin(path) && (err != nil || !info.IsDir()):
			train = append(train, path) // whose error is that of opening it
		case err == nil && info.IsDir():
			t, v, err := binDirectory(path)
			if err != nil {
				return nil, nil, nil, err
			}
			if len(t) == 0 {
				rest = append(rest, path)
			}
			train, val = slices.Concat(train, t), slices.Concat(val, v)
		case err == nil || path == "-":
			rest = append(rest, path)
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil, nil, fmt.Errorf("data %s: no such file or directory", path)
		default:
			return nil, nil, nil, err
		}
	}
	if len(train) > 0 && len(rest) > 0 {
		return nil, nil, nil, fmt.Errorf("%s is token ids and %s is text: expected one kind", train[0], rest[0])
	}
	return train, val, rest, nil
}
