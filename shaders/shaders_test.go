package shaders

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"caldera/shaders/internal/glsl"
)

func manifest(t *testing.T) glsl.Manifest {
	t.Helper()
	text, err := os.ReadFile("spv/MANIFEST")
	if err != nil {
		t.Fatal(err)
	}
	m, err := glsl.ParseManifest(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTable holds the table to the files: no shader without a row, no row
// without a shader, and nothing stale among what is compiled.
func TestTable(t *testing.T) {
	if text, err := os.ReadFile("include/dtypes.glsl"); err != nil || string(text) != Include() {
		t.Errorf("include/dtypes.glsl is not what its folders give: run go generate ./shaders (%v)", err)
	}
	sources, compiled := map[string]bool{}, map[string]bool{"spv/MANIFEST": true}
	for _, v := range Variants {
		if compiled["spv/"+v.Name()+".spv"] {
			t.Errorf("two rows are named %s", v.Name())
		}
		sources[v.Source+".comp"], compiled["spv/"+v.Name()+".spv"] = true, true
		if size := v.PushSize(); size < 0 || size > 128 || size%4 != 0 {
			t.Errorf("%s: %d bytes of push constants, expected at most 128 in words", v.Name(), size)
		}
	}
	for pattern, want := range map[string]map[string]bool{"*.comp": sources, "spv/*": compiled} {
		have, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range have {
			if !want[name] {
				t.Errorf("%s is in no row of the table", name)
			}
			delete(want, name)
		}
		for name := range want {
			t.Errorf("%s is missing: the table has a row for it", name)
		}
	}
}

// TestManifest shows, without a compiler, that the code belongs to its source.
func TestManifest(t *testing.T) {
	var want []glsl.Entry
	for _, v := range Variants {
		e, err := glsl.NewEntry(".", v.Name(), v.Source+".comp", v.Defines, v.SPIRV())
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, e)
	}
	if diff := cmp.Diff(want, manifest(t).Entries); diff != "" {
		t.Errorf("spv/ does not belong to the source: run go generate ./shaders (- want, + have)\n%s", diff)
	}
}

// compiler is the one that makes a variant, with what made the committed code.
// The newer one may be missing, for it comes from another system's packages.
func compiler(t *testing.T, v *Variant) (c glsl.Compiler, have, pinned string) {
	t.Helper()
	c, pinned = glsl.Usual, manifest(t).Compiler
	if v.Matrix {
		var err error
		if c, err = glsl.Newer(); err != nil {
			t.Skip(err)
		}
		pinned = manifest(t).Newer
	}
	have, err := c.Version()
	if err != nil {
		t.Fatal(err)
	}
	return c, have, pinned
}

// TestRecompiled shows that the code is what the compiler makes of the source.
// Another version of the compiler makes other code: of that, what Vulkan and
// the backend see must be the same.
func TestRecompiled(t *testing.T) {
	if have, err := glsl.Usual.Version(); err != nil || have != manifest(t).Compiler {
		t.Logf("the code was made by %s, this machine has %s (%v): comparing interfaces, not bytes", manifest(t).Compiler, have, err)
	}
	for _, v := range Variants {
		t.Run(v.Name(), func(t *testing.T) {
			t.Parallel()
			c, have, pinned := compiler(t, &v)
			code, err := c.Compile(".", v.Source+".comp", v.Defines)
			if err != nil {
				t.Fatal(err)
			}
			if have == pinned && !bytes.Equal(code, v.SPIRV()) {
				t.Errorf("spv/%s.spv is not what %s makes of %s.comp: run go generate ./shaders", v.Name(), have, v.Source)
			} else if diff := cmp.Diff(reflection(t, v.SPIRV()), reflection(t, code)); diff != "" {
				t.Errorf("recompiled, the interface differs (- committed, + recompiled)\n%s", diff)
			}
		})
	}
}

func TestValid(t *testing.T) {
	for _, v := range Variants {
		t.Run(v.Name(), func(t *testing.T) {
			t.Parallel()
			validator := "spirv-val"
			if v.Matrix { // Debian 12's does not know them
				c, _, _ := compiler(t, &v)
				validator = c.Validator()
			}
			tool(t, v.SPIRV(), validator, "--target-env", "vulkan1.1", "-")
		})
	}
}

// TestMetal translates every variant that a Mac may get, as MoltenVK does.
func TestMetal(t *testing.T) {
	for _, v := range Variants {
		if v.Matrix || v.Dots() {
			continue // MoltenVK has no cooperative matrices, and spirv-cross must know dot products where it has these
		}
		t.Run(v.Name(), func(t *testing.T) {
			t.Parallel()
			msl := tool(t, v.SPIRV(), "spirv-cross", "-", "--msl", "--msl-version", "20100")
			if !bytes.Contains(msl, []byte("kernel void")) {
				t.Errorf("no kernel in the Metal code:\n%s", msl)
			}
		})
	}
}

// TestInterface holds the table and params*.go to what the shaders declare.
func TestInterface(t *testing.T) {
	for _, v := range Variants {
		t.Run(v.Name(), func(t *testing.T) {
			t.Parallel()
			// Optimised code has lost its names.
			want := surface{fields(reflect.TypeOf(v.Push)), slices.Clone(v.Bindings)}
			for i := range want.Push {
				want.Push[i].Name = ""
			}
			for i := range want.Bindings {
				want.Bindings[i].Name = ""
			}
			if diff := cmp.Diff(want, reflection(t, v.SPIRV())); diff != "" {
				t.Errorf("the committed code differs (- table, + committed)\n%s", diff)
			}
			spec := specFields(v.Spec)
			for i, c := range constants(v.SPIRV()) { // some that a variant does not use are gone
				if i >= len(spec) || spec[i].Type != c.Type {
					t.Errorf("the committed code has constant %d of type %s, and %T is %v", i, c.Type, v.Spec, spec)
				}
			}
			c, _, _ := compiler(t, &v)
			named, err := c.Compile(".", v.Source+".comp", v.Defines, "-O0")
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range constants(named) {
				if i >= len(spec) || spec[i] != c {
					t.Errorf("%s.comp has %v as constant %d, and %T is %v", v.Source, c, i, v.Spec, spec)
				}
			}
			if missing := len(spec) - len(constants(named)); missing > 1 || missing == 1 && v.Source != "linear" { // whose workgroups have one size
				t.Errorf("%s.comp has %d constants, and %T is %v", v.Source, len(constants(named)), v.Spec, spec)
			}
			have := reflection(t, named)
			if diff := cmp.Diff(surface{fields(reflect.TypeOf(v.Push)), v.Bindings}, have); diff != "" {
				t.Errorf("push constants or bindings differ (- %T, + %s.comp)\n%s", v.Push, v.Source, diff)
			}
			if v.Matrix || v.Dots() {
				return // spirv-cross stops at it
			}
			if diff := cmp.Diff(crossReflection(t, named), have); diff != "" {
				t.Errorf("this test reads other than spirv-cross does (- spirv-cross, + reflection)\n%s", diff)
			}
		})
	}
}

// field is a field of push constants.
type field struct {
	Name, Type string
	Offset     int
}

// fields lists those of a Go struct under the names that GLSL has for them.
func fields(t reflect.Type) []field {
	if t == nil {
		return nil
	}
	var list []field
	offset := 0
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue
		}
		typ := map[reflect.Kind]string{reflect.Uint32: "uint", reflect.Int32: "int", reflect.Float32: "float"}[f.Type.Kind()]
		if f.Type == reflect.TypeFor[View]() || f.Type == reflect.TypeFor[[4]uint32]() {
			typ = "uvec4"
		}
		list = append(list, field{snake(f.Name), typ, offset})
		offset += int(f.Type.Size())
	}
	return list
}

// specFields lists the fields of a struct of specialization constants under the
// names that GLSL has for them.
func specFields(spec any) (list []constant) {
	for _, f := range reflect.VisibleFields(reflect.TypeOf(spec)) {
		if f.Anonymous {
			continue
		}
		c := constant{strings.ToUpper(snake(f.Name)), map[reflect.Kind]string{reflect.Uint32: "uint", reflect.Bool: "bool"}[f.Type.Kind()]}
		if f.Name == "Lanes" || f.Name == "LanesY" {
			c.Name = ""
		}
		list = append(list, c)
	}
	return list
}

// snake turns IDsStrideTime into ids_stride_time.
func snake(name string) string {
	name = strings.NewReplacer("IDs", "Ids", "ID", "Id").Replace(name)
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// tool runs a program on code and returns what it writes.
func tool(t *testing.T, code []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(code)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v (scripts/setup.sh test installs it)\n%s", name, err, errs.Bytes())
	}
	return out
}

func TestFind(t *testing.T) {
	if v := Find("linear", "F16 X4"); v.Name() != "linear.f16.x4" || len(v.SPIRV()) == 0 {
		t.Errorf("Find gave %s", v.Name())
	}
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, `no variant of linear with "X4 F16"`) {
			t.Errorf("an unknown variant: %s", r)
		}
	}()
	Find("linear", "X4 F16")
}

// literals reads the float constants of a function's file, as a test that
// computes the function step by step in float32 has them.
func literals(t *testing.T, file string, texts ...string) (values []float32) {
	source, err := os.ReadFile("include/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		v, err := strconv.ParseFloat(text, 32)
		if err != nil || !bytes.Contains(source, []byte(text)) {
			t.Errorf("%s has no constant %s (%v): this test is of another function", file, text, err)
		}
		values = append(values, float32(v))
	}
	return values
}

// TestNormal holds normal of functions.glsl, step by step in float32, to float64.
func TestNormal(t *testing.T) {
	c := literals(t, "functions.glsl", "0.305", "0.036696939", "0.152978162", "0.185697817", "0.0379574823", "0.121010298",
		"0.103424739", "0.122466113", "0.121639785")
	c[2], c[4] = -c[2], -c[4]
	for x := float32(-9); x < 9; x += 0.00371 {
		s := 1 / (1 + float32(c[0]*float32(math.Abs(float64(x)))))
		p := c[1]
		for _, c := range c[2:] {
			p = float32(p*s) + c
		}
		p = float32(p*s) * float32(math.Exp(float64(-0.5*x*x)))
		if x > 0 {
			p = 1 - p
		}
		have, want := float64(p), math.Erfc(-float64(x)/math.Sqrt2)/2
		if math.Abs(have-want) > 2.5e-7 || math.Abs(have-want) > 1e-5*want {
			t.Fatalf("Φ(%v) = %v, want %v", x, have, want)
		}
	}
}

// TestExp holds exp_ of exp.glsl, step by step in float32, to float64.
func TestExp(t *testing.T) {
	literals(t, "exp.glsl", "1.44269504", "0.693359375", "-2.12194440e-4", "1.9875691500e-4", "1.3981999507e-3",
		"8.3334519073e-3", "4.1665795894e-2", "1.6666665459e-1", "5.0000001201e-1")
	for x := float32(-87); x < 88; x += 0.00371 {
		n := float32(math.Floor(float64(x*1.44269504 + 0.5)))
		r := float32(x-float32(n*0.693359375)) - float32(n*-2.12194440e-4)
		p := float32(1.9875691500e-4)
		for _, c := range []float32{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
			p = float32(p*r) + c
		}
		p = float32(float32(float32(p*r)*r)+r) + 1
		have, want := math.Ldexp(float64(p), int(n)), math.Exp(float64(x))
		if math.Abs(have-want) > 2.5e-7*want {
			t.Fatalf("exp(%v) = %v, want %v", x, have, want)
		}
	}
}

// TestArrayLengths finds arrays whose length a specialization constant decides.
func TestArrayLengths(t *testing.T) {
	for i := range Variants {
		v := &Variants[i]
		if v.Matrix {
			continue // Metal never sees it, and room for larger tiles than it has would keep other workgroups out
		}
		special := map[uint32]bool{} // ids of specialization constants and what is computed from them
		for op, words := range instructions(v.SPIRV()) {
			switch op {
			case 48, 49, 50, 51, 52: // OpSpecConstantTrue, …False, OpSpecConstant, …Composite, …Op: type, id, …
				special[words[1]] = true
			case 28: // OpTypeArray: id, type, length
				if special[words[2]] {
					t.Errorf("%s: an array's length is a specialization constant: give it the largest length, as a number", v.Name())
				}
			}
		}
		if len(special) == 0 {
			t.Errorf("%s has no specialization constant, not even its workgroup's size: this test looks at the wrong instructions", v.Name())
		}
	}
}
