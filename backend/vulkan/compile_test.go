//go:build cgo

package vulkan

import (
	"encoding/binary"
	"errors"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// compiler is a driver that only compiles: pipelines are numbers, and a cache is the set
// of the constants of those that were compiled with it.
type compiler struct {
	driver
	compiling func(spec uint32) error // is called while a pipeline is compiled; nil: does nothing

	mu     sync.Mutex
	last   uint64
	live   int // modules, layouts, pipelines and caches that were not destroyed
	caches map[vk.PipelineCache]map[uint32]bool
	made   int // pipelines compiled that were not in the cache
}

func newCompiler(compiling func(spec uint32) error) *compiler {
	return &compiler{compiling: compiling, caches: map[vk.PipelineCache]map[uint32]bool{}}
}

func (c *compiler) make() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.live++
	return c.last
}

func (c *compiler) destroy() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live--
}

func (c *compiler) CreateShaderModule([]byte) (vk.ShaderModule, error) {
	return vk.ShaderModule(c.make()), nil
}
func (c *compiler) DestroyShaderModule(vk.ShaderModule) { c.destroy() }
func (c *compiler) CreateDescriptorSetLayout([]vk.DescriptorType) (vk.DescriptorSetLayout, error) {
	return vk.DescriptorSetLayout(c.make()), nil
}
func (c *compiler) DestroyDescriptorSetLayout(vk.DescriptorSetLayout) { c.destroy() }
func (c *compiler) CreatePipelineLayout(vk.DescriptorSetLayout, int) (vk.PipelineLayout, error) {
	c.make()
	return vk.PipelineLayout{}, nil
}
func (c *compiler) DestroyPipelineLayout(vk.PipelineLayout) { c.destroy() }
func (c *compiler) DestroyPipeline(p vk.Pipeline)           { c.destroy() }
func (c *compiler) DestroyPipelineCache(h vk.PipelineCache) { delete(c.caches, h); c.destroy() }

func (c *compiler) CreatePipelineCache(data []byte) (vk.PipelineCache, error) {
	h, set := vk.PipelineCache(c.make()), map[uint32]bool{}
	for at := vkCacheHeader; at < len(data); at += 4 {
		set[binary.LittleEndian.Uint32(data[at:])] = true
	}
	c.caches[h] = set
	return h, nil
}

func (c *compiler) MergePipelineCaches(to, from vk.PipelineCache) error {
	maps.Copy(c.caches[to], c.caches[from])
	return nil
}

func (c *compiler) PipelineCacheData(h vk.PipelineCache) ([]byte, error) {
	data := cacheData(testKey(), 0)
	for _, spec := range slices.Sorted(maps.Keys(c.caches[h])) {
		data = binary.LittleEndian.AppendUint32(data, spec)
	}
	return data, nil
}

func (c *compiler) CreateComputePipeline(info vk.PipelineInfo) (vk.Pipeline, error) {
	if c.compiling != nil {
		if err := c.compiling(info.Spec[0]); err != nil {
			return 0, err
		}
	}
	p := vk.Pipeline(c.make())
	c.mu.Lock()
	defer c.mu.Unlock()
	if set := c.caches[info.Cache]; !set[info.Spec[0]] {
		c.made++
		set[info.Spec[0]] = true
	}
	return p, nil
}

// addSpec is a pipeline that a number tells from others.
func addSpec(n int) pipelineSpec {
	return pipelineSpec{variant: shaders.Find("add", ""), spec: shaders.Workgroup{Lanes: uint32(n)}}
}

func (c *compiler) pipelines(t *testing.T, path string) *pipelines {
	t.Helper()
	p, err := newPipelines(c, &Limits{}, cacheFile{path: path, key: testKey()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCompileAtOnce: as many pipelines as there are processors are compiled at once, and
// no more; each once.
func TestCompileAtOnce(t *testing.T) {
	const most = 3
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(most))
	var mu sync.Mutex
	var once sync.Once
	now, peak, together := 0, 0, make(chan struct{})
	c := newCompiler(func(uint32) error {
		mu.Lock()
		now++
		if peak = max(peak, now); now == most {
			once.Do(func() { close(together) })
		}
		mu.Unlock()
		<-together // the first ones wait until there are so many: if there never are, the test hangs
		mu.Lock()
		defer mu.Unlock()
		now--
		return nil
	})
	p := c.pipelines(t, "")
	for range 2 {
		for i := range 2 * most {
			p.start(addSpec(1 + i))
		}
	}
	for i := range 2 * most {
		if made, err := p.get(addSpec(1 + i)); err != nil || made.handle == 0 {
			t.Errorf("pipeline %d: %v", i, err)
		}
	}
	if s := p.stats(); s.Pipelines != 2*most || s.CompileTime <= 0 {
		t.Errorf("Stats() = %+v, want %d pipelines", s, 2*most)
	}
	if peak != most {
		t.Errorf("%d were compiled at once, want %d", peak, most)
	}
	if err := p.close(); err != nil || c.live != 0 {
		t.Errorf("closed: %v, %d objects are left", err, c.live)
	}
}

// TestCompileFails: of many pipelines that are compiled at once one fails. The others are
// there, nothing is left in the end, and the next one who asks for it tries again.
func TestCompileFails(t *testing.T) {
	bad, broken := errors.New("no registers"), true
	c := newCompiler(func(spec uint32) error {
		if spec == 5 && broken {
			return bad
		}
		return nil
	})
	p := c.pipelines(t, "")
	for i := range 9 {
		p.start(addSpec(i))
	}
	for i := range 9 {
		made, err := p.get(addSpec(i))
		if failed := err != nil; failed != (i == 5) || failed && (!errors.Is(err, bad) || !strings.Contains(err.Error(), "{Lanes:5}")) {
			t.Errorf("pipeline %d: %v, %v", i, made, err)
		}
	}
	for range 2 { // in the background and not
		if _, err := p.get(addSpec(5)); !errors.Is(err, bad) {
			t.Errorf("asked for again: %v, want %v", err, bad)
		}
		p.start(addSpec(5))
		p.running.Wait()
	}
	broken = false
	p.start(addSpec(5))
	if _, err := p.get(addSpec(5)); err != nil {
		t.Errorf("after the driver's recovery: %v", err)
	}
	if n := p.stats().Pipelines; n != 9 {
		t.Errorf("%d pipelines were compiled, want 9", n)
	}
	if err := p.close(); err != nil || c.live != 0 {
		t.Errorf("closed: %v, %d objects are left", err, c.live)
	}
}

// TestCloseWhileCompiling: pipelines that are being compiled when the backend is closed
// are waited for; those that nobody has begun with are left out.
func TestCloseWhileCompiling(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	begun, goOn := make(chan struct{}), make(chan struct{})
	var p *pipelines
	c := newCompiler(func(spec uint32) error {
		begun <- struct{}{}
		<-goOn
		for !p.closing.Load() {
			runtime.Gosched()
		}
		return nil
	})
	p = c.pipelines(t, "")
	for i := range 5 {
		p.start(addSpec(i))
	}
	<-begun
	close(goOn)
	if err := p.close(); err != nil || c.live != 0 || c.made != 1 {
		t.Errorf("closed: %v, %d objects are left, %d pipelines were compiled, want 1", err, c.live, c.made)
	}
}

// TestCacheIsShared: several processes keep their pipelines in one file, also those that
// run at the same time, and one that uses few of them keeps the others'.
func TestCacheIsShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	use := func(p *pipelines, specs ...int) *pipelines {
		for _, i := range specs {
			p.start(addSpec(i))
		}
		for _, i := range specs {
			if _, err := p.get(addSpec(i)); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	closed := func(p *pipelines) {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
	a, b := newCompiler(nil), newCompiler(nil)
	first, second := use(a.pipelines(t, path), 1, 2), use(b.pipelines(t, path), 2, 3)
	closed(first)
	closed(second)
	c := newCompiler(nil)
	closed(use(c.pipelines(t, path), 1))
	d := newCompiler(nil)
	closed(use(d.pipelines(t, path), 1, 2, 3))
	if a.made != 2 || b.made != 2 || c.made != 0 || d.made != 0 {
		t.Errorf("%d, %d, %d and %d pipelines were compiled, want 2, 2, 0 and 0", a.made, b.made, c.made, d.made)
	}
	if live := a.live + b.live + c.live + d.live; live != 0 {
		t.Errorf("%d objects are left", live)
	}

	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 10 {
				closed(use(newCompiler(nil).pipelines(t, path), 100*i+n))
			}
		})
	}
	wg.Wait()
	last := newCompiler(nil)
	closed(use(last.pipelines(t, path), 1))
	if last.made != 0 {
		t.Error("processes that wrote at the same time have lost what was there before")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("they left %v", left)
	}
}

// TestCompileAhead: what Compile starts for ops on buffers of another backend is what
// the ops need when they are recorded, which compiles nothing more.
func TestCompileAhead(t *testing.T) {
	for _, b := range []*Backend{openTest(t, lavapipe, nil), openTest(t, lavapipe, small), played{name: "interpreted", lanes: 32}.open(t, nil)} {
		ops := func(on backend.Backend) []backend.Op {
			tensor := func(d backend.DType, dims ...int) backend.Tensor {
				x, err := backend.New(on, d, dims...)
				if err != nil {
					t.Fatal(err)
				}
				return x
			}
			x, y := tensor(backend.F32, 300, 64), tensor(backend.F32, 300, 64)
			w, sums := tensor(backend.Q8_0, 64, 64), tensor(backend.F32, 64)
			list, err := backend.Prepare(b,
				&backend.Copy{Dst: y, X: x},
				&backend.Linear{Dst: y, X: x, W: w, Activation: backend.GELUTanh, Sum: tensor(backend.F32, 300, 64)},
				&backend.Linear{Dst: y.Slice(-2, 0, 1), X: x.Slice(-2, 3, 4), W: w},
				&backend.LayerNorm{Dst: y, X: x, Gamma: sums, Beta: sums, Epsilon: 1e-5},
				&backend.RMSNormBackward{DX: y, DGamma: tensor(backend.F32, 64), X: x, DY: x, Gamma: sums, Stats: tensor(backend.F32, 300, 1), Epsilon: 1e-5},
			)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		b.Compile(ops(&null.Backend{})...)
		ahead := maps.Clone(b.pipes.made)
		if len(ahead) < 6 {
			t.Errorf("%d pipelines are compiled ahead", len(ahead))
		}
		p, err := b.Record(ops(b)...)
		if err != nil {
			t.Fatal(err)
		}
		for key := range b.pipes.made {
			if ahead[key] == nil {
				t.Errorf("%s %+v is not compiled ahead", key.variant.Name(), key.spec)
			}
		}
		if n := b.Stats().Pipelines; n != len(ahead) {
			t.Errorf("%d pipelines are compiled, and %d are needed", n, len(ahead))
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRecordNamesWhatFails: the error of a pipeline that cannot be compiled names the op
// and the shader, though others were compiled at the same time, and the backend goes on.
func TestRecordNamesWhatFails(t *testing.T) {
	b := openTest(t, lavapipe, nil)
	bad, broken := errors.New("no registers"), true
	b.dev = failing{b.dev, func() error {
		if broken {
			return bad
		}
		return nil
	}}
	b.pipes.dev = b.dev
	x, y, z := vector(t, b, 1, -2), vector(t, b, 0, 0), vector(t, b, 0, 0)
	ops := []backend.Op{&backend.Add{Dst: y, A: x, B: x}, &backend.Scale{Dst: z, X: y, By: vector(t, b, 2)}}
	_, err := backend.Record(b, ops...)
	var at *backend.OpError
	if !errors.As(err, &at) || at.Index != 1 || at.Op != "scale" || !errors.Is(err, bad) || !strings.Contains(err.Error(), "shader scale") {
		t.Errorf("the error is %v", err)
	}
	broken = false
	p, err := backend.Record(b, ops...)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	if got := values(t, b, z); got[1] != -8 {
		t.Errorf("then it computes %v", got)
	}
}

// failing is a driver whose compiler may fail for pipelines of scale.comp.
type failing struct {
	driver
	fails func() error
}

func (d failing) CreateShaderModule(code []byte) (vk.ShaderModule, error) {
	if v := variants[string(code)]; v != nil && v.Source == "scale" {
		if err := d.fails(); err != nil {
			return 0, err
		}
	}
	return d.driver.CreateShaderModule(code)
}
