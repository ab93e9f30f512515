//go:build cgo

// Manifests: the JSON files that tell the loader where drivers are. If a manifest
// is broken, loaders do not say so: some return that memory is used up, some crash.
// So the manifests are checked here.

package vk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Limits of a manifest. Real ones are far smaller.
const (
	maxManifest = 1 << 20 // bytes
	maxBrackets = 1000    // of objects and lists
)

// driverVariables name manifests, or directories of them. The first one that is set
// counts, also if it is empty. VK_ADD_DRIVER_FILES adds to the installed manifests;
// the others replace them. filterVariables select among drivers.
var (
	driverVariables = []string{"VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"}
	filterVariables = []string{"VK_LOADER_DRIVERS_SELECT", "VK_LOADER_DRIVERS_DISABLE"}
)

// named returns the manifests that the environment names, and the variable that
// names them. Both are empty if no variable is set.
func named() (variable string, files []string) {
	for _, v := range driverVariables {
		list, set := os.LookupEnv(v)
		if !set {
			continue
		}
		for _, path := range filepath.SplitList(list) {
			if path == "" {
				continue
			}
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				files = append(files, manifestsIn(path)...)
			} else {
				files = append(files, path)
			}
		}
		return v, files
	}
	return "", nil
}

func manifestsIn(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var files []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".json" {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files
}

// installed returns the manifests in the directories that the loader searches. It
// returns none on Windows, where the registry lists them.
func installed() (files []string) {
	if runtime.GOOS == "windows" {
		return nil
	}
	home, _ := os.UserHomeDir()
	under := func(variable, otherwise string) []string {
		if v := os.Getenv(variable); v != "" {
			return filepath.SplitList(v)
		}
		return filepath.SplitList(otherwise)
	}
	seen := map[string]bool{}
	for _, dirs := range [][]string{
		under("XDG_CONFIG_HOME", filepath.Join(home, ".config")), under("XDG_CONFIG_DIRS", "/etc/xdg"), {"/usr/local/etc", "/etc"},
		under("XDG_DATA_HOME", filepath.Join(home, ".local/share")), under("XDG_DATA_DIRS", "/usr/local/share:/usr/share"),
	} {
		for _, dir := range dirs {
			if dir = filepath.Join(dir, "vulkan", "icd.d"); filepath.IsAbs(dir) && !seen[dir] {
				seen[dir] = true
				files = append(files, manifestsIn(dir)...)
			}
		}
	}
	return files
}

// errMalformed is wrapped by the error of a file that is no manifest at all. Some
// loaders crash on such a file. If it is a pipe, they wait for its writer for ever.
var errMalformed = errors.New("expected a driver's manifest")

// readManifest returns the library that a manifest names, a path or a name
// that the system searches for.
func readManifest(path string) (library string, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", errors.New("which does not exist")
	case err != nil:
		return "", fmt.Errorf("which cannot be read (%w)", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("which is no regular file, %w", errMalformed)
	case info.Size() == 0:
		return "", errors.New("which is empty")
	case info.Size() > maxManifest:
		return "", fmt.Errorf("which has %d bytes, %w of at most %d", info.Size(), errMalformed, maxManifest)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("which cannot be read (%w)", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxManifest))
	if err != nil {
		return "", fmt.Errorf("which cannot be read (%w)", err)
	}
	if n := bytes.Count(data, []byte("[")) + bytes.Count(data, []byte("{")); n > maxBrackets {
		return "", fmt.Errorf("which has %d opening brackets, %w of at most %d", n, errMalformed, maxBrackets)
	}
	if !json.Valid(data) {
		var any any
		return "", fmt.Errorf("which is not JSON (%w)", json.Unmarshal(data, &any))
	}
	var top, icd map[string]json.RawMessage // maps, because keys of structs match in any case
	if json.Unmarshal(data, &top) != nil {
		return "", fmt.Errorf("which holds no JSON object, %w", errMalformed)
	}
	text := func(object map[string]json.RawMessage, key string) (s string, err error) {
		value, ok := object[key]
		if !ok {
			return "", fmt.Errorf("which has no %q, %w", key, errMalformed)
		}
		if json.Unmarshal(value, &s) != nil || s == "" {
			return "", fmt.Errorf("whose %q is %.40s, expected a string: %w", key, value, errMalformed)
		}
		return s, nil
	}
	if _, err := text(top, "file_format_version"); err != nil {
		return "", err
	}
	if json.Unmarshal(top["ICD"], &icd) != nil || icd == nil {
		return "", fmt.Errorf("which has no object %q, %w", "ICD", errMalformed)
	}
	if _, err := text(icd, "api_version"); err != nil {
		return "", err
	}
	if library, err = text(icd, "library_path"); err != nil {
		return "", err
	}
	if strings.ContainsAny(library, `/\`) && !filepath.IsAbs(library) {
		library = filepath.Join(filepath.Dir(path), library)
	}
	return library, nil
}

// driverSymbols are functions of which a driver exports at least one.
var driverSymbols = []string{"vk_icdGetInstanceProcAddr", "vk_icdNegotiateLoaderICDInterfaceVersion", "vkGetInstanceProcAddr"}

const notDriver = "it is no Vulkan driver: it lacks vk_icdGetInstanceProcAddr"

// checkManifest returns an error if a manifest, or the library that it names, is
// wrong. It loads the library, as the loader does.
func checkManifest(path string) error {
	library, err := readManifest(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(library); filepath.IsAbs(library) && errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("which names the library %q, which does not exist", library)
	}
	if err := checkDriver(library); err != nil {
		return fmt.Errorf("which names the library %q: %w", library, err)
	}
	return nil
}

// crashes returns an error if the environment names a manifest on which a loader
// might crash.
func crashes() error {
	variable, files := named()
	for _, path := range files {
		if _, err := readManifest(path); errors.Is(err, errMalformed) {
			return fmt.Errorf("%w: %s names %q, %w; %s", ErrNoDriver, variable, path, err, mend(variable))
		}
	}
	return nil
}

// NamedFaults says what is wrong with the manifests that the environment names,
// and what to do. It returns "" if nothing is wrong or none is named. It loads the
// drivers.
func NamedFaults() string {
	variable, files := named()
	var faults []string
	if variable != "" && len(files) == 0 && variable != "VK_ADD_DRIVER_FILES" {
		faults = append(faults, fmt.Sprintf("%s is set and names no manifest of a driver", variable))
	}
	for _, path := range files {
		if err := checkManifest(path); err != nil {
			faults = append(faults, fmt.Sprintf("%s names %q, %v", variable, path, err))
		}
	}
	if len(faults) == 0 {
		return ""
	}
	return strings.Join(append(faults, mend(variable)), "; ")
}

// installedFaults is NamedFaults for the installed manifests. It returns "" if the
// environment replaces them.
func installedFaults() string {
	if variable, _ := named(); variable != "" && variable != "VK_ADD_DRIVER_FILES" {
		return ""
	}
	var faults []string
	for _, path := range installed() {
		if err := checkManifest(path); err != nil {
			faults = append(faults, fmt.Sprintf("there is the manifest %q, %v", path, err))
		}
	}
	if len(faults) == 0 {
		return ""
	}
	return strings.Join(append(faults, "install the driver that it belongs to again, or remove the manifest"), "; ")
}

// faults says all that may prevent the loader from finding drivers, or returns "".
func faults() string {
	var found []string
	for _, s := range []string{NamedFaults(), installedFaults()} {
		if s != "" {
			found = append(found, s)
		}
	}
	for _, v := range filterVariables {
		if s := os.Getenv(v); s != "" {
			found = append(found, fmt.Sprintf("%s=%q leaves out drivers: unset it to use them all", v, s))
		}
	}
	return strings.Join(found, "; ")
}

// mend says what to do about a variable that names a broken manifest.
func mend(variable string) string {
	return fmt.Sprintf("name the manifest of a driver that is installed, or unset %s to use all that are", variable)
}

// noDriver returns the error if the loader finds no driver.
func noDriver(reason string) error {
	if found := faults(); found != "" {
		return fmt.Errorf("%w: %s (%s)", ErrNoDriver, found, reason)
	}
	return fmt.Errorf("%w: %s; %s", ErrNoDriver, reason, installDriver())
}
