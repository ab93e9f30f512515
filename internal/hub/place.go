package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Place is where models come from and where they go, with the names that Hugging Face's
// tools have for it in the environment.
type Place struct {
	Endpoint string // HF_ENDPOINT
	Token    string // HF_TOKEN, or the file that `hf auth login` writes; empty for none
	Offline  bool   // HF_HUB_OFFLINE
	Cache    string // HF_HUB_CACHE, or hub in HF_HOME
}

const defaultEndpoint = "https://huggingface.co"

// maxToken bounds the file of a token.
const maxToken = 4096

// FromEnvironment reads the environment.
func FromEnvironment() (Place, error) {
	home, err := homeOf(os.Getenv)
	if err != nil {
		return Place{}, err
	}
	p := Place{
		Endpoint: strings.TrimRight(first(os.Getenv("HF_ENDPOINT"), defaultEndpoint), "/"),
		Offline:  isTrue(os.Getenv("HF_HUB_OFFLINE")) || isTrue(os.Getenv("TRANSFORMERS_OFFLINE")),
		Cache:    first(os.Getenv("HF_HUB_CACHE"), os.Getenv("HUGGINGFACE_HUB_CACHE"), filepath.Join(home, "hub")),
	}
	u, err := url.Parse(p.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return Place{}, fmt.Errorf("HF_ENDPOINT is %q: expected the address of a server, such as %s", p.Endpoint, defaultEndpoint)
	}
	if p.Cache, err = expand(p.Cache); err != nil {
		return Place{}, err
	}
	p.Token, err = token(home)
	return p, err
}

// homeOf is the directory that has the cache and the token.
func homeOf(env func(string) string) (string, error) {
	if home := env("HF_HOME"); home != "" {
		return expand(home)
	}
	if cache := env("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(cache, "huggingface"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no place for downloaded models: %w: set HF_HOME to a directory", err)
	}
	return filepath.Join(home, ".cache", "huggingface"), nil
}

// expand replaces a ~ at the start of a path, as Hugging Face's tools do.
func expand(path string) (string, error) {
	rest, tilde := strings.CutPrefix(path, "~")
	if !tilde || rest != "" && !os.IsPathSeparator(rest[0]) {
		return filepath.Abs(path)
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, rest), err
}

// token is what tells a server who asks.
func token(home string) (string, error) {
	from := "HF_TOKEN"
	text := first(os.Getenv("HF_TOKEN"), os.Getenv("HUGGING_FACE_HUB_TOKEN"))
	if text == "" {
		if isTrue(os.Getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
			return "", nil
		}
		from = first(os.Getenv("HF_TOKEN_PATH"), filepath.Join(home, "token"))
		f, err := os.Open(from)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxToken+1))
		if err != nil {
			return "", err
		}
		text = string(data)
	}
	text = strings.TrimSpace(text)
	if len(text) > maxToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("%s holds no token: expected one word of ASCII, such as hf_…", from)
	}
	return text, nil
}

// isTrue reads a flag of the environment, as Hugging Face's tools do.
func isTrue(text string) bool {
	return slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(text))
}

// first is the first text that is not empty.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// repo is the cache of one model.
func (p Place) repo(name string) repoCache {
	return repoCache{dir: filepath.Join(p.Cache, repoPrefix+strings.ReplaceAll(name, "/", "--")), locks: filepath.Join(p.Cache, ".locks", repoPrefix+strings.ReplaceAll(name, "/", "--"))}
}

const repoPrefix = "models--"

// repoCache is the directory of one model in the cache.
type repoCache struct {
	dir   string
	locks string // the directory of the locks on its contents
}

func (c repoCache) blob(sum string) string { return filepath.Join(c.dir, "blobs", sum) }
func (c repoCache) snapshot(commit string) string {
	return filepath.Join(c.dir, "snapshots", commit)
}
func (c repoCache) ref(revision string) string {
	return filepath.Join(c.dir, "refs", filepath.FromSlash(revision))
}

// commit is what a revision stood for when it was fetched last, or "".
func (c repoCache) commit(revision string) string {
	if isHex(revision, 40) {
		if info, err := os.Stat(c.snapshot(revision)); err == nil && info.IsDir() {
			return revision
		}
		return ""
	}
	data, err := os.ReadFile(c.ref(revision))
	if commit := strings.TrimSpace(string(data)); err == nil && isHex(commit, 40) {
		return commit
	}
	return ""
}
