//go:build cgo

package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

// Some drivers compile one kernel wrongly and all others rightly, list matrix units that do
// not multiply, or tell another size of subgroups than they have. The proof (proof.go) sees
// that a device computes at all. Beyond that each pipeline is checked before it is used for
// the first time: it computes small ops whose results are known, at the sizes where its tiles
// end. One that fails is not used: whoever chooses a kernel takes the next one, down to the
// plainest, and [Backend.Describe] names what failed. If the plainest one fails, the device is
// refused for the op.
//
// A kernel is checked by a function that makes its trials (trials.go): tryLinear, tryAttention
// and so on. Kernels of which there is one for each way in which operands lie have theirs in a
// table (checks.go). What passed is kept beside the pipelines (verdicts.go), so that the next
// process checks nothing; what failed is checked again.

// verdict is what a check found. A nil error: the pipeline may be used.
type verdict struct {
	name string // of the pipeline
	err  error
}

// notRunError is why the check of a pipeline could not run: it cannot be compiled, or an op of the check not encoded.
// Nothing is known of what the pipeline computes. It is not used in this process, and no file keeps that.
type notRunError struct{ err error }

func (e *notRunError) Error() string { return e.err.Error() }

func (e *notRunError) Unwrap() error { return e.err }

// ran reports whether the check has run.
func (v *verdict) ran() bool {
	var not *notRunError
	return !errors.As(v.err, &not)
}

// checks are the verdicts on the pipelines of a device.
type checks struct {
	trusted  bool // nothing is checked: the device computes nothing
	verdicts map[pipelineKey]*verdict
	failed   []*verdict      // in order
	stored   map[string]bool // names of pipelines that passed in earlier processes
	path     string          // of the file of verdicts; empty: there is none
	fresh    bool            // there are verdicts that the file does not have
	ran      int             // checks
	chosen   map[product]linearChoice
}

// unchecked is a pipeline that has no verdict yet.
type unchecked struct {
	pipelineSpec
	try func(t *trials) // makes its trials
}

func (u *unchecked) key() pipelineKey { return pipelineKey{u.variant, u.spec} }

// taken are pipelines that are taken as right until a recording is complete, each once, in the order in which they were
// taken. So a kernel whose trials need another one is checked, and named, after that one.
type taken struct {
	list []unchecked
	has  map[pipelineKey]bool
}

func (t *taken) add(u unchecked) {
	if key := u.key(); !t.has[key] {
		if t.has == nil {
			t.has = map[pipelineKey]bool{}
		}
		t.has[key] = true
		t.list = append(t.list, u)
	}
}

// trusts reports whether a pipeline may be used. It checks a pipeline at its first use, with
// the trials that try makes; while a program is recorded it takes it as right, and Record
// checks all of its pipelines at once before it may run. An error is one of the device.
func (e *encoder) trusts(p pipelineSpec, try func(t *trials)) (ok bool, err error) {
	c := &e.b.checks
	if p.variant.Has("SUBGROUP") {
		if ok, err := e.trusts(e.b.subgroupTest(), trySubgroups); !ok || err != nil {
			return false, err
		}
	}
	u := unchecked{pipelineSpec{variant: p.variant, spec: p.spec}, try}
	if v := e.b.verdictOn(u); v != nil {
		return v.err == nil, nil
	}
	if e.dry != nil {
		e.b.pipes.start(p) // for its check
	}
	if e.taken != nil {
		e.taken.add(u)
		return true, nil
	}
	// What is recorded so far is submitted, so that the check has a recording of its own.
	if err := e.b.flush(); err != nil {
		return false, err
	}
	err = e.b.settle([]unchecked{u})
	var again error
	if e.rec, again = e.b.commands(); again != nil {
		return false, again
	}
	if err != nil {
		return false, err
	}
	return c.verdicts[u.key()].err == nil, nil
}

// verdictOn returns the verdict on a pipeline, or nil if it has to be checked.
func (b *Backend) verdictOn(u unchecked) *verdict {
	c := &b.checks
	v, ok := c.verdicts[u.key()]
	if !ok && (c.trusted || len(c.stored) > 0 && c.stored[b.pipelineName(u.pipelineSpec)]) {
		v = &verdict{}
		c.verdicts[u.key()] = v
	}
	return v
}

// refused reports whether it is known that a pipeline is not to be used.
func (b *Backend) refused(p pipelineSpec) bool {
	if p.variant.Has("SUBGROUP") && b.refused(b.subgroupTest()) {
		return true
	}
	v := b.checks.verdicts[pipelineKey{p.variant, p.spec}]
	return v != nil && v.err != nil
}

// pipelineName names a pipeline for people, and in the file of verdicts.
func (b *Backend) pipelineName(p pipelineSpec) string {
	name := p.variant.Name()
	if p.spec != nil {
		name += " " + strings.NewReplacer("LinearEpilogue:", "", "LinearSpec:", "", "LinearOneSpec:", "").Replace(fmt.Sprintf("%+v", p.spec))
	}
	if n := b.pipes.subgroup(p.variant); n > 0 {
		name += fmt.Sprintf(", subgroups of %d", n)
	}
	return name
}

// settle checks pipelines, all in one submit. An error is one of the device.
func (b *Backend) settle(list []unchecked) error {
	// A profile is of the ops that it was asked for.
	profile := b.profile
	b.profile = nil
	defer func() { b.profile = profile }()

	found, err := b.tryAll(list)
	if err != nil {
		return fmt.Errorf("checking kernels: %w", err)
	}
	c := &b.checks
	for i, u := range list {
		v := &verdict{b.pipelineName(u.pipelineSpec), found[i]}
		c.verdicts[u.key()] = v
		c.ran++
		c.fresh = c.fresh || v.ran()
		if v.err != nil {
			c.failed = append(c.failed, v)
			clear(c.chosen)
		}
	}
	return nil
}

// settleAll checks what a program took as right while it was recorded. failed tells that
// some of it is not: the program has to be recorded anew.
func (b *Backend) settleAll(t *taken) (failed bool, err error) {
	if len(t.list) == 0 {
		return false, nil
	}
	before := len(b.checks.failed)
	err = b.settle(t.list)
	return len(b.checks.failed) > before, err
}

// refuse is the error of a device on which the kernels for an op fail their checks: these pipelines,
// the plainest one last.
func (b *Backend) refuse(what string, pipelines ...pipelineSpec) error {
	why := "there is no kernel"
	for _, p := range pipelines {
		if v := b.checks.verdicts[pipelineKey{p.variant, p.spec}]; v != nil && v.err != nil {
			if why = fmt.Sprintf("its kernel %s computes wrongly: %v", v.name, v.err); !v.ran() {
				why = fmt.Sprintf("the check of its kernel %s could not run: %v", v.name, v.err)
			}
		}
	}
	return &RefusedError{Device: b.phys.Name, Driver: driverOf(b.phys), Found: fmt.Sprintf("cannot compute %s: %s", what, why)}
}

// describeFailed tells for Describe which kernels are not used: those that have failed, and those of which the check could not
// run. It is "" if there is none.
func (b *Backend) describeFailed() (text string) {
	for _, kind := range []struct {
		ran  bool
		what string
	}{{true, "which computed wrongly"}, {false, "of which the check could not run"}} {
		var names []string
		var first error
		for _, v := range b.checks.failed {
			if v.ran() != kind.ran {
				continue
			}
			if names = append(names, v.name); first == nil {
				first = v.err
			}
		}
		if names != nil {
			text += fmt.Sprintf(", without %s, %s (%v)", kernelNames(names), kind.what, first)
		}
	}
	return text
}

// kernelNames joins what people call kernels, by the names of pipelines, each once.
func kernelNames(pipelines []string) string {
	var names []string
	for _, name := range pipelines {
		name, _, _ := strings.Cut(name, " ")
		if name == selftestVariant().Name() {
			name = "subgroup operations"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// describeMatrices tells for Describe that cooperative matrices multiply, once they have.
func (b *Backend) describeMatrices() string {
	for key, v := range b.checks.verdicts {
		if m := b.limits.Matrix; key.variant.Matrix && v.err == nil {
			return fmt.Sprintf(", f16 on cooperative matrices of %d×%d×%d", m[0], m[1], m[2])
		}
	}
	return ""
}

// inOrder lists the ways to compute a product, in the order in which they are to be taken:
// first what was measured to be the fastest, where there is such a measurement, then by the rule.
func (e *encoder) inOrder(p *product) []linearChoice {
	return tunedFirst(e.b.tuned.ways, p.String, e.limits().choices(p), (*linearChoice).String)
}

// choose picks the way to compute a product: the first one whose pipeline is right.
func (e *encoder) choose(p *product) (linearChoice, error) {
	c, ok, err := e.find(p)
	if err == nil && !ok {
		var pipelines []pipelineSpec
		for _, c := range e.inOrder(p) {
			pipelines = append(pipelines, c.pipeline(e.limits(), p))
		}
		err = e.b.refuse("a product of "+p.String(), pipelines...)
	}
	return c, err
}

// find is choose for products that there may be no way to compute: ok is false then.
func (e *encoder) find(p *product) (c linearChoice, ok bool, err error) {
	if c, ok := e.b.checks.chosen[*p]; ok {
		return c, true, nil
	}
	var wrong []*shaders.Variant // another division of the work would be compiled from the same
	for _, c := range e.inOrder(p) {
		spec := c.pipeline(e.limits(), p)
		if slices.Contains(wrong, spec.variant) {
			continue
		}
		ok, err := e.trusts(spec, func(t *trials) { tryLinear(t, p, &c) })
		if err != nil {
			return linearChoice{}, false, err
		}
		if ok {
			if e.b.checks.verdicts[pipelineKey{spec.variant, spec.spec}] != nil { // not only taken as right
				e.b.checks.chosen[*p] = c
			}
			return c, true, nil
		}
		wrong = append(wrong, spec.variant)
	}
	return linearChoice{}, false, nil
}

// tryAll makes and runs the trials of pipelines, and returns what is wrong with each: a notRunError, if they could not run. An
// error that is none of a pipeline ends it.
func (b *Backend) tryAll(list []unchecked) (found []error, err error) {
	t := &trials{b: b, slab: &buffer{b: b}}
	of := make([]int, len(list)+1) // where the trials of each begin
	for i, u := range list {
		t.begin(u.pipelineSpec)
		u.try(t)
		of[i+1] = len(t.list)
	}
	if err := t.upload(); err != nil {
		return nil, err
	}
	defer t.slab.Free()
	found = make([]error, len(list))
	err = b.encode(func(e *encoder) error {
		e.name = "checks of kernels"
		for i, u := range list {
			e.tried = &tried{pipelineSpec: u.pipelineSpec}
			for _, trial := range t.list[of[i]:of[i+1]] {
				if found[i] = trial.encode(e); found[i] == nil {
					continue
				}
				if errors.Is(found[i], backend.ErrDeviceLost) || errors.Is(found[i], backend.ErrOutOfMemory) {
					return found[i]
				}
				found[i] = &notRunError{fmt.Errorf("with %s: %w", trial.what, found[i])}
				break
			}
			if found[i] == nil && !e.tried.used {
				found[i] = &notRunError{errors.New("no op of it takes this kernel")}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	image := make([]byte, len(t.image))
	if err := b.read(image, t.slab, 0); err != nil {
		return nil, err
	}
	for i := range list {
		for _, trial := range t.list[of[i]:of[i+1]] {
			if found[i] == nil {
				found[i] = trial.check(image)
			}
		}
	}
	return found, nil
}
