//go:build cgo

package vulkan

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// pipelines compiles each compute pipeline when it is first used. The driver's
// compiled code is cached on disk (cache.go).
type pipelines struct {
	dev     driver
	limits  *Limits
	cache   vk.PipelineCache
	path    string // of the cache file; empty: there is none
	made    map[pipelineKey]*pipeline
	layouts map[layoutKey]*layout
	stats   Stats
	proof   int // pipelines compiled by prove; they alone are no reason to write the cache file
}

// Stats counts what a backend has compiled.
type Stats struct {
	Pipelines   int           // created, compiled or loaded from the cache file
	CompileTime time.Duration // time that creating them took
}

// pipeline is a compute pipeline with its layout.
type pipeline struct {
	handle vk.Pipeline
	layout *layout
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

func newPipelines(dev driver, limits *Limits, path string, key cacheKey) (*pipelines, error) {
	p := &pipelines{dev: dev, limits: limits, path: path, made: map[pipelineKey]*pipeline{}, layouts: map[layoutKey]*layout{}}
	var err error
	if data := readCache(path, key); data != nil {
		if p.cache, err = dev.CreatePipelineCache(data); err == nil {
			return p, nil
		}
	}
	p.cache, err = dev.CreatePipelineCache(nil)
	return p, err
}

// get returns the pipeline that s describes. It compiles it at the first call.
func (p *pipelines) get(s pipelineSpec) (*pipeline, error) {
	if s.spec != nil && reflect.TypeOf(s.spec) != reflect.TypeOf(s.variant.Spec) {
		return nil, fmt.Errorf("specialization constants of type %T, its table has %T", s.spec, s.variant.Spec)
	}
	key := pipelineKey{s.variant, s.spec}
	if made, ok := p.made[key]; ok {
		return made, nil
	}
	l, err := p.layout(s.variant)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	module, err := p.dev.CreateShaderModule(s.variant.SPIRV())
	if err != nil {
		return nil, err
	}
	defer p.dev.DestroyShaderModule(module)
	handle, err := p.dev.CreateComputePipeline(vk.PipelineInfo{
		Module: module, Layout: l.pipeline, Cache: p.cache, Spec: shaders.Words(s.spec),
		Subgroup: p.subgroup(s.variant), FullSubgroups: s.variant.Matrix,
	})
	if err != nil {
		return nil, fmt.Errorf("compiling it with constants %+v: %w", s.spec, err)
	}
	p.stats.Pipelines++
	p.stats.CompileTime += time.Since(start)
	p.made[key] = &pipeline{handle, l}
	return p.made[key], nil
}

// subgroup returns the subgroup size that a pipeline asks for: that on which kernels rely
// which use subgroup operations. Else it is 0, as it is on devices that cannot be asked:
// there the self-test tells what they do.
func (p *pipelines) subgroup(v *shaders.Variant) int {
	size := 0
	switch {
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

// close destroys all pipelines, and writes the cache file if pipelines were
// created. A file that cannot be written is no error: the next process compiles
// its pipelines anew.
func (p *pipelines) close() error {
	var err error
	if p.path != "" && p.stats.Pipelines > p.proof {
		var data []byte
		data, err = p.dev.PipelineCacheData(p.cache)
		if err == nil && len(data) > 32 { // more than the header
			_ = writeCache(p.path, data)
		}
	}
	for _, made := range p.made {
		p.dev.DestroyPipeline(made.handle)
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

// shaderSet returns the hash of all shaders. It makes cache files of different
// versions of this program differ.
func shaderSet() (sum [sha256.Size]byte) {
	h := sha256.New()
	for i := range shaders.Variants {
		h.Write(shaders.Variants[i].SPIRV())
	}
	h.Sum(sum[:0])
	return sum
}
