// Package hubtest is a server on this machine that speaks the API of Hugging Face's hub, for
// tests. As there, a second server has the contents of large files, and nobody sends a token
// to that.
package hubtest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Repo is a model on the server.
type Repo struct {
	Commit string            // of main
	Files  map[string][]byte // by path
	Token  string            // without which nobody reads it; empty: everybody does
}

// has reports whether the model has a revision.
func (r *Repo) has(revision string) bool {
	return slices.Contains([]string{"main", "v1.0", "refs/pr/1", r.Commit}, revision)
}

// Server is the hub. Its fields are set before it is asked.
type Server struct {
	URL   string
	Repos map[string]*Repo

	// Moved are names that models had before, without owners, and their names now.
	Moved map[string]string

	// Fault, if not nil, sees each request before it is answered, those for contents of large
	// files included, and reports whether it has answered it.
	Fault func(w http.ResponseWriter, r *http.Request) bool

	// List, if not nil, replaces the list of a model's files.
	List func(text []byte) []byte

	front, store *httptest.Server
	mu           sync.Mutex
	asked        []string
	told         []string // tokens that the store was sent
}

// Commit is the commit of models in tests.
const Commit = "0123456789abcdef0123456789abcdef01234567"

// New starts a server with a model in it.
func New(t testing.TB, name string, files map[string][]byte) *Server {
	s := &Server{Repos: map[string]*Repo{name: {Commit: Commit, Files: files}}}
	s.front = httptest.NewServer(http.HandlerFunc(s.ask))
	s.store = httptest.NewServer(http.HandlerFunc(s.fetch))
	t.Cleanup(s.front.Close)
	t.Cleanup(s.store.Close)
	s.URL = s.front.URL
	return s
}

// Environment is what makes Hugging Face's tools, and us, ask the server, with a cache in
// home.
func (s *Server) Environment(home string) []string {
	return []string{
		"HF_ENDPOINT=" + s.URL, "HF_HOME=" + home, "HF_HUB_CACHE=", "HUGGINGFACE_HUB_CACHE=", "HF_TOKEN=", "HUGGING_FACE_HUB_TOKEN=",
		"HF_TOKEN_PATH=", "HF_HUB_OFFLINE=", "TRANSFORMERS_OFFLINE=", "HF_HUB_DISABLE_IMPLICIT_TOKEN=",
	}
}

// Asked lists the paths of the requests so far that begin with prefix, and forgets all.
func (s *Server) Asked(prefix string) (paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.asked {
		if strings.HasPrefix(p, prefix) {
			paths = append(paths, p)
		}
	}
	s.asked = nil
	return paths
}

// Told are the tokens that were sent to the server of contents.
func (s *Server) Told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

// Stop ends the servers: nobody answers any more.
func (s *Server) Stop() { s.front.Close(); s.store.Close() }

func (s *Server) note(r *http.Request, path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, path)
	return s.Fault != nil
}

func (s *Server) ask(w http.ResponseWriter, r *http.Request) {
	if s.note(r, r.URL.Path) && s.Fault(w, r) {
		return
	}
	for old, name := range s.Moved { // without the question, so that a client must ask it again
		for _, page := range []string{"/", "/api/models/"} {
			if rest, is := strings.CutPrefix(r.URL.Path, page+old+"/"); is {
				w.Header().Set("Location", page+name+"/"+rest)
				w.WriteHeader(http.StatusTemporaryRedirect)
				return
			}
		}
	}
	if rest, is := strings.CutPrefix(r.URL.Path, "/api/models/"); is {
		if name, _, is := strings.Cut(rest, "/paths-info/"); is {
			s.paths(w, r, name)
			return
		}
		name, revision, _ := strings.Cut(rest, "/revision/")
		s.list(w, r, name, revision)
		return
	}
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 5)
	if len(parts) != 5 || parts[2] != "resolve" {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	repo := s.repo(w, r, parts[0]+"/"+parts[1])
	if repo == nil {
		return
	}
	data, found := repo.Files[parts[4]]
	switch {
	case !found || !repo.has(parts[3]):
		w.Header().Set("X-Error-Code", "EntryNotFound")
		http.Error(w, "", http.StatusNotFound)
	case large(parts[4]):
		http.Redirect(w, r, s.store.URL+"/"+parts[0]+"/"+parts[1]+"/"+parts[4], http.StatusFound)
	default:
		w.Header().Set("ETag", `"`+Sum(parts[4], data)+`"`)
		http.ServeContent(w, r, path.Base(parts[4]), time.Time{}, bytes.NewReader(data))
	}
}

// repo is a model that the asker may read; otherwise the answer is an error.
func (s *Server) repo(w http.ResponseWriter, r *http.Request, name string) *Repo {
	repo := s.Repos[name]
	if repo == nil || repo.Token != "" && r.Header.Get("Authorization") != "Bearer "+repo.Token {
		w.Header().Set("X-Error-Code", "RepoNotFound")
		http.Error(w, "", http.StatusUnauthorized)
		return nil
	}
	return repo
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, name, revision string) {
	repo := s.repo(w, r, name)
	if repo == nil {
		return
	}
	if !repo.has(revision) {
		w.Header().Set("X-Error-Code", "RevisionNotFound")
		http.Error(w, "", http.StatusNotFound)
		return
	}
	type lfs struct {
		SHA256 string `json:"sha256"`
		Size   int    `json:"size"`
	}
	type sibling struct {
		Name string `json:"rfilename"`
		Size int    `json:"size"`
		Blob string `json:"blobId"`
		LFS  *lfs   `json:"lfs,omitempty"`
	}
	answer := struct {
		ID       string    `json:"id"`
		SHA      string    `json:"sha"`
		Siblings []sibling `json:"siblings"`
	}{ID: name, SHA: repo.Commit}
	for file, data := range repo.Files {
		x := sibling{Name: file, Size: len(data), Blob: Sum("small", data)}
		if large(file) {
			x.LFS = &lfs{Sum(file, data), len(data)}
		}
		answer.Siblings = append(answer.Siblings, x)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if s.List != nil {
		text = s.List(text)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

// paths tells of files that are asked for by name, as other clients do.
func (s *Server) paths(w http.ResponseWriter, r *http.Request, name string) {
	repo := s.repo(w, r, name)
	if repo == nil {
		return
	}
	var asked struct{ Paths []string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := []map[string]any{}
	for _, file := range asked.Paths {
		if data, found := repo.Files[file]; found {
			x := map[string]any{"type": "file", "path": file, "size": len(data), "oid": Sum("small", data), "lastCommit": map[string]any{"id": repo.Commit, "title": "a commit", "date": "2026-01-05T13:04:09.000Z"}}
			if large(file) {
				x["lfs"] = map[string]any{"oid": Sum(file, data), "size": len(data), "pointerSize": 130}
			}
			answer = append(answer, x)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// fetch answers for the contents of large files.
func (s *Server) fetch(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if token := r.Header.Get("Authorization"); token != "" {
		s.told = append(s.told, token)
	}
	s.mu.Unlock()
	if s.note(r, "/store"+r.URL.Path) && s.Fault(w, r) {
		return
	}
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 3)
	data := s.Repos[parts[0]+"/"+parts[1]].Files[parts[2]]
	w.Header().Set("ETag", `"`+Sum(parts[2], data)+`"`)
	http.ServeContent(w, r, path.Base(parts[2]), time.Time{}, bytes.NewReader(data))
}

// large reports whether the hub keeps a file apart from the small ones.
func large(file string) bool {
	return strings.HasSuffix(file, ".safetensors") || strings.HasSuffix(file, ".gguf")
}

// Sum is the checksum of a file, as the hub has it.
func Sum(file string, data []byte) string {
	if large(file) {
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(data))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}
