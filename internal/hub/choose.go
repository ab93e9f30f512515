package hub

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"caldera/gpt/checkpoint/safetensors"
)

// Names in Hugging Face's layout.
const (
	singleName = safetensors.SingleName
	indexName  = safetensors.IndexName
	configName = "config.json"
)

// beside are the small files that come with weights in Hugging Face's layout, where the
// model has them.
var beside = []string{
	configName, "generation_config.json",
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model",
	"chat_template.jinja", "chat_template.json",
}

// templates is the directory, beside the weights, of templates other than the default one.
const templates = "additional_chat_templates"

// choice is what a model needs of a repository.
type choice struct {
	files []File // apart from the shards that index names
	index string // the path of the index of shards that are needed too; or ""
	open  string // the path that is opened: of a file, or "" for the directory
}

// choose picks the files that a model needs. open reads an index.
func choose(files []File, n Name) (choice, error) {
	if n.Part != "" {
		return choosePart(files, n)
	}
	has := func(name string) bool { return slices.ContainsFunc(files, func(f File) bool { return f.Path == name }) }
	ggufs := models(files)
	switch {
	case has(configName) && has(singleName):
		return layout(files, singleName, ""), nil
	case has(configName) && has(indexName):
		return layout(files, indexName, ""), nil
	case len(ggufs) == 1:
		return choice{files: ggufs[0].parts, open: ggufs[0].parts[0].Path}, ggufs[0].complete()
	case len(ggufs) > 1:
		return choice{}, fmt.Errorf("the model has several GGUF files: choose one of %s", spellings(n, ggufs))
	}
	return choice{}, fmt.Errorf("no model that can be read: found %s, expected %s and %s, or a GGUF file", listed(files), configName, singleName)
}

// layout is a model in Hugging Face's layout, with the weights in a file.
func layout(files []File, weights, open string) choice {
	c := choice{open: open}
	if strings.HasSuffix(weights, ".index.json") {
		c.index = weights
	}
	dir := path.Dir(weights)
	for _, f := range files {
		in := path.Dir(f.Path)
		if f.Path == weights || in == dir && slices.Contains(beside, path.Base(f.Path)) || in == path.Join(dir, templates) && path.Ext(f.Path) == ".jinja" {
			c.files = append(c.files, f)
		}
	}
	return c
}

// choosePart picks the file, or the quantisation, that the user names.
func choosePart(files []File, n Name) (choice, error) {
	ggufs := models(files)
	for _, f := range files {
		switch ext := path.Ext(f.Path); {
		case f.Path != n.Part:
		case ext == ".gguf":
			for _, m := range ggufs {
				if slices.Contains(m.parts, f) {
					return choice{files: m.parts, open: m.parts[0].Path}, m.complete()
				}
			}
			return choice{files: []File{f}, open: f.Path}, nil
		case ext == ".safetensors" || strings.HasSuffix(f.Path, ".safetensors.index.json"):
			return layout(files, f.Path, f.Path), nil
		default:
			return choice{}, fmt.Errorf("%s is no file of weights: expected one that ends in .safetensors or .gguf", n.Part)
		}
	}
	var found []ggufModel
	for _, m := range ggufs {
		if m.isOf(n.Part) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
	case 1:
		return choice{files: found[0].parts, open: found[0].parts[0].Path}, found[0].complete()
	default:
		return choice{}, fmt.Errorf("%q stands for several files: choose one of %s", n.Part, spellings(Name{Repo: n.Repo, Part: path.Base(n.Part) + ".gguf", Revision: n.Revision}, found))
	}
	if len(ggufs) > 0 {
		return choice{}, fmt.Errorf("no file and no quantisation %q: choose one of %s", n.Part, spellings(n, ggufs))
	}
	return choice{}, fmt.Errorf("no file %q: found %s", n.Part, listed(files))
}

// ggufModel is a model in one GGUF file or in several parts.
type ggufModel struct {
	stem  string // the name without the number of the part and the extension
	parts []File // in order
	count int    // how many parts there must be
}

var partName = regexp.MustCompile(`^(.+)-([0-9]{5})-of-([0-9]{5})$`)

// notModels begin the names of GGUF files that are no model of language: projectors of
// pictures, and statistics for quantising.
var notModels = []string{"mmproj", "imatrix", "mtp-"}

// models are the models in GGUF files.
func models(files []File) (all []ggufModel) {
	byStem := map[string]int{}
	for _, f := range files {
		stem, is := strings.CutSuffix(f.Path, ".gguf")
		base := strings.ToLower(path.Base(stem))
		if !is || slices.ContainsFunc(notModels, func(prefix string) bool { return strings.HasPrefix(base, prefix) }) {
			continue
		}
		count := 1
		if m := partName.FindStringSubmatch(stem); m != nil {
			stem = m[1]
			count, _ = strconv.Atoi(m[3])
		}
		key := fmt.Sprintf("%s of %d", stem, count)
		i, known := byStem[key]
		if !known {
			i = len(all)
			byStem[key] = i
			all = append(all, ggufModel{stem: stem, count: count})
		}
		all[i].parts = append(all[i].parts, f)
	}
	for _, m := range all {
		slices.SortFunc(m.parts, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	}
	slices.SortFunc(all, func(a, b ggufModel) int { return strings.Compare(a.stem, b.stem) })
	return all
}

// complete reports parts that are missing.
func (m ggufModel) complete() error {
	if len(m.parts) != m.count {
		return fmt.Errorf("%s is in %d parts, of which %d are there", m.stem, m.count, len(m.parts))
	}
	return nil
}

// isOf reports whether the model's name ends in a quantisation, in any case.
func (m ggufModel) isOf(quantisation string) bool {
	stem, end := strings.ToLower(path.Base(m.stem)), strings.ToLower(quantisation)
	before, ends := strings.CutSuffix(stem, end)
	return ends && (before == "" || strings.ContainsAny(before[len(before)-1:], "-."))
}

var quantisation = regexp.MustCompile(`(?i)^(.*?)[-.]((?:UD-)?(?:I?Q[0-9]|TQ[0-9]|BF16|F16|F32|FP16|FP32|MXFP4)[A-Za-z0-9_]*)$`)

// spelling is the shortest part of a name that means the model alone.
func (m ggufModel) spelling(all []ggufModel) string {
	if q := quantisation.FindStringSubmatch(path.Base(m.stem)); q != nil {
		same := 0
		for _, other := range all {
			if other.isOf(q[2]) {
				same++
			}
		}
		if same == 1 {
			return q[2]
		}
	}
	return m.parts[0].Path
}

// spellings are the names that mean each of the models, with their sizes.
func spellings(n Name, all []ggufModel) string {
	const most = 40
	var texts []string
	for _, m := range all[:min(len(all), most)] {
		size := int64(0)
		for _, f := range m.parts {
			size += f.Size
		}
		texts = append(texts, fmt.Sprintf("%s (%s)", Name{n.Repo, m.spelling(all), n.Revision}, bytes(size)))
	}
	if len(all) > most {
		texts = append(texts, fmt.Sprintf("and %d more", len(all)-most))
	}
	return strings.Join(texts, ", ")
}

// listed names the first few files.
func listed(files []File) string {
	const most = 8
	var names []string
	for _, f := range files[:min(len(files), most)] {
		names = append(names, fmt.Sprintf("%q", shorten(f.Path)))
	}
	if len(files) == 0 {
		return "no files"
	}
	if len(files) > most {
		names = append(names, fmt.Sprintf("and %d more", len(files)-most))
	}
	return strings.Join(names, ", ")
}

// shards are the files that an index names.
func shards(index []byte, indexPath string, files []File) ([]File, error) {
	names, err := safetensors.IndexedFiles(index, indexPath)
	if err != nil {
		return nil, err
	}
	var all []File
	for _, name := range names {
		name = path.Join(path.Dir(indexPath), name)
		i := slices.IndexFunc(files, func(f File) bool { return f.Path == name })
		if i < 0 {
			return nil, fmt.Errorf("%s names %q, which the model does not have", indexPath, shorten(name))
		}
		all = append(all, files[i])
	}
	return all, nil
}
