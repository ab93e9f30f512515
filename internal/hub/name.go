package hub

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Name is what a user calls a model of the hub.
type Name struct {
	Repo     string // org/name; name alone of a model from before there were owners, which the hub redirects, such as gpt2
	Part     string // the path of a file, or a quantisation such as Q4_K_M; empty for the whole model
	Revision string // a branch, a tag or a commit; empty for main
}

// DefaultRevision is the branch that is meant where none is named.
const DefaultRevision = "main"

var (
	repoName     = regexp.MustCompile(`^(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$`)
	fileName     = regexp.MustCompile(`(?i)^[^/]*\.(?:gguf|safetensors|json|jsonl|txt|bin|pth?|ckpt|h5|onnx|npz|zip)$`)
	revisionName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/+-]{0,255}$`)
	address      = regexp.MustCompile(`^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/|^hf://`)
)

// Parse reads org/name[:file or quantisation][@revision], or the address of a model's page
// or of one of its files. isName is false where text is neither. A name without an owner is
// one too, unless it ends as a file does.
func Parse(text string) (n Name, isName bool, err error) {
	if at := address.FindString(text); at != "" {
		n, err = parseAddress(text, text[len(at):])
		return n, true, err
	}
	rest := text
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		rest, n.Revision = rest[:i], rest[i+1:]
	}
	n.Repo, n.Part, _ = strings.Cut(rest, ":")
	if !validRepo(n.Repo) || strings.HasPrefix(n.Part, "//") {
		return Name{}, false, nil
	}
	if rest != text && n.Revision == "" || strings.HasSuffix(rest, ":") {
		return n, true, fmt.Errorf("%s: expected %s", text, expectedName)
	}
	return n, true, n.check(text)
}

const expectedName = "org/name[:file or quantisation][@revision], such as ggml-org/SmolLM2-135M-GGUF:Q8_0"

// HasOwner reports whether the name begins with org/.
func (n Name) HasOwner() bool { return strings.Contains(n.Repo, "/") }

// validRepo reports whether repo is a name that the hub allows.
func validRepo(repo string) bool {
	if len(repo) == 1 || fileName.MatchString(repo) { // a disk of Windows, or a path that is not there
		return false
	}
	return repoName.MatchString(repo) && !strings.Contains(repo, "--") && !strings.Contains(repo, "..") && !strings.HasSuffix(repo, ".git")
}

// parseAddress reads what follows the host of an address: org/name, perhaps with :part and
// @revision, or org/name/blob/revision/file. org/ may be missing.
func parseAddress(text, rest string) (n Name, err error) {
	rest, _, _ = strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "#")
	if rest, err = url.PathUnescape(rest); err != nil {
		return n, fmt.Errorf("%s: %w", text, err)
	}
	parts := strings.Split(strings.Trim(rest, "/"), "/")
	page := slices.IndexFunc(parts, func(part string) bool { return slices.Contains([]string{"resolve", "blob", "raw", "tree"}, part) })
	switch {
	case len(parts) <= 2:
		var isName bool
		if n, isName, err = Parse(strings.Join(parts, "/")); isName {
			return n, err
		}
	case (page == 1 || page == 2) && len(parts) > page+1:
		n = Name{Repo: strings.Join(parts[:page], "/"), Revision: parts[page+1]}
		if parts[page] != "tree" {
			n.Part = strings.Join(parts[page+2:], "/")
		}
		if validRepo(n.Repo) {
			return n, n.check(text)
		}
	}
	return n, fmt.Errorf("%s: this is the address of no model: expected %s", text, expectedName)
}

// check reports a part or a revision that cannot be one.
func (n Name) check(text string) error {
	if n.Part != "" {
		if err := checkPath(n.Part); err != nil {
			return fmt.Errorf("%s: the part after the colon is %q: expected the path of a file, or a quantisation such as Q4_K_M", text, shorten(n.Part))
		}
	}
	if n.Revision != "" && (!revisionName.MatchString(n.Revision) || checkPath(n.Revision) != nil) {
		return fmt.Errorf("%s: the revision after the @ is %q: expected the name of a branch or a tag, or a commit", text, shorten(n.Revision))
	}
	return nil
}

// String is the name as Parse reads it.
func (n Name) String() string {
	text := n.Repo
	if n.Part != "" {
		text += ":" + n.Part
	}
	if n.Revision != "" {
		text += "@" + n.Revision
	}
	return text
}

// revision is the one that is meant.
func (n Name) revision() string {
	if n.Revision == "" {
		return DefaultRevision
	}
	return n.Revision
}
