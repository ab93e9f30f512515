package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Name{
		"org/name":                    {Repo: "org/name"},
		"gpt2":                        {Repo: "gpt2"},
		"gpt2:Q8_0@main":              {Repo: "gpt2", Part: "Q8_0", Revision: "main"},
		"llama3:8b":                   {Repo: "llama3", Part: "8b"},
		"https://huggingface.co/gpt2": {Repo: "gpt2"},
		"https://huggingface.co/gpt2/blob/main/d/model.safetensors": {Repo: "gpt2", Revision: "main", Part: "d/model.safetensors"},
		"org/name:Q4_K_M":                  {Repo: "org/name", Part: "Q4_K_M"},
		"org/name@v1.0":                    {Repo: "org/name", Revision: "v1.0"},
		"Qwen/Qwen3-0.6B-GGUF:a/b.gguf@x":  {Repo: "Qwen/Qwen3-0.6B-GGUF", Part: "a/b.gguf", Revision: "x"},
		"org/name@refs/pr/1":               {Repo: "org/name", Revision: "refs/pr/1"},
		"https://huggingface.co/org/name":  {Repo: "org/name"},
		"hf.co/org/name:Q8_0":              {Repo: "org/name", Part: "Q8_0"},
		"hf://org/name@main":               {Repo: "org/name", Revision: "main"},
		"https://hf.co/org/name/tree/main": {Repo: "org/name", Revision: "main"},
		"https://huggingface.co/org/name/resolve/main/d/x-Q4_0.gguf?download=true": {Repo: "org/name", Revision: "main", Part: "d/x-Q4_0.gguf"},
	} {
		if got, isName, err := Parse(text); err != nil || !isName || got != want {
			t.Errorf("%s: %+v, %v, %v, expected %+v", text, got, isName, err, want)
		}
		if again, _, err := Parse(want.String()); err != nil || again != want {
			t.Errorf("%s: %+v, %v, expected %+v", want, again, err, want)
		}
	}
	for _, text := range []string{"gpt2.gguf", "model.SafeTensors", "x", "./gpt2", "./org/name", "/org/name", "../name", "a/b/c", "~/model", "org/", "/name", `org\name`, "org/name.git", "org/a--b", "org/a..b", "file:///etc/passwd", "C:/model", "org/a b", ""} {
		if got, isName, err := Parse(text); isName || err != nil {
			t.Errorf("%q: %+v, %v, expected that it is no name", text, got, err)
		}
	}
	for text, part := range map[string]string{
		"org/name:":                           "expected org/name",
		"org/name@":                           "expected org/name",
		"org/name:../x":                       `"../x"`,
		"org/name:/etc/passwd":                "the path of a file, or a quantisation",
		"org/name@../../x":                    "a commit",
		"org/name@-x":                         "a commit",
		"https://huggingface.co/":             "the address of no model",
		"https://huggingface.co/a/b/c":        "the address of no model",
		"https://huggingface.co/datasets/a/b": "the address of no model",
	} {
		if _, isName, err := Parse(text); !isName || err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, %v, expected an error with %q", text, isName, err, part)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	home := t.TempDir()
	set := func(pairs ...string) (Place, error) {
		for _, name := range []string{"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "HF_HUB_DISABLE_IMPLICIT_TOKEN"} {
			t.Setenv(name, "")
		}
		t.Setenv("HOME", home)
		for i := 0; i < len(pairs); i += 2 {
			t.Setenv(pairs[i], pairs[i+1])
		}
		return FromEnvironment()
	}
	if p, err := set(); err != nil || p != (Place{Endpoint: "https://huggingface.co", Cache: filepath.Join(home, ".cache/huggingface/hub")}) {
		t.Errorf("nothing set: %+v, %v", p, err)
	}
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env  []string
		want Place
	}{
		{[]string{"XDG_CACHE_HOME", "/x"}, Place{Cache: "/x/huggingface/hub"}},
		{[]string{"HF_HOME", home}, Place{Cache: home + "/hub", Token: "hf_file"}},
		{[]string{"HF_HOME", "~/h"}, Place{Cache: home + "/h/hub"}},
		{[]string{"HF_HOME", home, "HF_TOKEN", " hf_env "}, Place{Cache: home + "/hub", Token: "hf_env"}},
		{[]string{"HF_HOME", home, "HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}, Place{Cache: home + "/hub"}},
		{[]string{"HF_HOME", "/h", "HF_HUB_CACHE", "/c", "HF_TOKEN_PATH", home + "/token"}, Place{Cache: "/c", Token: "hf_file"}},
		{[]string{"HF_HOME", "/h", "HF_HUB_OFFLINE", "True", "HF_ENDPOINT", "http://localhost:1/"}, Place{Endpoint: "http://localhost:1", Cache: "/h/hub", Offline: true}},
	} {
		if c.want.Endpoint == "" {
			c.want.Endpoint = defaultEndpoint
		}
		if p, err := set(c.env...); err != nil || p != c.want {
			t.Errorf("%q: %+v, %v, expected %+v", c.env, p, err, c.want)
		}
	}
	for _, env := range [][]string{{"HF_TOKEN", "two words"}, {"HF_TOKEN", "a\nb"}, {"HF_ENDPOINT", "ftp://x"}, {"HF_ENDPOINT", "file:///x"}, {"HF_ENDPOINT", "http://user:word@x"}, {"HF_ENDPOINT", "x"}} {
		if _, err := set(env...); err == nil || !strings.HasPrefix(err.Error(), env[0]) {
			t.Errorf("%q: %v, expected an error", env, err)
		}
	}
}

// FuzzParse reads any text as a name: what it takes for one lies within the cache, and is read
// the same again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"org/name", "org/name:Q4_0@main", "https://hf.co/a/b/resolve/main/x%2f..%2fy.gguf", "a/b:c@d:e@f", "hf://a/b@refs/pr/1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, isName, err := Parse(text)
		if !isName || err != nil {
			return
		}
		again, isName, err := Parse(n.String())
		if again != n || !isName || err != nil {
			t.Errorf("%q: %+v, and again %+v, %v, %v", text, n, again, isName, err)
		}
		p := Place{Cache: "/cache"}
		if c := p.repo(n.Repo); filepath.Dir(c.dir) != "/cache" || !strings.HasPrefix(c.ref(n.revision()), c.dir+"/refs/") {
			t.Errorf("%q: %+v, %s", text, c, c.ref(n.revision()))
		}
	})
}
