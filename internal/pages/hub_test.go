package pages_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/internal/hub/hubtest"
	"caldera/models"
)

// useHub starts a server that has the models which pages fetch, made of the embedded one.
func useHub(t *testing.T) {
	t.Helper()
	files := map[string][]byte{}
	fsys := models.Default()
	err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files[name], err = fs.ReadFile(fsys, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s := hubtest.New(t, "example/austen", files)
	quantized := map[string][]byte{}
	for name, d := range map[string]backend.DType{"austen-F16.gguf": backend.F16, "austen-Q8_0.gguf": backend.Q8_0} {
		c, err := checkpoint.OpenFS(fsys, models.Name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := c.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{DType: d}); err != nil {
			t.Fatal(err)
		}
		if quantized[name], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s.Repos["example/austen-GGUF"] = &hubtest.Repo{Commit: hubtest.Commit, Files: quantized}
	for _, pair := range s.Environment(t.TempDir()) {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}
