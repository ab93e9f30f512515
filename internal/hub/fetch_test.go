package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"caldera/internal/hub/hubtest"
)

const repo = "org/tiny"

// tiny is a model in two shards, with files that nobody needs.
func tiny() map[string][]byte {
	return map[string][]byte{
		"config.json": []byte(`{"model_type":"gpt2"}`), "tokenizer.json": []byte("{}"), "empty.txt": nil, "README.md": []byte("# Tiny\n"),
		"model.safetensors.index.json":      []byte(`{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`),
		"model-00001-of-00002.safetensors":  []byte(strings.Repeat("one", 50_000)),
		"model-00002-of-00002.safetensors":  []byte(strings.Repeat("two", 50_000)),
		"pytorch_model.bin":                 []byte("no"),
		"chat_template.jinja":               {}, // git's checksum of nothing
		"additional_chat_templates/t.jinja": []byte("tools"), "additional_chat_templates/notes.md": []byte("no"),
	}
}

// place is a server's, with a cache of its own.
func place(t *testing.T, s *hubtest.Server) Place {
	return Place{Endpoint: s.URL, Cache: filepath.Join(t.TempDir(), "hub")}
}

// fetch fetches a model and returns what was told.
func fetch(t *testing.T, p Place, name string) (Model, string, error) {
	t.Helper()
	n, isName, err := Parse(name)
	if !isName || err != nil {
		t.Fatalf("%s: %v, %v", name, isName, err)
	}
	var told []string
	o := Options{Log: func(line string) { told = append(told, line) }}
	m, err := fetchPatiently(p, n, o)
	return m, strings.Join(told, "\n"), err
}

// fetchPatiently is Fetch with a client that waits for no time at all.
func fetchPatiently(p Place, n Name, o Options) (Model, error) {
	old := pause
	pause = func(ctx context.Context, d time.Duration) error { return ctx.Err() }
	defer func() { pause = old }()
	return p.Fetch(context.Background(), n, o)
}

// tree lists the files below dir, with the targets of links.
func tree(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if to, no := os.Readlink(name); no == nil {
			rel += " -> " + to
		}
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestFetch expects the cache that huggingface_hub makes of the same model, and no question
// for contents that are there.
func TestFetch(t *testing.T) {
	files := tiny()
	s := hubtest.New(t, repo, files)
	p := place(t, s)
	m, told, err := fetch(t, p, repo)
	if err != nil || told != "" {
		t.Fatal(err, told)
	}
	snapshot := "models--org--tiny/snapshots/" + hubtest.Commit
	var want []string
	for _, name := range []string{"additional_chat_templates/t.jinja", "chat_template.jinja", "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json"} {
		sum := hubtest.Sum(name, files[name])
		up := strings.Repeat("../", 2+strings.Count(name, "/"))
		want = append(want, snapshot+"/"+name+" -> "+up+"blobs/"+sum, "models--org--tiny/blobs/"+sum, ".locks/models--org--tiny/"+sum+".lock")
	}
	want = append(want, "models--org--tiny/refs/main")
	slices.Sort(want)
	if got := tree(t, p.Cache); !slices.Equal(got, want) {
		t.Errorf("the cache has\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if m.Path != filepath.Join(p.Cache, snapshot) || m.Commit != hubtest.Commit {
		t.Errorf("%+v", m)
	}
	for name := range files {
		if data, err := os.ReadFile(filepath.Join(m.Path, name)); err == nil && string(data) != string(files[name]) {
			t.Errorf("%s has %d bytes, expected the %d of the server", name, len(data), len(files[name]))
		}
	}
	if ref, err := os.ReadFile(filepath.Join(p.Cache, "models--org--tiny/refs/main")); err != nil || string(ref) != hubtest.Commit {
		t.Errorf("refs/main: %q, %v", ref, err)
	}
	s.Asked("")
	again, _, err := fetch(t, p, repo)
	if asked := s.Asked(""); err != nil || again != m || len(asked) != 1 {
		t.Errorf("the second time: %+v, %v, asked %q, expected one question", again, err, asked)
	}
	if _, _, err := fetch(t, p, repo+"@"+hubtest.Commit); err != nil || len(s.Asked("")) != 0 {
		t.Errorf("a commit that is there: %v, expected no question", err)
	}
	if _, _, err := fetch(t, p, repo+"@refs/pr/1"); err != nil {
		t.Error(err)
	}
	if ref, err := os.ReadFile(filepath.Join(p.Cache, "models--org--tiny/refs/refs/pr/1")); err != nil || string(ref) != hubtest.Commit {
		t.Errorf("refs/refs/pr/1: %q, %v", ref, err)
	}

	s.Stop()
	if got, told, err := fetch(t, p, repo); err != nil || got != m || !strings.Contains(told, "taking what was fetched before, commit 01234567") {
		t.Errorf("without the server: %+v, %v, told %q", got, err, told)
	}
	p.Offline = true
	if got, told, err := fetch(t, p, repo); err != nil || got != m || told != "" {
		t.Errorf("offline: %+v, %v, told %q", got, err, told)
	}
	if _, _, err := fetch(t, p, "org/other"); err == nil || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") {
		t.Errorf("offline, another model: %v", err)
	}
	// A shard that is missing makes the model unusable.
	if err := os.Remove(filepath.Join(m.Path, "model-00002-of-00002.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fetch(t, p, repo); err == nil || !strings.Contains(err.Error(), "model-00002-of-00002.safetensors") {
		t.Errorf("without a shard: %v", err)
	}
}

// TestTwoAtOnce has several fetch one model: each content is sent once.
func TestTwoAtOnce(t *testing.T) {
	s := hubtest.New(t, repo, tiny())
	p := place(t, s)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := p.Fetch(t.Context(), Name{Repo: repo}, Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if asked := s.Asked("/store"); len(asked) != 2 {
		t.Errorf("contents were asked for %d times: %q, expected once for each shard", len(asked), asked)
	}
}

// TestResume breaks connections, and leaves parts of files, right and wrong ones.
func TestResume(t *testing.T) {
	files := map[string][]byte{"m-Q8_0.gguf": []byte(strings.Repeat("0123456789", 30_000))}
	whole := files["m-Q8_0.gguf"]
	s := hubtest.New(t, repo, files)
	var ranges []string
	broken := 0
	s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, ".gguf") || strings.Contains(r.URL.Path, "resolve") {
			return false
		}
		ranges = append(ranges, r.Header.Get("Range"))
		if broken++; broken > 2 {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
		if start := 0; r.Header.Get("Range") != "" {
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start)
			w.Header().Set("Content-Length", fmt.Sprint(len(whole)-start))
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(whole)-1, len(whole)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(whole[start : start+50_000])
		} else {
			w.Write(whole[:100_000])
		}
		panic(http.ErrAbortHandler)
	}
	p := place(t, s)
	m, told, err := fetch(t, p, repo)
	if data, _ := os.ReadFile(m.Path); err != nil || string(data) != string(whole) {
		t.Fatalf("%v, %d bytes", err, len(data))
	}
	if len(ranges) != 3 || ranges[0] != "" || !strings.HasPrefix(ranges[1], "bytes=") || ranges[1] == ranges[2] || !strings.Contains(told, "going on after") {
		t.Errorf("asked for %q, told %q", ranges, told)
	}

	blob := p.repo(repo).blob(hubtest.Sum("m.gguf", whole))
	for name, x := range map[string]struct{ part, want string }{
		"half":          {string(whole[:150_000]), "bytes=150000-"},
		"all":           {string(whole), ""}, // which is only checked
		"another half":  {strings.Repeat("x", 1000), "bytes=1000-"},
		"another whole": {strings.Repeat("x", len(whole)), ""},
		"too much":      {string(whole) + "x", ""},
	} {
		if err := os.Remove(blob); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(blob+".incomplete", []byte(x.part), 0o666); err != nil {
			t.Fatal(err)
		}
		ranges = nil
		m, _, err := fetch(t, p, repo)
		if data, _ := os.ReadFile(m.Path); err != nil || string(data) != string(whole) {
			t.Errorf("%s: %v, %d bytes", name, err, len(data))
		}
		if name == "all" && len(ranges) != 0 || name != "all" && (len(ranges) == 0 || ranges[0] != x.want) {
			t.Errorf("%s: asked for %q, expected %q", name, ranges, x.want)
		}
		if _, err := os.Stat(blob + ".incomplete"); err == nil {
			t.Errorf("%s: %s is still there", name, blob)
		}
	}
}

// TestToken sends the token to the hub, and to nobody else.
func TestToken(t *testing.T) {
	s := hubtest.New(t, repo, tiny())
	s.Repos[repo].Token = "hf_secret"
	p := place(t, s)
	if _, _, err := fetch(t, p, repo); err == nil || !strings.Contains(err.Error(), "401") || !strings.Contains(err.Error(), "HF_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
	p.Token = "hf_secret"
	if _, _, err := fetch(t, p, repo); err != nil {
		t.Fatal(err)
	}
	if told := s.Told(); len(told) != 0 || len(s.Asked("/store")) == 0 {
		t.Errorf("the server of contents was told %q", told)
	}
}

// TestRefused names what a server says no to, and leaves nothing behind.
func TestRefused(t *testing.T) {
	var list struct {
		SHA      string           `json:"sha"`
		Siblings []map[string]any `json:"siblings"`
	}
	changed := func(change func()) func(*hubtest.Server) {
		return func(s *hubtest.Server) {
			s.List = func(text []byte) []byte {
				list.Siblings = nil
				if err := json.Unmarshal(text, &list); err != nil {
					t.Error(err)
				}
				change()
				text, err := json.Marshal(list)
				if err != nil {
					t.Error(err)
				}
				return text
			}
		}
	}
	answer := func(part string, f func(w http.ResponseWriter, r *http.Request)) func(*hubtest.Server) {
		return func(s *hubtest.Server) {
			s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, part) {
					f(w, r)
					return true
				}
				return false
			}
		}
	}
	code := func(part string, status int, header ...string) func(*hubtest.Server) {
		return answer(part, func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		})
	}
	for name, c := range map[string]struct {
		model string
		fault func(*hubtest.Server)
		parts []string
	}{
		"no model":         {"org/none", nil, []string{"401", "no such model"}},
		"no revision":      {repo + "@v9", nil, []string{"404", "no such revision"}},
		"gated":            {repo, code("/api/", 403, "X-Error-Code", "GatedRepo", "X-Error-Message", "Access to org/tiny is restricted."), []string{"Access to org/tiny is restricted", "accept its terms"}},
		"missing file":     {repo, code("tokenizer.json", 404), []string{"tokenizer.json", "404"}},
		"busy":             {repo, code("/api/", 429, "Retry-After", "7"), []string{"429", "too many requests"}},
		"busy for long":    {repo, code("/api/", 429, "Retry-After", "7000"), []string{"asks to wait 1h56m40s"}},
		"broken":           {repo, code("/api/", 503), []string{"503"}},
		"redirect to file": {repo, code("/resolve/", 302, "Location", "file:///etc/passwd"), []string{"redirects to", "file:///etc/passwd"}},
		"redirect for ever": {repo, answer("/api/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
		}), []string{"more than ten times"}},
		"no JSON":        {repo, answer("/api/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }), []string{"no JSON of a model"}},
		"endless list":   {repo, answer("/api/", func(w http.ResponseWriter, r *http.Request) { endless(w) }), []string{"longer than"}},
		"bad commit":     {repo, changed(func() { list.SHA = "../../../x" }), []string{"../../../x", "40 hexadecimal digits"}},
		"path traversal": {repo, changed(func() { list.Siblings[0]["rfilename"] = "../../../etc/passwd" }), []string{"../../../etc/passwd", "within the model"}},
		"absolute path":  {repo, changed(func() { list.Siblings[0]["rfilename"] = "/etc/passwd" }), []string{"/etc/passwd"}},
		"Windows' path":  {repo, changed(func() { list.Siblings[0]["rfilename"] = `..\x` }), []string{`..\\x`}},
		"control":        {repo, changed(func() { list.Siblings[0]["rfilename"] = "a\x1b[2J" }), []string{`a\x1b[2J`}},
		"a name twice":   {repo, changed(func() { list.Siblings = append(list.Siblings, list.Siblings[0]) }), []string{"twice"}},
		"bad checksum":   {repo, changed(func() { list.Siblings[0]["lfs"] = map[string]any{"sha256": "../x", "size": 1} }), []string{"../x"}},
		"negative size":  {repo, changed(func() { list.Siblings[0]["size"] = -1; delete(list.Siblings[0], "lfs") }), []string{"-1"}},
		"sizes too large": {repo, changed(func() {
			for _, x := range list.Siblings {
				delete(x, "lfs")
				x["size"] = 1 << 62
			}
		}), []string{"no sum"}},
		"no room": {repo, changed(func() {
			for _, x := range list.Siblings {
				if x["lfs"] != nil {
					x["lfs"].(map[string]any)["size"] = 1 << 60
				}
			}
		}), []string{"no room on the disk"}},
		"shorter": {repo, answer("/resolve/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{") }), []string{"lists", "found 1"}},
		"endless": {repo, answer("/resolve/", func(w http.ResponseWriter, r *http.Request) { endless(w) }), []string{"sends more than the"}},
		"other content": {repo, answer("/org/tiny/model-", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Repeat("x", 150_000))
		}), []string{"damaged", "checksum"}},
		"ends early": {repo, answer("/org/tiny/model-", func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() }), []string{"ended after 0 of 150000 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := hubtest.New(t, repo, tiny())
			if c.fault != nil {
				c.fault(s)
			}
			p := place(t, s)
			_, told, err := fetch(t, p, c.model)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.parts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error is %q, expected %q in it", err, part)
				}
			}
			if strings.ContainsAny(err.Error()+told, "\x1b\r") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is %q, expected one line of text", err)
			}
			if _, err := os.Stat(filepath.Join(p.Cache, "models--org--tiny/refs")); err == nil {
				t.Error("a revision was written")
			}
			for _, file := range tree(t, filepath.Dir(p.Cache)) {
				if strings.Contains(file, "safetensors") && !strings.Contains(file, "index") {
					t.Errorf("%s was left", file)
				}
			}
			if entries, _ := os.ReadDir(p.repo(repo).dir + "/blobs"); name == "other content" && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), ".incomplete") }) {
				t.Error("damaged contents were left")
			}
		})
	}
}

// TestNoRest gives up where a server breaks off, has no rest of the file, and sends its beginning again, for ever.
func TestNoRest(t *testing.T) {
	s := hubtest.New(t, repo, tiny())
	asked := 0
	s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/org/tiny/model-") {
			return false
		}
		if asked++; asked > 50 {
			return false
		}
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		}
		w.Header().Set("Content-Length", "150000")
		w.Write(make([]byte, 70_000))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	if _, _, err := fetch(t, place(t, s), repo); err == nil || asked > 2*attempts {
		t.Errorf("%v after %d questions, expected at most %d", err, asked, 2*attempts)
	}
}

// TestNames takes a model from the cache whatever it is called: an error is not read for words.
func TestNames(t *testing.T) {
	const name = "org/redirects"
	s := hubtest.New(t, name, tiny())
	p := place(t, s)
	if _, _, err := fetch(t, p, name); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if _, told, err := fetch(t, p, name); err != nil || !strings.Contains(told, "taking what was fetched before") {
		t.Errorf("%v, told %q", err, told)
	}
}

// endless writes more than anybody reads.
func endless(w http.ResponseWriter) {
	for chunk := make([]byte, 1<<20); ; {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// TestInterrupted stops a fetch at Ctrl-C; the next one goes on.
func TestInterrupted(t *testing.T) {
	files := tiny()
	s := hubtest.New(t, repo, files)
	p := place(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	held := true
	s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !held || !strings.Contains(r.URL.Path, "/org/tiny/model-00002") {
			return false
		}
		w.Header().Set("Content-Length", "150000")
		w.Write(files["model-00002-of-00002.safetensors"][:70_000])
		w.(http.Flusher).Flush()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if info, err := os.Stat(p.repo(repo).blob(hubtest.Sum("x.gguf", files["model-00002-of-00002.safetensors"])) + ".incomplete"); err == nil && info.Size() == 70_000 {
				break
			}
		}
		cancel()
		<-r.Context().Done()
		return true
	}
	if _, err := p.Fetch(ctx, Name{Repo: repo}, Options{}); err != context.Canceled {
		t.Fatal(err)
	}
	held = false
	s.Asked("")
	if _, _, err := fetch(t, p, repo); err != nil {
		t.Fatal(err)
	}
	if asked := s.Asked("/store"); len(asked) != 1 {
		t.Errorf("asked for %q, expected the rest of one shard", asked)
	}
}

// TestProgress expects the bytes of all files, in order.
func TestProgress(t *testing.T) {
	s := hubtest.New(t, repo, tiny())
	last, most := int64(-1), int64(0)
	seen := map[string]bool{}
	_, err := place(t, s).Fetch(t.Context(), Name{Repo: repo}, Options{Progress: func(file string, done, total int64) {
		if seen[file] = true; total > most {
			most, last = total, -1 // the shards follow the index
		}
		if done < last || done > total {
			t.Errorf("%s: %d of %d after %d", file, done, total, last)
		}
		last = done
	}})
	if err != nil || last != most || len(seen) != 7 {
		t.Errorf("%v, %d of %d bytes of %d files", err, last, most, len(slices.Collect(maps.Keys(seen))))
	}
}
