//go:build cgo

package vulkan

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// pipelines compiles each compute pipeline when it is first needed. start begins to
// compile one in the background, so that several are compiled at once: what runs ops
// starts all that they need, and then gets each of them. The driver's compiled code is
// cached on disk (cache.go).
//
// Like the Backend, it is for one goroutine at a time. Those that compile use the driver
// and their own pipeline only.
type pipelines struct {
	dev     driver
	limits  *Limits
	cache   vk.PipelineCache
	file    cacheFile
	made    map[pipelineKey]*pipeline // also those that are being compiled
	layouts map[layoutKey]*layout
	workers chan struct{} // holds an element for each pipeline that is compiled in the background now
	running sync.WaitGroup
	closing atomic.Bool
	count   counter
	proof   int // pipelines compiled by prove; they alone are no reason to write the cache file
}

// counter counts what is compiled, on several goroutines.
type counter struct {
	sync.Mutex
	Stats
}

// Stats counts what a backend has compiled.
type Stats struct {
	Pipelines   int           // created, compiled or loaded from the cache file
	CompileTime time.Duration // sum of the times that creating each of them took: several are created at once
}

// pipeline is a compute pipeline with its layout. handle and err are set once done is
// closed.
type pipeline struct {
	layout   *layout
	variant  *shaders.Variant
	spec     any
	subgroup int // as in vk.PipelineInfo
	done     chan struct{}
	handle   vk.Pipeline
	err      error // why it could not be compiled
	right    bool  // it has passed its check
}

// layout has the layouts of a descriptor set and of a pipeline.
type layout struct {
	set             vk.DescriptorSetLayout
	pipeline        vk.PipelineLayout
	storage, texels int // number of bindings of each type
}

type pipelineKey struct {
	variant *shaders.Variant
	spec    any
}

// layoutKey is what layouts depend on.
type layoutKey struct {
	bindings int    // number of bindings
	texel    uint64 // bit i: binding i is a texel buffer
	push     int    // bytes of push constants
}

func newPipelines(dev driver, limits *Limits, file cacheFile) (*pipelines, error) {
	p := &pipelines{
		dev: dev, limits: limits, file: file, made: map[pipelineKey]*pipeline{}, layouts: map[layoutKey]*layout{},
		workers: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	var err error
	if data := p.file.read(); data != nil {
		if p.cache, err = dev.CreatePipelineCache(data); err == nil {
			return p, nil
		}
	}
	p.cache, err = dev.CreatePipelineCache(nil)
	return p, err
}

// get returns the pipeline that s describes. It compiles it at the first call, or waits
// until it is compiled where start has begun that.
func (p *pipelines) get(s pipelineSpec) (*pipeline, error) {
	made := p.made[pipelineKey{s.variant, s.spec}]
	if made == nil {
		var err error
		if made, err = p.add(s); err != nil {
			return nil, err
		}
		p.compile(made)
	}
	<-made.done
	if made.err != nil {
		delete(p.made, pipelineKey{s.variant, s.spec}) // the next call tries again
		return nil, made.err
	}
	return made, nil
}

// start begins to compile the pipeline that s describes, in the background. get returns
// its errors.
func (p *pipelines) start(s pipelineSpec) {
	if made := p.made[pipelineKey{s.variant, s.spec}]; made != nil && !made.failed() {
		return
	}
	made, err := p.add(s)
	if err != nil {
		return
	}
	p.running.Go(func() {
		p.workers <- struct{}{}
		defer func() { <-p.workers }()
		if p.closing.Load() {
			made.err = backend.ErrClosed
			close(made.done)
			return
		}
		p.compile(made)
	})
}

// failed reports whether it is known that the pipeline could not be compiled.
func (made *pipeline) failed() bool {
	select {
	case <-made.done:
		return made.err != nil
	default:
		return false
	}
}

// add adds a pipeline that is not compiled yet.
func (p *pipelines) add(s pipelineSpec) (*pipeline, error) {
	if s.spec != nil && reflect.TypeOf(s.spec) != reflect.TypeOf(s.variant.Spec) {
		return nil, fmt.Errorf("specialization constants of type %T, its table has %T", s.spec, s.variant.Spec)
	}
	l, err := p.layout(s.variant)
	if err != nil {
		return nil, err
	}
	made := &pipeline{layout: l, variant: s.variant, spec: s.spec, subgroup: p.subgroup(s.variant), done: make(chan struct{})}
	p.made[pipelineKey{s.variant, s.spec}] = made
	return made, nil
}

// compile compiles a pipeline, on any goroutine.
func (p *pipelines) compile(made *pipeline) {
	defer close(made.done)
	start := time.Now()
	module, err := p.dev.CreateShaderModule(made.variant.SPIRV())
	if err != nil {
		made.err = err
		return
	}
	defer p.dev.DestroyShaderModule(module)
	made.handle, err = p.dev.CreateComputePipeline(vk.PipelineInfo{
		Module: module, Layout: made.layout.pipeline, Cache: p.cache, Spec: shaders.Words(made.spec),
		Subgroup: made.subgroup, FullSubgroups: made.variant.Matrix,
	})
	if err != nil {
		made.err = fmt.Errorf("compiling it with constants %+v: %w", made.spec, err)
		return
	}
	p.count.add(time.Since(start))
}

func (c *counter) add(took time.Duration) {
	c.Lock()
	defer c.Unlock()
	c.Pipelines++
	c.CompileTime += took
}

// stats returns what has been compiled so far.
func (p *pipelines) stats() Stats {
	p.count.Lock()
	defer p.count.Unlock()
	return p.count.Stats
}

// subgroup returns the subgroup size that a pipeline asks for: that on which kernels rely
// which use subgroup operations. Else it is 0, as it is on devices that cannot be asked:
// there the self-test tells what they do.
func (p *pipelines) subgroup(v *shaders.Variant) int {
	size := 0
	switch {
	case v.Source == "attention_matrix":
		size = int(p.limits.attentionSubgroup())
	case v.Matrix:
		size = int(p.limits.MatrixSubgroup)
	case v == selftestVariant(), slices.Contains(v.Defines, "SUBGROUP"):
		size = int(p.limits.SubgroupSize)
	}
	if size < p.limits.SubgroupRange[0] || size > p.limits.SubgroupRange[1] {
		return 0
	}
	return size
}

func (p *pipelines) layout(v *shaders.Variant) (*layout, error) {
	key := layoutKey{bindings: len(v.Bindings), push: v.PushSize()}
	types := make([]vk.DescriptorType, len(v.Bindings))
	l := &layout{}
	for i, b := range v.Bindings {
		if b.Texel {
			key.texel |= 1 << i
			types[i] = vk.UniformTexelDescriptor
			l.texels++
		} else {
			types[i] = vk.StorageBufferDescriptor
			l.storage++
		}
	}
	if made, ok := p.layouts[key]; ok {
		return made, nil
	}
	var err error
	if l.set, err = p.dev.CreateDescriptorSetLayout(types); err != nil {
		return nil, err
	}
	if l.pipeline, err = p.dev.CreatePipelineLayout(l.set, key.push); err != nil {
		p.dev.DestroyDescriptorSetLayout(l.set)
		return nil, err
	}
	p.layouts[key] = l
	return l, nil
}

// close waits for the pipelines that are being compiled, destroys all, and writes the
// cache file if there is something new. A file that cannot be written is no error: the
// next process compiles its pipelines anew.
func (p *pipelines) close() error {
	p.closing.Store(true)
	p.running.Wait()
	var err error
	if p.stats().Pipelines > p.proof {
		err = p.save()
	}
	for _, made := range p.made {
		if made.err == nil {
			p.dev.DestroyPipeline(made.handle)
		}
	}
	for _, l := range p.layouts {
		p.dev.DestroyPipelineLayout(l.pipeline)
		p.dev.DestroyDescriptorSetLayout(l.set)
	}
	p.dev.DestroyPipelineCache(p.cache)
	if errors.Is(err, vk.ErrDeviceLost) {
		return nil // reported before
	}
	return err
}

// save writes the cache file, with what other processes have written to it meanwhile.
func (p *pipelines) save() error {
	if p.file.path == "" {
		return nil
	}
	if data := p.file.readNew(); data != nil {
		if other, err := p.dev.CreatePipelineCache(data); err == nil {
			err = p.dev.MergePipelineCaches(p.cache, other)
			p.dev.DestroyPipelineCache(other)
			if err != nil {
				return err
			}
		}
	}
	data, err := p.dev.PipelineCacheData(p.cache)
	if err == nil && len(data) > vkCacheHeader {
		p.file.write(data)
	}
	return err
}
