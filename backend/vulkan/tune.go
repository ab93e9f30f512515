//go:build cgo

package vulkan

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// Which way to compute a product or attention is the fastest can be measured on a device. What was found is
// stored beside the compiled pipelines, and goes before the rule in every later process.

// tuning is what was measured to be the fastest way to compute an op, by what it is called
// ([product.String], attentionName) and the choice's String.
type tuning map[string]string

// tunedFirst puts the way before the others that was measured to be the fastest for an op, which is
// called so. A stored way that these limits do not allow is ignored.
func tunedFirst[C any](t tuning, of func() string, list []C, name func(*C) string) []C {
	if len(t) == 0 {
		return list
	}
	way, ok := t[of()]
	if !ok {
		return list
	}
	i := slices.IndexFunc(list, func(c C) bool { return name(&c) == way })
	if i <= 0 {
		return list
	}
	c := list[i]
	return slices.Insert(slices.Delete(list, i, i+1), 0, c)
}

// waysOf are the names of choices.
func waysOf[C any](list []C, name func(*C) string) (names []string) {
	for i := range list {
		names = append(names, name(&list[i]))
	}
	return names
}

// tuned is what was measured on a device.
type tuned struct {
	ways    tuning
	path    string // of the file; empty: there is none
	ignored error  // why the file is not used; nil: it is, or there is none
}

// storedTuned is the file.
type storedTuned struct {
	storedHeader
	Choices []backend.Tuned `json:"choices"`
}

const tunedEnding = ".tuned.json"

// Bounds of what a file may hold: so many choices with the longest names are less than storedMax.
const (
	mostTuned  = 2500
	longestWay = 200 // bytes of a name
)

// load reads what is stored.
func (t *tuned) load(p *vk.PhysicalDevice) {
	t.ways, t.ignored = tuning{}, nil
	if t.path == "" {
		return
	}
	stored, err := readTuned(t.path, p)
	if err != nil {
		t.ignored = err
	}
	for _, c := range stored.Choices {
		t.ways[c.Of] = c.Way
	}
}

// readTuned reads the file. It is empty where there is none. An error is without the path.
func readTuned(path string, p *vk.PhysicalDevice) (v storedTuned, err error) {
	err = readStored(path, p, &v, &v.storedHeader)
	if errors.Is(err, fs.ErrNotExist) {
		return storedTuned{}, nil
	}
	if err == nil && len(v.Choices) > mostTuned {
		err = fmt.Errorf("it has %d choices, expected at most %d", len(v.Choices), mostTuned)
	}
	for i := range v.Choices {
		if err != nil {
			break
		}
		if err = checkTuned(&v.Choices[i]); err != nil {
			err = fmt.Errorf("choice %d %w", i, err)
		}
	}
	if err != nil {
		return storedTuned{}, err
	}
	return v, nil
}

// checkTuned says why a choice cannot have been written by StoreTuned. Its text follows what names the choice.
func checkTuned(c *backend.Tuned) error {
	for _, name := range []string{c.Of, c.Way, c.Rule} {
		bad := func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }
		switch {
		case name == "" || len(name) > longestWay:
			return fmt.Errorf("has a name of %d bytes, expected 1 to %d", len(name), longestWay)
		case strings.ContainsFunc(name, bad):
			return fmt.Errorf("has the name %.40q, expected text in UTF-8 without control characters", name)
		}
	}
	for _, s := range []float64{c.Seconds, c.RuleSeconds} {
		if !(s > 0) || math.IsInf(s, 0) {
			return fmt.Errorf("has a time of %v s, expected a finite number above 0", s)
		}
	}
	return nil
}

// describe tells for Describe that there is something measured, or why it is not used.
func (t *tuned) describe() string {
	switch {
	case t.ignored != nil:
		return fmt.Sprintf(", not tuned, because the file of measurements cannot be used: %v", t.ignored)
	case len(t.ways) > 0:
		return fmt.Sprintf(", tuned for %d ops", len(t.ways))
	}
	return ""
}

// Ways implements [backend.Tuner].
func (b *Backend) Ways(op backend.Op) (of string, ways []string) {
	if b.ready() != nil {
		return "", nil
	}
	e := &encoder{b: b}
	if op, ok := op.(*backend.Attention); ok {
		return e.waysOfAttention(op)
	}
	linear, ok := op.(*backend.Linear)
	if !ok {
		return "", nil
	}
	o := linearOpOf(linear)
	if !haveRowStride(o.dst, o.x, o.residual) {
		return "", nil
	}
	o.dst, o.x, o.residual = matrix(o.dst), matrix(o.x), matrix(o.residual)
	if _, _, split := o.split(e); split || o.expands(e) { // several products are made of it
		return "", nil
	}
	p := e.productOf(&o)
	var right []linearChoice
	var wrong []*shaders.Variant // see find
	for _, c := range b.limits.choices(&p) {
		switch spec := c.pipeline(&b.limits, &p); {
		case b.refused(spec):
			wrong = append(wrong, spec.variant)
		case !slices.Contains(wrong, spec.variant):
			right = append(right, c)
		}
	}
	return p.String(), waysOf(right, (*linearChoice).String)
}

// Take implements [backend.Tuner].
func (b *Backend) Take(of, way string) {
	if way == "" {
		delete(b.tuned.ways, of)
	} else {
		b.tuned.ways[of] = way
	}
	clear(b.checks.chosen)
}

// Tuned implements [backend.Tuner].
func (b *Backend) Tuned() (list []backend.Tuned, path string, err error) {
	if b.tuned.path == "" {
		return nil, "", nil
	}
	stored, err := readTuned(b.tuned.path, b.phys)
	if err != nil {
		return nil, b.tuned.path, wrapError("%s: %w", b.tuned.path, err)
	}
	return stored.Choices, b.tuned.path, nil
}

// StoreTuned implements [backend.Tuner].
func (b *Backend) StoreTuned(list []backend.Tuned) error {
	if b.tuned.path == "" {
		return wrapError("there is no cache directory for what was measured: set HOME or XDG_CACHE_HOME")
	}
	stored, _ := readTuned(b.tuned.path, b.phys) // a file that cannot be used is replaced
	all := map[string]backend.Tuned{}
	for _, c := range slices.Concat(stored.Choices, list) {
		if err := checkTuned(&c); err != nil {
			return wrapError("%q by %q cannot be stored: it %w", c.Of, c.Way, err)
		}
		all[c.Of] = c
	}
	v := storedTuned{header(b.phys), slices.Collect(maps.Values(all))}
	slices.SortFunc(v.Choices, func(a, c backend.Tuned) int { // the oldest go
		return cmp.Or(c.Measured.Compare(a.Measured), strings.Compare(a.Of, c.Of))
	})
	v.Choices = v.Choices[:min(len(v.Choices), mostTuned)]
	slices.SortFunc(v.Choices, func(a, c backend.Tuned) int { return strings.Compare(a.Of, c.Of) })
	if err := writeStored(b.tuned.path, &v); err != nil {
		return wrapError("%w", err)
	}
	b.tuned.load(b.phys)
	clear(b.checks.chosen)
	return nil
}

// ForgetTuned implements [backend.Tuner].
func (b *Backend) ForgetTuned() error {
	if b.tuned.path != "" {
		if info, err := os.Lstat(b.tuned.path); err == nil && info.IsDir() { // which Remove would take, if it is empty
			return wrapError("%s is a directory, expected a file: remove it", b.tuned.path)
		}
		if err := os.Remove(b.tuned.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrapError("%w", err)
		}
	}
	b.tuned.ignored = nil
	clear(b.tuned.ways)
	clear(b.checks.chosen)
	return nil
}
