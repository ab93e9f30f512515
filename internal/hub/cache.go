package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Cached is what the cache has of one model.
type Cached struct {
	Repo      string
	Size      int64 // on the disk, of all contents
	Partial   int64 // of it, what fetches that were cut off have left
	Snapshots []Snapshot
}

// Snapshot is a model as it was at a commit.
type Snapshot struct {
	Commit   string
	Refs     []string // the branches and tags that stood for the commit when they were fetched
	Files    []File   // without checksums
	Size     int64    // of Files
	Modified time.Time
}

// List lists the models in the cache, in order of their names.
func (p Place) List() (all []Cached, err error) {
	entries, err := os.ReadDir(p.Cache)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, is := strings.CutPrefix(e.Name(), repoPrefix)
		if !is || !e.IsDir() {
			continue
		}
		repo := strings.Replace(name, "--", "/", 1)
		c, err := p.repo(repo).cached()
		if err != nil {
			return nil, err
		}
		c.Repo = repo
		all = append(all, c)
	}
	return all, nil
}

// cached looks at a model's directory.
func (c repoCache) cached() (all Cached, err error) {
	refs, err := c.refs()
	if err != nil {
		return all, err
	}
	blobs, err := c.blobs()
	if err != nil {
		return all, err
	}
	for name, size := range blobs {
		all.Size += size
		if strings.HasSuffix(name, ".incomplete") {
			all.Partial += size
		}
	}
	commits, err := os.ReadDir(filepath.Join(c.dir, "snapshots"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return all, err
	}
	for _, e := range commits {
		if !e.IsDir() {
			continue
		}
		s := Snapshot{Commit: e.Name(), Refs: refs[e.Name()]}
		if s.Files, err = c.list(s.Commit); err != nil {
			return all, err
		}
		for _, f := range s.Files {
			s.Size += f.Size
			name := filepath.Join(c.snapshot(s.Commit), filepath.FromSlash(f.Path))
			if info, err := os.Lstat(name); err == nil {
				if info.ModTime().After(s.Modified) {
					s.Modified = info.ModTime()
				}
				if info.Mode().IsRegular() { // where there are no links
					all.Size += f.Size
				}
			}
		}
		all.Snapshots = append(all.Snapshots, s)
	}
	return all, nil
}

// refs are the names of each commit.
func (c repoCache) refs() (map[string][]string, error) {
	byCommit := map[string][]string{}
	root := filepath.Join(c.dir, "refs")
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		ref, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		ref = filepath.ToSlash(ref)
		if commit := c.commit(ref); commit != "" {
			byCommit[commit] = append(byCommit[commit], ref)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return byCommit, err
}

// blobs are the sizes of the contents by name.
func (c repoCache) blobs() (map[string]int64, error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, "blobs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sizes[e.Name()] = info.Size()
		}
	}
	return sizes, nil
}

// Removal is what leaves the cache with a model, or with a part of one.
type Removal struct {
	Size  int64 // on the disk
	cache repoCache
	whole bool
	links []string // in snapshots
	blobs []string // that nothing else uses
	refs  []string
}

// Plan says what there is to remove of a model: all of it, or what belongs to one revision or
// one file. Contents that another snapshot uses stay.
func (p Place) Plan(n Name) (Removal, error) {
	r := Removal{cache: p.repo(n.Repo)}
	all, err := r.cache.cached()
	if err != nil {
		return r, err
	}
	if _, err := os.Lstat(r.cache.dir); errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("%s is not in the cache, %s", n.Repo, p.Cache)
	}
	if n.Part == "" && n.Revision == "" {
		r.whole, r.Size = true, all.Size
		return r, nil
	}
	if r.links, r.refs, err = r.cache.links(n, all.Snapshots); err != nil {
		return r, err
	}
	if len(r.links) == 0 {
		return r, fmt.Errorf("%s is not in the cache, %s", n, p.Cache)
	}
	err = r.unused(all.Snapshots)
	return r, err
}

// links are the files of snapshots that a name means, and the refs that go with them.
func (c repoCache) links(n Name, snapshots []Snapshot) (links, refs []string, err error) {
	for _, s := range snapshots {
		if n.Revision != "" && s.Commit != n.Revision && !slices.Contains(s.Refs, n.Revision) {
			continue
		}
		files := s.Files
		if n.Part == "" {
			refs = append(refs, s.Refs...)
		} else if chosen, err := choosePart(files, n); err == nil {
			files = chosen.files
		} else if len(snapshots) == 1 || n.Revision != "" {
			return nil, nil, fmt.Errorf("%s: %w", n, err)
		} else {
			files = nil
		}
		for _, f := range files {
			links = append(links, filepath.Join(c.snapshot(s.Commit), filepath.FromSlash(f.Path)))
		}
	}
	return links, refs, nil
}

// unused finds the contents that only the links of the removal lead to.
func (r *Removal) unused(snapshots []Snapshot) error {
	sizes, err := r.cache.blobs()
	if err != nil {
		return err
	}
	used, unused := map[string]bool{}, map[string]bool{}
	for _, s := range snapshots {
		for _, f := range s.Files {
			name := filepath.Join(r.cache.snapshot(s.Commit), filepath.FromSlash(f.Path))
			goes := slices.Contains(r.links, name)
			to, err := os.Readlink(name)
			if err != nil { // no link
				if goes {
					r.Size += f.Size
				}
				continue
			}
			if goes {
				unused[filepath.Base(to)] = true
			} else {
				used[filepath.Base(to)] = true
			}
		}
	}
	for blob := range unused {
		if size, there := sizes[blob]; there && !used[blob] {
			r.blobs = append(r.blobs, blob)
			r.Size += size
		}
	}
	return nil
}

// Do removes it. What another process fetches at the time is an error, and all stays.
func (r Removal) Do() error {
	held, err := r.lock()
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	if err != nil {
		return err
	}
	if r.whole {
		// A name that no tool knows, so that nobody sees half of it.
		gone := filepath.Join(filepath.Dir(r.cache.dir), fmt.Sprintf(".removed-%016x", rand.Uint64()))
		if err := os.Rename(r.cache.dir, gone); err != nil {
			return err
		}
		return errors.Join(os.RemoveAll(gone), os.RemoveAll(r.cache.locks))
	}
	for _, ref := range r.refs {
		err = errors.Join(err, os.Remove(r.cache.ref(ref)))
	}
	for _, link := range r.links {
		err = errors.Join(err, os.Remove(link))
		for dir := filepath.Dir(link); dir != filepath.Join(r.cache.dir, "snapshots"); dir = filepath.Dir(dir) {
			if os.Remove(dir) != nil { // not empty
				break
			}
		}
	}
	for _, blob := range r.blobs {
		err = errors.Join(err, os.Remove(r.cache.blob(blob)))
	}
	return err
}

// lock takes the locks on what is to be removed.
func (r Removal) lock() (held []*flock.Flock, err error) {
	var names []string
	if r.whole {
		entries, err := os.ReadDir(r.cache.locks)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	for _, blob := range r.blobs {
		if name := blob + ".lock"; isRegular(filepath.Join(r.cache.locks, name)) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		l := flock.New(filepath.Join(r.cache.locks, name))
		locked, err := l.TryLock()
		if err != nil {
			return held, err
		}
		if !locked {
			return held, fmt.Errorf("another process fetches a file of it now: wait for its end")
		}
		held = append(held, l)
	}
	return held, nil
}
