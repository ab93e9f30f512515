// Package version tells what a program was built from.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"caldera/backend"
)

// commit is set by the linker where the go command does not stamp builds:
// go build -ldflags "-X caldera/internal/version.commit=…".
var commit string

// Commit is the commit that this program was built from, "-dirty" behind it
// where files had been changed; empty if unknown.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if commit != "" || !ok {
		return commit
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	r := settings["vcs.revision"]
	r = r[:min(len(r), 12)]
	if r != "" && settings["vcs.modified"] == "true" {
		r += "-dirty"
	}
	return r
}

// Text is what a program tells of itself, a line each: the commit, Go and the platform,
// and the backends that this program has.
func Text() string {
	c := Commit()
	if c == "" {
		c = "unknown"
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		c += " (" + info.Main.Version + ")"
	}
	return fmt.Sprintf("caldera, commit %s\n%s %s/%s\nbackends: %s\n", c, runtime.Version(), runtime.GOOS, runtime.GOARCH, backends())
}

// backends lists the backends of this program, and one that it would have if it
// had been built in another way.
func backends() string {
	list := strings.Join(backend.Names(), ", ")
	if !cgo {
		list = strings.Join(slices.DeleteFunc(backend.Names(), func(name string) bool { return name == "vulkan" }), ", ") + " (without vulkan: built without cgo)"
	}
	return list
}
