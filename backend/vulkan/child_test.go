//go:build cgo

package vulkan

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"caldera/backend"
)

// childVariable marks a child process of a test. The tests need child processes because
// the loader reads its environment only once in a process.
const childVariable = "CALDERA_VULKAN_TEST_CHILD"

// child opens the best device and prints the result.
func child() int {
	b, err := backend.Open("vulkan")
	if err != nil {
		fmt.Println(err)
		return 3
	}
	fmt.Println(b.Name())
	if err := b.Close(); err != nil {
		fmt.Println(err)
		return 4
	}
	return 0
}

func TestNothingInstalled(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		want []string
	}{
		{"no loader", []string{"CALDERA_VULKAN_LOADER=/nonexistent/libvulkan.so.1"}, []string{"backend vulkan: ", "no Vulkan loader", "/nonexistent/libvulkan.so.1"}},
		{"no driver", []string{"VK_DRIVER_FILES=/nonexistent.json"}, []string{"backend vulkan: ", "no Vulkan driver", "install"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"=1")
			cmd.Env = append(cmd.Env, c.env...)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 3 {
				t.Fatalf("%v, want exit code 3\n%s", err, out)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("the error does not say %q:\n%s", want, out)
				}
			}
		})
	}
}
