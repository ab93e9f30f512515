package hub

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/internal/hub/hubtest"
)

// TestPeers shares a cache with @huggingface/hub, whose folder is in CALDERA_HUB: it finds what
// we have fetched and does not fetch it again, and we do as much with what it has fetched.
func TestPeers(t *testing.T) {
	library := os.Getenv("CALDERA_HUB")
	if library == "" {
		t.Skip("make test-peers sets CALDERA_HUB")
	}
	peer := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command("node", append([]string{"testdata/hub.mjs", library}, args...)...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	files := tiny()
	s := hubtest.New(t, repo, files)

	ours := place(t, s)
	m, _, err := fetch(t, ours, repo)
	if err != nil {
		t.Fatal(err)
	}
	var scan struct {
		Size     int64
		Warnings []string
		Repos    []struct {
			Name, Type string
			FilesCount int
			Revisions  []struct {
				Commit string
				Refs   []string
				Files  []string
			}
		}
	}
	if err := json.Unmarshal(peer("scan", ours.Cache), &scan); err != nil {
		t.Fatal(err)
	}
	want, err := ours.List()
	if err != nil {
		t.Fatal(err)
	}
	size, count := int64(0), 0
	for _, f := range want[0].Snapshots[0].Files {
		if !strings.Contains(f.Path, "/") { // it does not look into folders of a snapshot
			size, count = size+f.Size, count+1
		}
	}
	if len(scan.Repos) != 1 || len(scan.Warnings) > 0 || scan.Size != size || scan.Repos[0].Name != repo || scan.Repos[0].Type != "model" ||
		len(scan.Repos[0].Revisions) != 1 || scan.Repos[0].Revisions[0].Commit != hubtest.Commit || !slices.Equal(scan.Repos[0].Revisions[0].Refs, []string{"main"}) ||
		len(scan.Repos[0].Revisions[0].Files) != count || count != 6 {
		t.Errorf("it finds %+v, expected %+v", scan, want)
	}
	s.Asked("")
	if out := string(peer("fetch", ours.Cache, s.URL, repo, hubtest.Commit, "config.json")); strings.TrimSpace(out) != filepath.Join(m.Path, "config.json") || len(s.Asked("")) != 0 {
		t.Errorf("it takes %q, expected the file that is there", out)
	}

	theirs := place(t, s)
	names := []string{"config.json", "tokenizer.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
	peer(append([]string{"fetch", theirs.Cache, s.URL, repo, "main"}, names...)...)
	s.Asked("")
	if _, _, err := fetch(t, theirs, repo); err != nil {
		t.Fatal(err)
	}
	if asked := s.Asked(""); len(asked) != 3 { // the list, and the chat templates
		t.Errorf("what it has fetched is there, but asked for was %q", asked)
	}
}
