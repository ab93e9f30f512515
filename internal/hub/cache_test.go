package hub

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gofrs/flock"

	"caldera/internal/hub/hubtest"
)

// TestRemove has two snapshots that share a file, and removes one after the other.
func TestRemove(t *testing.T) {
	files := map[string][]byte{"m-Q8_0.gguf": []byte("eight bits"), "m-Q4_0.gguf": []byte("four")}
	s := hubtest.New(t, repo, files)
	p := place(t, s)
	must := func(name string) Name {
		n, _, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	get := func(name string) {
		t.Helper()
		if _, _, err := fetch(t, p, name); err != nil {
			t.Fatal(err)
		}
	}
	get(repo + ":Q8_0@v1.0")
	get(repo + ":Q4_0@v1.0")
	const second = "fedcba9876543210fedcba9876543210fedcba98"
	s.Repos[repo].Commit = second
	s.Repos[repo].Files = map[string][]byte{"m-Q8_0.gguf": files["m-Q8_0.gguf"], "m-Q4_0.gguf": []byte("a new one")}
	get(repo + ":Q8_0")
	get(repo + ":Q4_0")

	all, err := p.List()
	if err != nil || len(all) != 1 || all[0].Repo != repo || all[0].Size != 10+4+9 || len(all[0].Snapshots) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if x := all[0].Snapshots[0]; x.Commit != hubtest.Commit || !slices.Equal(x.Refs, []string{"v1.0"}) || x.Size != 14 || len(x.Files) != 2 || x.Modified.IsZero() {
		t.Errorf("%+v", x)
	}
	remove := func(name string, size int64) {
		t.Helper()
		r, err := p.Plan(must(name))
		if err != nil || r.Size != size {
			t.Fatalf("%s: %d bytes, %v, expected %d", name, r.Size, err, size)
		}
		if err := r.Do(); err != nil {
			t.Fatal(err)
		}
	}
	for name, part := range map[string]string{"org/other": "not in the cache", repo + "@v2": "not in the cache", repo + ":Q5_0@v1.0": "Q5_0"} {
		if _, err := p.Plan(must(name)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", name, err)
		}
	}
	remove(repo+":Q4_0@v1.0", 4)
	remove(repo+"@v1.0", 0) // the other snapshot has these contents too
	if _, err := os.Stat(p.repo(repo).snapshot(hubtest.Commit)); err == nil {
		t.Error("the snapshot is still there")
	}
	s.Stop()
	get(repo + ":Q8_0")

	// What is being fetched stays.
	lock := flock.New(filepath.Join(p.repo(repo).locks, hubtest.Sum("x.gguf", files["m-Q8_0.gguf"])+".lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	r, err := p.Plan(must(repo))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Do(); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("while it is fetched: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	get(repo + ":Q8_0")
	remove(repo, 10+9)
	if got := tree(t, p.Cache); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}
