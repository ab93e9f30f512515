package checkpoint

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"caldera/gpt/model"
)

// Settings are those with which the adapter goes on learning beside a model of shape c. They say what adapter_config.json
// must say of it, wherever it is from: Targets are names of the matrices that it has tensors for, and what a GGUF file
// tells by the shapes of tensors are Rank and patterns.
func (a *Adapter) Settings(c model.Config) (LoRA, error) {
	m := model.New(nil, c, model.Placement{})
	list, err := a.match(m)
	if err != nil {
		return LoRA{}, err
	}
	f, l := c.Architecture(), a.LoRA
	has := map[string]bool{}
	for _, t := range list {
		has[t.w.Module(f)] = true
	}
	l.Targets = targetsOf(m, has)
	if a.format != model.GGUF {
		return l, nil
	}
	l.Rank = list[0].rank
	l.Alpha = cmp.Or(a.Alpha, float64(l.Rank)) // llama.cpp takes 0 for a product that is multiplied by 1
	size := 0
	for _, t := range list {
		if t.rank == l.Rank {
			continue
		}
		module := regexp.QuoteMeta(t.w.Module(f))
		n, err := sizeOf(module)
		if err != nil {
			return LoRA{}, err
		}
		size += n
		l.ranks = append(l.ranks, newPattern(module, float64(t.rank)))
		if a.Alpha == 0 {
			l.alphas = append(l.alphas, newPattern(module, float64(t.rank)))
		}
	}
	if len(l.ranks) > maxPatterns || size > maxPatternSize {
		err = fmt.Errorf("adapter %s: %d matrices have another rank than the first, %d: expected fewer, for %s has no place for so many", a.Path, len(l.ranks), l.Rank, adapterConfigName)
	}
	return l, err
}

// newPattern is one of a text that is an expression.
func newPattern(text string, value float64) pattern {
	return pattern{text: text, modules: regexp.MustCompile(patternOf(text)), value: value}
}

// targetsOf names the modules of m that has has: by how their names end, where all that end so are there.
func targetsOf(m *model.Model, has map[string]bool) (targets []string) {
	ends, lacking := map[string][]string{}, map[string]bool{}
	for _, w := range m.Weights() {
		if w.Linear == nil {
			continue
		}
		module := w.Module(m.Architecture())
		end := module[strings.LastIndex(module, ".")+1:]
		if has[module] {
			ends[end] = append(ends[end], module)
		} else {
			lacking[end] = true
		}
	}
	for end, modules := range ends {
		if lacking[end] {
			targets = append(targets, modules...)
		} else {
			targets = append(targets, end)
		}
	}
	slices.Sort(targets)
	return targets
}
