//go:build cgo

package vulkan

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"caldera/shaders"
)

// compileChild makes the child process of a test compile every shader.
const compileChild = "compile"

// compileAll compiles every shader on the best device, which need not compute,
// under validation.
func compileAll() int {
	messages := 0
	b, err := Open(Options{Validation: true, unproved: true, OnMessage: func(text string) {
		messages++
		fmt.Println("validation:", text)
	}})
	if err != nil {
		fmt.Println(err)
		return 3
	}
	failed, left := 0, 0
	for i := range shaders.Variants {
		v := &shaders.Variants[i]
		var spec any // else the shader's own constants
		if v.Matrix {
			var ok bool
			if spec, ok = b.limits.matrixSpec(shaders.LinearSpec{Size: 1}); !ok {
				left++
				continue
			}
		}
		if _, err := b.pipes.get(pipelineSpec{variant: v, spec: spec}); err != nil {
			failed++
			fmt.Printf("%s: %v\n", v.Name(), err)
		}
	}
	fmt.Printf("%s compiled %d shaders, left out %d\n", b.Describe(), b.Stats().Pipelines, left)
	if err := b.Close(); err != nil || failed > 0 || messages > 0 {
		return 4
	}
	return 0
}

// TestGPULab opens the drivers of GPUs that are simulated by a kernel interface which does
// nothing: they are refused, and compile every shader. make test-gpulab runs it.
func TestGPULab(t *testing.T) {
	lab := os.Getenv("CALDERA_GPULAB")
	if lab == "" {
		t.Skip("the drivers are not here: run make test-gpulab")
	}
	for _, c := range []struct{ card, name string }{
		{"navi31", "RADV NAVI31"}, {"navi21", "RADV NAVI21"}, {"vega10", "RADV VEGA10"}, {"polaris10", "RADV POLARIS10"},
		{"162", "NVK"}, {"172", "NVK"}, // Turing, Ampere
	} {
		run := func(what string) (out string, code int) {
			cmd := exec.Command(lab, c.card, os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"="+what)
			text, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			return string(text), cmd.ProcessState.ExitCode()
		}
		t.Run(c.card+"/refused", func(t *testing.T) {
			out, code := run("1")
			for _, want := range []string{"vulkan: ", c.name, "Mesa", "is refused because it does nothing that it is told", "expected", "choose another device", "backend=cpu"} {
				if code != 3 || !strings.Contains(out, want) {
					t.Errorf("exit code %d, expected 3 and %q in\n%s", code, want, out)
				}
			}
		})
		t.Run(c.card+"/compiles", func(t *testing.T) {
			out, code := run(compileChild)
			if code != 0 || !strings.Contains(out, c.name) {
				t.Errorf("exit code %d\n%s", code, out)
			}
			t.Log(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:])
		})
	}
}
