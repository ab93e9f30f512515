//go:build cgo

package vulkan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"caldera/backend/vulkan/internal/vk"
	"caldera/internal/atomicfile"
)

// What was found about a device is kept beside its compiled pipelines (cache.go), in files
// of JSON for each device, driver and set of shaders: which kernels passed their check, and
// what was measured (tune.go). A file that is damaged, too large or of another format counts
// as absent. It is replaced as a whole.

// storedHeader is what each of the files begins with.
type storedHeader struct {
	Format int       `json:"caldera_format"` // of these files: storedFormat
	Device string    `json:"device"`
	Driver string    `json:"driver"`
	Date   time.Time `json:"date"`
}

// storedFormat counts changes of these files, and of the checks: what passed an older check
// is checked again.
const storedFormat = 1

// storedMax is the most bytes of a file; a larger one is refused.
const storedMax = 4 << 20

// beside returns the path of a file for what was found about a device, beside that of its
// compiled pipelines; or "" if there is none. Two cards of one make have a file each.
func beside(pipelines string, p *vk.PhysicalDevice, ending string) string {
	if pipelines == "" {
		return ""
	}
	return strings.TrimSuffix(pipelines, filepath.Ext(pipelines)) + "-" + cardOf(p) + ending
}

// cardOf names a card with its driver.
func cardOf(p *vk.PhysicalDevice) string {
	h := sha256.New()
	fmt.Fprintf(h, "%x %v %d %s", p.DeviceUUID, p.Name, p.DriverVersion, driverOf(p))
	return hex.EncodeToString(h.Sum(nil)[:4])
}

// lastFaults tells which kernels failed when a card was last used with its driver, by any version
// of this program; or "". dir is the folder of the files.
func lastFaults(dir string, p *vk.PhysicalDevice) string {
	if dir == "" {
		return ""
	}
	const most = 64 // files
	files, _ := fs.Glob(os.DirFS(dir), fmt.Sprintf("%04x-%04x-*-%s%s", p.VendorID, p.DeviceID, cardOf(p), verdictsEnding))
	var last storedVerdicts
	for _, name := range files[:min(len(files), most)] {
		if v := readVerdicts(filepath.Join(dir, name), p); v.Date.After(last.Date) {
			last = v
		}
	}
	var names []string
	for _, f := range last.Failed {
		names = append(names, f.Kernel)
	}
	return kernelNames(names)
}

// readStored reads a file of a device into v, whose header is h. An error says why the
// contents are not to be used, without the path; fs.ErrNotExist: there is no file.
func readStored(path string, p *vk.PhysicalDevice, v any, h *storedHeader) error {
	info, err := os.Stat(path)
	if err != nil {
		return withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if info.Size() > storedMax {
		return fmt.Errorf("it has %d bytes, expected at most %d", info.Size(), storedMax)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return withoutPath(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return err
	}
	switch {
	case h.Format != storedFormat:
		return fmt.Errorf("it is of format %d, expected %d", h.Format, storedFormat)
	case h.Device != p.Name:
		return fmt.Errorf("it is for %q, expected %q", h.Device, p.Name)
	case h.Driver != driverOf(p):
		return fmt.Errorf("it is for driver %q, expected %q", h.Driver, driverOf(p))
	}
	markUsed(path)
	return nil
}

// withoutPath is an error of a file without its path, which is long.
func withoutPath(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

// writeStored writes a file of a device: one that readStored takes, or none.
func writeStored(path string, v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	if text.Len() > storedMax {
		return fmt.Errorf("%s: it would have %d bytes, expected at most %d", path, text.Len(), storedMax)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	err := atomicfile.Write(path, func(w io.Writer) error {
		_, err := text.WriteTo(w)
		return err
	})
	if err == nil {
		prune(path, time.Now())
	}
	return err
}

// header is that of a file of the device.
func header(p *vk.PhysicalDevice) storedHeader {
	return storedHeader{storedFormat, p.Name, driverOf(p), time.Now().UTC().Truncate(time.Second)}
}

// storedVerdicts are the checks that passed, and those that failed, which are for people:
// they are run again.
type storedVerdicts struct {
	storedHeader
	Passed []string       `json:"passed"`
	Failed []storedFailed `json:"failed,omitempty"`
}

type storedFailed struct {
	Kernel string `json:"kernel"`
	Found  string `json:"found"`
}

const verdictsEnding = ".checks.json"

// readVerdicts reads what passed in earlier processes. The file is one that may be absent.
func readVerdicts(path string, p *vk.PhysicalDevice) (v storedVerdicts) {
	if path == "" || readStored(path, p, &v, &v.storedHeader) != nil {
		return storedVerdicts{}
	}
	return v
}

// load reads what passed in earlier processes.
func (c *checks) load(p *vk.PhysicalDevice) {
	c.verdicts, c.chosen, c.stored = map[pipelineKey]*verdict{}, map[product]linearChoice{}, map[string]bool{}
	for _, name := range readVerdicts(c.path, p).Passed {
		c.stored[name] = true
	}
}

// save writes what was found, with what other processes have written in the meantime. A file
// that cannot be written is no error: the next process checks anew.
func (c *checks) save(p *vk.PhysicalDevice) {
	if c.path == "" || !c.fresh {
		return
	}
	passed := map[string]bool{}
	old := readVerdicts(c.path, p)
	for _, name := range old.Passed {
		passed[name] = true
	}
	v := storedVerdicts{storedHeader: header(p)}
	for _, x := range c.verdicts {
		if x.name != "" && x.ran() {
			passed[x.name] = x.err == nil
		}
	}
	for _, name := range slices.Sorted(maps.Keys(passed)) {
		if passed[name] {
			v.Passed = append(v.Passed, name)
		}
	}
	for _, f := range old.Failed { // which this process has not asked for
		if _, again := passed[f.Kernel]; !again {
			v.Failed = append(v.Failed, f)
		}
	}
	for _, x := range c.failed {
		if !x.ran() {
			continue
		}
		v.Failed = append(v.Failed, storedFailed{x.name, x.err.Error()})
	}
	_ = writeStored(c.path, &v)
}
