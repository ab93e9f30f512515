package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/edsrzf/mmap-go"

	"caldera/internal/mapfile"
)

// withFile maps a regular file for the time of use.
func withFile(path string, use func(data []byte) error) error {
	data, maps, err := mapfile.Open(os.DirFS(filepath.Dir(path)), filepath.Base(path), path)
	if err != nil {
		return err
	}
	return errors.Join(use(data), mapfile.Unmap(maps))
}

// spool is what came through standard input or a pipe. It is kept in a file
// that has no name any more, and mapped: it may be read more than once, and may
// be larger than memory.
type spool struct {
	data []byte
	maps []mmap.MMap
	file *os.File // nil where nothing was written
	name string   // of file, where it still has one
}

// openSpool reads standard input, for Stdin, or a pipe to its end. It does not wait
// for more when ctx ends: the other end may never write.
func openSpool(ctx context.Context, path string) (*spool, error) {
	type result struct {
		s   *spool
		err error
	}
	done := make(chan result, 1)
	go func() {
		s, err := readSpool(ctx, path)
		done <- result{s, err}
	}()
	select {
	case r := <-done:
		if r.err != nil && ctx.Err() != nil {
			r.err = ctx.Err()
		}
		return r.s, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func readSpool(ctx context.Context, path string) (_ *spool, err error) {
	in := os.Stdin
	if path != Stdin {
		if in, err = os.Open(path); err != nil {
			return nil, err
		}
		defer in.Close()
	}
	s := &spool{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() { // < file: it is there to be mapped
		from, err := in.Seek(0, io.SeekCurrent)
		if err == nil {
			err = s.mapFile(in, from)
		}
		return s, err
	}
	if path != Stdin && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) == 0 {
		return nil, errors.New("found a device, expected a file, a directory or a pipe")
	}
	if s.file, err = os.CreateTemp("", "train-*.tmp"); err != nil {
		return nil, err
	}
	// Without a name nothing is left behind, however the process ends. Windows
	// removes no open file.
	if os.Remove(s.file.Name()) != nil {
		s.name = s.file.Name()
	}
	_, err = io.Copy(s.file, untilDone{ctx, in})
	if named := (*fs.PathError)(nil); errors.As(err, &named) && named.Op == "write" {
		err = fmt.Errorf("keeping it in a temporary file in %s: %w (TMPDIR names another directory)", os.TempDir(), named.Err)
	}
	if err == nil {
		err = s.mapFile(s.file, 0)
	}
	return s, err
}

// mapFile maps a file from a byte on.
func (s *spool) mapFile(f *os.File, from int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() <= from {
		return err // an empty file cannot be mapped
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return fmt.Errorf("mapping it into memory: %w", err)
	}
	s.maps, s.data = []mmap.MMap{m}, m[from:]
	return nil
}

func (s *spool) close() error {
	err := mapfile.Unmap(s.maps)
	s.maps, s.data = nil, nil
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
	if s.name != "" {
		os.Remove(s.name)
	}
	return err
}

// untilDone is a reader that ends with its context.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
