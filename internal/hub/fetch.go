package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"caldera/internal/atomicfile"
)

// Options say what is told while a model is fetched.
type Options struct {
	// Log, if not nil, is called with what a user should know, a line each.
	Log func(line string)

	// Progress, if not nil, is called as bytes of a file come, with how many of all that are
	// needed are there.
	Progress func(file string, done, total int64)
}

// Model is a model in the cache.
type Model struct {
	Path   string // to open: a directory, or a file
	Commit string
}

// Fetch makes sure that the files of a model are in the cache, and returns where they are.
// Where the server cannot be asked, what is there from an earlier time is used, and told.
func (p Place) Fetch(ctx context.Context, n Name, o Options) (Model, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	cache := p.repo(n.Repo)
	if p.Offline {
		m, err := cache.find(n)
		if err != nil {
			err = fmt.Errorf("%s is not in the cache, %s, and nothing may be fetched (HF_HUB_OFFLINE is set): %w", n, p.Cache, err)
		}
		return m, err
	}
	if isHex(n.Revision, 40) { // which never changes
		if m, err := cache.find(n); err == nil {
			return m, nil
		}
	}
	m, err := newClient(p, o.Log).fetch(ctx, n, cache, o)
	var offline unreachable
	if errors.As(err, &offline) && ctx.Err() == nil {
		if cached, none := cache.find(n); none == nil {
			o.Log(fmt.Sprintf("%v: taking what was fetched before, commit %s", err, cached.Commit[:8]))
			return cached, nil
		}
	}
	return m, err
}

// fetch fetches what the cache lacks.
func (c *client) fetch(ctx context.Context, n Name, cache repoCache, o Options) (Model, error) {
	times := asks
	if _, err := cache.find(n); err == nil || !n.HasOwner() { // perhaps a path with a mistake
		times = 1
	}
	l, err := c.list(ctx, n, times)
	if err != nil {
		return Model{}, err
	}
	chosen, err := choose(l.files, n)
	if err != nil {
		return Model{}, fmt.Errorf("%s: %w", n, err)
	}
	get := func(files []File) error { return c.files(ctx, n, l.commit, files, cache, o) }
	if chosen.index != "" {
		// The small files first: where the weights are there, the others are.
		if err := get(chosen.files); err != nil {
			return Model{}, err
		}
		data, err := readIndex(filepath.Join(cache.snapshot(l.commit), filepath.FromSlash(chosen.index)))
		if err != nil {
			return Model{}, err
		}
		more, err := shards(data, chosen.index, l.files)
		if err != nil {
			return Model{}, fmt.Errorf("%s: %w", n, err)
		}
		chosen.files = append(chosen.files, more...)
	}
	if err := get(chosen.files); err != nil {
		return Model{}, err
	}
	if revision := n.revision(); revision != l.commit {
		if err := cache.setRef(revision, l.commit); err != nil {
			return Model{}, err
		}
	}
	return cache.model(l.commit, chosen.open), nil
}

// files fetches files, the large ones last.
func (c *client) files(ctx context.Context, n Name, commit string, files []File, cache repoCache, o Options) error {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b File) int { return len(a.Sum) - len(b.Sum) })
	var done, total, missing int64
	for _, f := range files {
		total += f.Size
		if !isRegular(cache.blob(f.Sum)) {
			missing += f.Size
			if info, err := os.Stat(cache.blob(f.Sum) + ".incomplete"); err == nil {
				missing -= min(info.Size(), f.Size)
			}
		}
		if total < 0 {
			return fmt.Errorf("%s: the sizes of its files have no sum", n)
		}
	}
	if err := room(c.place.Cache, missing); err != nil {
		return fmt.Errorf("%s: %w", n, err)
	}
	for _, f := range files {
		if err := c.download(ctx, n, commit, f, cache, func(now int64) {
			if missing > 0 {
				o.Progress(f.Path, done+now, total)
			}
		}); err != nil {
			return err
		}
		done += f.Size
		if err := cache.link(commit, f); err != nil {
			return err
		}
	}
	return nil
}

// room reports a disk that has no room for so many bytes.
func room(dir string, need int64) error {
	if need == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if free, known := freeBytes(dir); known && free < need {
		return fmt.Errorf("no room on the disk: %s are needed in %s, and %s are free: remove models with caldera rm, or set HF_HUB_CACHE to a directory elsewhere", bytes(need), dir, bytes(free))
	}
	return nil
}

// bytes is a size for people.
func bytes(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// link gives the contents of a file its name in a snapshot.
func (c repoCache) link(commit string, f File) error {
	name := filepath.Join(c.snapshot(commit), filepath.FromSlash(f.Path))
	to := strings.Repeat("../", 2+strings.Count(f.Path, "/")) + "blobs/" + f.Sum
	if have, err := os.Readlink(name); err == nil && have == filepath.FromSlash(to) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s.%016x.tmp", name, rand.Uint64())
	if err := os.Symlink(filepath.FromSlash(to), temporary); err != nil {
		// Windows allows links to administrators only: a second name serves as well.
		if linkErr := os.Link(c.blob(f.Sum), temporary); linkErr != nil {
			return err
		}
	}
	if err := os.Rename(temporary, name); err != nil {
		os.Remove(temporary)
		return err
	}
	return nil
}

// setRef notes what a revision stands for.
func (c repoCache) setRef(revision, commit string) error {
	if c.commit(revision) == commit {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.ref(revision)), 0o777); err != nil {
		return err
	}
	return atomicfile.Write(c.ref(revision), func(w io.Writer) error {
		_, err := io.WriteString(w, commit)
		return err
	})
}

func (c repoCache) model(commit, open string) Model {
	return Model{Path: filepath.Join(c.snapshot(commit), filepath.FromSlash(open)), Commit: commit}
}

// find finds a model in the cache, all of whose weights must be there.
func (c repoCache) find(n Name) (Model, error) {
	commit := c.commit(n.revision())
	if commit == "" {
		return Model{}, fmt.Errorf("no revision %q of %s was fetched", n.revision(), n.Repo)
	}
	files, err := c.list(commit)
	if err != nil {
		return Model{}, err
	}
	chosen, err := choose(files, n)
	if err == nil && chosen.index != "" {
		var data []byte
		if data, err = readIndex(filepath.Join(c.snapshot(commit), filepath.FromSlash(chosen.index))); err == nil {
			_, err = shards(data, chosen.index, files)
		}
	}
	if err != nil {
		return Model{}, fmt.Errorf("%s: %w", n, err)
	}
	return c.model(commit, chosen.open), nil
}

// list lists the files of a snapshot whose contents are there.
func (c repoCache) list(commit string) (files []File, err error) {
	root := c.snapshot(commit)
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			rest, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			files = append(files, File{Path: path.Clean(filepath.ToSlash(rest)), Size: info.Size()})
		}
		return nil
	})
	return files, err
}

// readIndex reads an index of shards.
func readIndex(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxListing))
}

func isRegular(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
