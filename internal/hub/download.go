package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"caldera/internal/atomicfile"
)

// download makes sure that the contents of a file are in the cache. It takes the lock that
// Hugging Face's tools take for them, so that one process fetches and others wait. progress
// is called with the number of bytes that are there, as they come.
func (c *client) download(ctx context.Context, n Name, commit string, f File, cache repoCache, progress func(done int64)) error {
	blob := cache.blob(f.Sum)
	there := func() bool {
		info, err := os.Stat(blob)
		return err == nil && info.Mode().IsRegular() && info.Size() == f.Size
	}
	if there() {
		progress(f.Size)
		return nil
	}
	for _, dir := range []string{filepath.Dir(blob), cache.locks} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	lock := flock.New(filepath.Join(cache.locks, f.Sum+".lock"))
	defer lock.Close()
	if locked, err := lock.TryLock(); err != nil {
		return fmt.Errorf("cannot lock %s: %w", lock.Path(), err)
	} else if !locked {
		c.log(fmt.Sprintf("another process fetches %s: waiting for it", f.Path))
		if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	if there() {
		progress(f.Size)
		return nil
	}
	part, err := openPart(blob+".incomplete", f)
	if err != nil {
		return err
	}
	defer part.Close()
	address := fmt.Sprintf("%s/%s/resolve/%s/%s", c.place.Endpoint, n.Repo, commit, (&url.URL{Path: f.Path}).EscapedPath())
	resumed := part.size > 0
	for failed, most := 0, part.size; ; {
		err := c.receive(ctx, address, f, part, progress)
		var again unreachable
		switch {
		case err == nil && part.sum() == f.Sum:
			return part.finish(blob)
		case err == nil && resumed:
			// What an earlier process left may be the wrong part.
			resumed = false
			c.log(fmt.Sprintf("%s: the part that was there does not fit: fetching it anew", f.Path))
			err = part.restart()
		case err == nil:
			err = fmt.Errorf("%s: %s of %s is damaged: its checksum is %s, expected %s: try again", c.host(), f.Path, n.Repo, part.sum(), f.Sum)
			return errors.Join(err, part.remove())
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &again):
			return err
		}
		// What came a second time, because the server cannot go on where it ended, is no progress.
		if failed++; part.size > most {
			failed, most = 0, part.size
		}
		if failed >= attempts {
			return err
		}
		if err != nil {
			delay := time.Second << failed
			c.log(fmt.Sprintf("%v: going on after %s in %v", err, bytes(part.size), delay))
			if err := pause(ctx, delay); err != nil {
				return err
			}
		}
	}
}

// receive fetches what a part lacks.
func (c *client) receive(ctx context.Context, address string, f File, part *part, progress func(int64)) error {
	if part.size == f.Size && f.Size > 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	response, err := c.get(ctx, address, f.Path, part.size, attempts)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch start := fmt.Sprintf("bytes %d-", part.size); {
	case part.size > 0 && response.StatusCode == http.StatusOK: // the whole file
		err = part.restart()
	case part.size > 0 && response.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		if err := part.restart(); err != nil {
			return err
		}
		return unreachable{fmt.Errorf("%s: %s: the server has no such rest of the file", c.host(), f.Path)}
	case part.size > 0 && !strings.HasPrefix(response.Header.Get("Content-Range"), start):
		err = fmt.Errorf("%s: %s: found the range %q, expected one that begins with %q", c.host(), f.Path, shorten(response.Header.Get("Content-Range")), start)
	}
	if err != nil {
		return err
	}
	rest := f.Size - part.size
	if n := response.ContentLength; n >= 0 && n != rest {
		return fmt.Errorf("%s: %s: the server sends %d bytes, and lists the file with %d: found %d, expected %d", c.host(), f.Path, n, f.Size, part.size+n, f.Size)
	}
	buffer := make([]byte, 1<<20)
	for body := io.LimitReader(alive(response.Body, cancel), rest+1); ; {
		n, err := body.Read(buffer)
		if part.size+int64(n) > f.Size {
			return fmt.Errorf("%s: %s: the server sends more than the %d bytes that it lists", c.host(), f.Path, f.Size)
		}
		if n > 0 {
			if err := part.add(buffer[:n]); err != nil {
				return err
			}
			progress(part.size)
		}
		switch {
		case err == nil:
		case err == io.EOF && part.size == f.Size:
			return nil
		case err == io.EOF:
			return unreachable{fmt.Errorf("%s: %s: the connection ended after %d of %d bytes", c.host(), f.Path, part.size, f.Size)}
		default:
			return c.network(f.Path, err)
		}
	}
}

// part is a file of which only the beginning may be there.
type part struct {
	*os.File
	size int64
	want File
	hash hash.Hash
}

// openPart opens what an earlier process left of a file, or a new one.
func openPart(path string, f File) (*part, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	p := &part{File: file, want: f}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: it is not a regular file", path)
	}
	if err == nil {
		err = p.reset()
	}
	if err == nil && info.Size() > f.Size {
		err = p.restart()
	} else if err == nil {
		p.size, err = io.Copy(p.hash, file)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return p, nil
}

func (p *part) reset() error {
	p.size, p.hash = 0, sha256.New()
	if len(p.want.Sum) == 40 { // as git hash-object does
		p.hash = sha1.New()
		fmt.Fprintf(p.hash, "blob %d\x00", p.want.Size)
	}
	_, err := p.Seek(0, io.SeekStart)
	return err
}

// restart drops what is there.
func (p *part) restart() error {
	return errors.Join(p.reset(), p.Truncate(0))
}

func (p *part) add(data []byte) error {
	n, err := p.Write(data)
	p.hash.Write(data[:n])
	p.size += int64(n)
	return err
}

func (p *part) sum() string { return hex.EncodeToString(p.hash.Sum(nil)) }

func (p *part) remove() error { return errors.Join(p.Close(), os.Remove(p.Name())) }

// finish gives the file its name in the cache.
func (p *part) finish(blob string) error {
	if err := p.Sync(); err != nil {
		return err
	}
	if err := p.Close(); err != nil {
		return err
	}
	if err := os.Rename(p.Name(), blob); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(blob))
}
