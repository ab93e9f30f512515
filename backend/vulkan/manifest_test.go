//go:build cgo

package vulkan

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBrokenManifests names manifests that are broken in every variable that
// takes them, and installs them.
func TestBrokenManifests(t *testing.T) {
	dir := t.TempDir()
	const manifest = `{"file_format_version": "1.0.0", "ICD": {"api_version": "1.3.0", "library_path": `
	named := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := []struct{ path, want string }{
		{filepath.Join(dir, "missing.json"), "does not exist"},
		{named("empty.json", ""), "is empty"},
		{named("cut-off.json", `{"file_format_version": "1.0.0", "ICD": {`), "is not JSON"},
		{named("library.json", manifest+`"/nonexistent/libdriver.so"}}`), `names the library "/nonexistent/libdriver.so", which does not exist`},
		{named("relative.json", manifest+`"./libdriver.so"}}`), `names the library "` + dir + `/libdriver.so", which does not exist`},
		{named("searched.json", manifest+`"libno-such-driver.so"}}`), `names the library "libno-such-driver.so"`},
		{named("no-library.json", manifest+`"`+dir+`/empty.json"}}`), `names the library "` + dir + `/empty.json"`},
		{named("no-driver.json", manifest+`"libc.so.6"}}`), "it is no Vulkan driver"},
		{named("array.json", `[]`), "holds no JSON object"},
		{named("null.json", `{"file_format_version": "1.0.0", "ICD": null}`), `has no object "ICD"`},
		{named("no-path.json", `{"file_format_version": "1.0.0", "ICD": {"api_version": "1.3.0"}}`), `has no "library_path"`},
		{named("number.json", manifest+`5}}`), `whose "library_path" is 5, expected a string`}, // crashes a loader
		{named("no-version.json", `{"ICD": {"api_version": "1.3.0", "library_path": "x"}}`), `has no "file_format_version"`},
		{named("large.json", manifest+`"x"}}`+string(bytes.Repeat([]byte{' '}, 2<<20))), "expected a driver's manifest of at most"},
		{named("deep.json", strings.Repeat("[", 1<<19)), "has 524288 opening brackets"}, // crashes a loader
		{dir + "/directory", "is not JSON"},
		{named("new\nline.json", "x"), `new\nline.json", which is not JSON`},
	}
	named("directory/some.json", "{")
	named("none/README", "")
	broken := func(name string, env []string, want ...string) {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			for _, v := range os.Environ() {
				if !strings.HasPrefix(v, "VK_DRIVER_FILES=") { // which TestMain sets
					cmd.Env = append(cmd.Env, v)
				}
			}
			cmd.Env = append(append(cmd.Env, childVariable+"=1", "XDG_DATA_DIRS="+dir+"/none"), env...)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != 3 {
				t.Fatalf("exit code %d, want 3\n%s", code, out)
			}
			for _, want := range append(want, "backend vulkan: no Vulkan driver: ") {
				if !strings.Contains(string(out), want) {
					t.Errorf("the error does not say %q:\n%s", want, out)
				}
			}
			if strings.Contains(string(out), "memory is used up") {
				t.Errorf("the error tells of memory:\n%s", out)
			}
		})
	}
	for _, f := range files {
		broken("VK_DRIVER_FILES "+filepath.Base(f.path), []string{"VK_DRIVER_FILES=" + f.path}, "VK_DRIVER_FILES names", f.want, "unset VK_DRIVER_FILES")
	}
	for _, variable := range []string{"VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"} {
		for _, f := range files[:4] {
			broken(variable+" "+filepath.Base(f.path), []string{variable + "=" + f.path}, variable+" names", f.want, "unset "+variable)
		}
	}
	broken("two", []string{"VK_DRIVER_FILES=" + files[0].path + string(os.PathListSeparator) + files[1].path}, files[0].want, files[1].want)
	broken("nothing", []string{"VK_DRIVER_FILES="}, "VK_DRIVER_FILES is set and names no manifest", "unset VK_DRIVER_FILES")
	broken("empty directory", []string{"VK_DRIVER_FILES=" + dir + "/none"}, "VK_DRIVER_FILES is set and names no manifest")
	broken("none installed", nil, "install the driver of the graphics card")
	named("config/vulkan/icd.d/some.json", "{")
	broken("installed", []string{"XDG_CONFIG_HOME=" + dir + "/config"}, dir+`/config/vulkan/icd.d/some.json", which is not JSON`, "remove the manifest")
	good := os.Getenv("CALDERA_LAVAPIPE_ICD")
	broken("left out", []string{"VK_DRIVER_FILES=" + good, "VK_LOADER_DRIVERS_DISABLE=*"}, `VK_LOADER_DRIVERS_DISABLE="*" leaves out drivers`)

	// One that is not there, as guides for two architectures name it, is no error beside one that is.
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1", "VK_DRIVER_FILES="+files[0].path+string(os.PathListSeparator)+good)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "vulkan:0") {
		t.Errorf("a driver beside a manifest that is missing: %v\n%s", err, out)
	}
}
