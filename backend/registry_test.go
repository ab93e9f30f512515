package backend

import (
	"errors"
	"strings"
	"testing"
)

// withDevices registers what a test says, in place of what is registered.
func withDevices(t *testing.T, lists map[string]func() ([]Device, error)) {
	t.Helper()
	names, list := registry.names, registry.list
	registry.names, registry.list = nil, nil
	t.Cleanup(func() { registry.names, registry.list = names, list })
	for name, list := range lists {
		Register(name, list)
	}
}

func some(devices ...Device) func() ([]Device, error) {
	return func() ([]Device, error) { return devices, nil }
}

func none(err error) func() ([]Device, error) {
	return func() ([]Device, error) { return nil, err }
}

var (
	cpu         = Device{Backend: "cpu", Name: "Some Processor", Kind: Host}
	discrete    = Device{Backend: "vulkan", Index: 0, Name: "Radeon RX 7900", Kind: Discrete, UUID: "00112233445566778899aabbccddeeff"}
	discrete2   = Device{Backend: "vulkan", Index: 1, Name: "Radeon RX 7900 XT", Kind: Discrete, UUID: "10112233445566778899aabbccddeeff"}
	integrated  = Device{Backend: "vulkan", Index: 2, Name: "Intel Iris", Kind: Integrated, UUID: "20112233445566778899aabbccddeeff"}
	virtual     = Device{Backend: "vulkan", Index: 3, Name: "Virtio Venus", Kind: Virtual}
	software    = Device{Backend: "vulkan", Index: 4, Name: "llvmpipe (LLVM 15.0.6, 256 bits)", Kind: Software}
	numbered    = Device{Backend: "vulkan", Index: 5, Name: "GeForce RTX 4090 Ti 3", Kind: Discrete, UUID: "12345678901234567890123456789012"}
	errNoDriver = errors.New("no Vulkan driver is installed: install mesa-vulkan-drivers")
)

func TestFind(t *testing.T) {
	vulkan := []Device{discrete, discrete2, integrated, virtual, software}
	for _, c := range []struct {
		spec   string
		vulkan []Device
		want   Device
		why    string
	}{
		{"auto", vulkan, discrete, "best GPU"},
		{"auto", vulkan[2:], integrated, "best GPU"},
		{"auto", vulkan[3:], virtual, "best GPU"},
		{"auto", vulkan[4:], cpu, "no GPU"},
		{"auto", []Device{virtual, integrated}, integrated, "best GPU"}, // however a backend orders them
		{"cpu", vulkan, cpu, "best of 1"},
		{"cpu:0", vulkan, cpu, "index"},
		{"cpu:processor", vulkan, cpu, "name"},
		{"vulkan", vulkan, discrete, "best of 5"},
		{"vulkan", vulkan[4:], software, "no GPU was found, so this will be slow"},
		{"vulkan:0", vulkan, discrete, "index"},
		{"vulkan:4", vulkan, software, "index"},
		{"vulkan:4", vulkan[4:], software, "index"},
		{"vulkan:iris", vulkan, integrated, "name"},
		{"vulkan:LLVMPIPE", vulkan, software, "name"},
		{"vulkan:Radeon RX 7900", vulkan, discrete, "name"}, // the whole name of one, part of another
		{"vulkan:7900 xt", vulkan, discrete2, "name"},
		{"vulkan:20112233445566778899aabbccddeeff", vulkan, integrated, "UUID"},
		{"vulkan:12345678901234567890123456789012", append(vulkan, numbered), numbered, "UUID"}, // of digits alone
		{"vulkan:4090", append(vulkan, numbered), numbered, "name"},                             // no index, but part of a name
		{"vulkan:3", append(vulkan, numbered), virtual, "index"},                                // before a name with a 3 in it
		{"auto:iris", vulkan, integrated, "name"},
		{"auto:processor", vulkan, cpu, "name"},
		{"auto:llvmpipe (LLVM 15.0.6, 256 bits)", vulkan, software, "name"},
		{"auto:10112233445566778899aabbccddeeff", vulkan, discrete2, "UUID"},
		{"auto:4090", append(vulkan, numbered), numbered, "name"},
		{"vulkan:10112233-4455-6677-8899-AABBCCDDEEFF", vulkan, discrete2, "UUID"},
	} {
		withDevices(t, map[string]func() ([]Device, error){"cpu": some(cpu), "vulkan": some(c.vulkan...)})
		d, why, err := Find(c.spec)
		if err != nil || d.Spec() != c.want.Spec() || !strings.Contains(why, c.why) {
			t.Errorf("%s among %d devices: found %s (%q), %v; expected %s (%q)", c.spec, len(c.vulkan), d.Spec(), why, err, c.want.Spec(), c.why)
		}
	}
}

func TestFindErrors(t *testing.T) {
	vulkan := some(discrete, discrete2, integrated)
	for _, c := range []struct {
		spec   string
		vulkan func() ([]Device, error)
		parts  []string
	}{
		{"metal", vulkan, []string{`unknown backend "metal"`, "cpu, vulkan, auto"}},
		{"", vulkan, []string{`unknown backend ""`}},
		{"auto:0", vulkan, []string{`no device "0"`, "an index goes with a backend, such as vulkan:0"}},
		{"auto:", vulkan, []string{`no device ""`}},
		{"auto:geforce", vulkan, []string{`no device "geforce"`, "cpu:0 (Some Processor)", "vulkan:2 (Intel Iris)"}},
		{"auto:geforce", none(errNoDriver), []string{`no device "geforce"`, "install mesa-vulkan-drivers"}},
		{"auto:radeon", vulkan, []string{`this machine has several devices named like "radeon"`}},
		{"vulkan:7", vulkan, []string{`no device "7"`, "vulkan:0 (Radeon RX 7900)", "vulkan:2 (Intel Iris)"}},
		{"vulkan:7900", some(discrete2, discrete, integrated), []string{`several devices named like "7900"`}},
		{"vulkan:6", some(software), []string{`no device "6"`}},                                  // LLVM 15.0.6
		{"vulkan:44", some(Device{Backend: "vulkan", Name: "X444"}), []string{`no device "44"`}}, // X444
		{"vulkan:-1", vulkan, []string{`no device "-1"`}},
		{"vulkan:", vulkan, []string{`no device ""`}},
		{"vulkan:geforce", vulkan, []string{`no device "geforce"`, "vulkan:2 (Intel Iris)"}},
		{"vulkan:radeon", vulkan, []string{`several devices named like "radeon"`, "vulkan:0 (Radeon RX 7900)", "vulkan:1 (Radeon RX 7900 XT)"}},
		{"vulkan:99112233445566778899aabbccddeeff", vulkan, []string{"no device"}},
		{"vulkan", none(errNoDriver), []string{"backend vulkan", "install mesa-vulkan-drivers"}},
		{"vulkan:0", none(errNoDriver), []string{"backend vulkan", "install mesa-vulkan-drivers"}},
		{"vulkan", some(), []string{"backend vulkan", "no device"}},
	} {
		withDevices(t, map[string]func() ([]Device, error){"cpu": some(cpu), "vulkan": c.vulkan})
		_, _, err := Find(c.spec)
		_, openErr := Open(c.spec)
		for _, err := range []error{err, openErr} {
			if err == nil {
				t.Errorf("%s: no error", c.spec)
				continue
			}
			for _, part := range c.parts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: error %q lacks %q", c.spec, err, part)
				}
			}
		}
	}
}

// TestFindDeviceOfAuto takes after --device what --backend takes too.
func TestFindDeviceOfAuto(t *testing.T) {
	withDevices(t, map[string]func() ([]Device, error){"cpu": some(cpu), "vulkan": some(discrete, discrete2, integrated)})
	for which, want := range map[string]string{"auto": "vulkan:0", "auto:iris": "vulkan:2", "cpu": "cpu:0", "vulkan": "vulkan:0"} {
		if d, _, err := FindDevice(nil, which); err != nil || d.Spec() != want {
			t.Errorf("%s is %s, %v, expected %s", which, d.Spec(), err, want)
		}
	}
	if _, _, err := FindDevice([]string{"cpu"}, "auto"); err == nil || !strings.Contains(err.Error(), "is vulkan:0, which is not of backend cpu") {
		t.Errorf("auto among backend cpu: %v", err)
	}
}

// TestAutoWithoutDevices tells why every backend had nothing, driver errors
// still to be told apart.
func TestAutoWithoutDevices(t *testing.T) {
	errNoCPU := errors.New("no processor")
	withDevices(t, map[string]func() ([]Device, error){"cpu": none(errNoCPU), "vulkan": none(errNoDriver)})
	if _, _, err := Find("auto"); !errors.Is(err, errNoCPU) || !errors.Is(err, errNoDriver) {
		t.Errorf("auto gave %v", err)
	}
	withDevices(t, map[string]func() ([]Device, error){"cpu": some(cpu), "vulkan": none(errNoDriver)})
	if d, why, err := Find("auto"); err != nil || d.Spec() != "cpu:0" || why != "no GPU was found; backend vulkan, chosen by name, tells why" {
		t.Errorf("auto without a driver: %s (%s), %v", d.Spec(), why, err)
	}
	withDevices(t, map[string]func() ([]Device, error){"vulkan": some(software)})
	if _, _, err := Find("auto"); err == nil {
		t.Error("auto took a software driver")
	}
}

func TestOpen(t *testing.T) {
	var opened []string
	opens := func(d Device) Device {
		d.Open = func() (Backend, error) { opened = append(opened, d.Spec()); return nil, errNoDriver }
		return d
	}
	withDevices(t, map[string]func() ([]Device, error){"cpu": some(opens(cpu)), "vulkan": some(opens(discrete), opens(discrete2))})
	for _, spec := range []string{"cpu", "vulkan:1", "auto"} {
		if _, err := Open(spec); !errors.Is(err, errNoDriver) {
			t.Errorf("%s: what opening gave became %v", spec, err)
		}
	}
	if got := strings.Join(opened, " "); got != "cpu:0 vulkan:1 vulkan:0 vulkan:1 cpu:0" {
		t.Errorf("opened %s: auto goes on to the next GPU, then to the CPU", got)
	}
}

// TestNote: what keeps a GPU from being found is told where it matters.
func TestNote(t *testing.T) {
	noted := software
	noted.Note = "VK_DRIVER_FILES names a file that does not exist"
	for _, c := range []struct {
		spec    string
		devices []Device
		told    bool
	}{
		{"auto", []Device{noted}, true}, {"vulkan", []Device{noted}, true}, {"vulkan", []Device{discrete, noted}, false},
		{"auto", []Device{discrete, noted}, false}, {"auto", []Device{software}, false},
	} {
		withDevices(t, map[string]func() ([]Device, error){"cpu": some(cpu), "vulkan": some(c.devices...)})
		if _, why, err := Find(c.spec); err != nil || strings.Contains(why, noted.Note) != c.told {
			t.Errorf("%s among %d devices: %q, %v; told: expected %v", c.spec, len(c.devices), why, err, c.told)
		}
	}
}

// TestFindAll: what comes after the best device, and only for auto.
func TestFindAll(t *testing.T) {
	withDevices(t, map[string]func() ([]Device, error){"cpu": some(cpu), "vulkan": some(discrete, software, integrated, virtual)})
	for spec, want := range map[string]string{
		"auto": "vulkan:0 vulkan:2 vulkan:3 cpu:0", "vulkan": "vulkan:0", "vulkan:2": "vulkan:2", "vulkan:iris": "vulkan:2", "cpu": "cpu:0",
	} {
		all, why, err := FindAll(spec)
		var got []string
		for _, d := range all {
			got = append(got, d.Spec())
		}
		if err != nil || why == "" || strings.Join(got, " ") != want {
			t.Errorf("%s: %v (%q), %v; expected %s", spec, got, why, err, want)
		}
	}
}

func TestRegisterTwice(t *testing.T) {
	withDevices(t, map[string]func() ([]Device, error){"cpu": some(cpu)})
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), "cpu") {
			t.Errorf("registering cpu twice gave %v", r)
		}
	}()
	Register("cpu", some(cpu))
}

func TestKinds(t *testing.T) {
	for kind, want := range map[Kind]string{Discrete: "discrete GPU", Integrated: "integrated GPU", Virtual: "virtual GPU", Host: "CPU", Software: "software driver"} {
		if kind.String() != want {
			t.Errorf("kind %d prints as %q, expected %q", kind, kind, want)
		}
	}
}

// TestOpenWithoutImport names the import of a backend that the program lacks.
func TestOpenWithoutImport(t *testing.T) {
	one, two := `import _ "caldera/backend/cpu"`, `import _ "caldera/backend/vulkan"`
	check := func(spec string, parts ...string) {
		t.Helper()
		_, err := Open(spec)
		if err == nil {
			t.Fatalf("%q was opened", spec)
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v, expected it to say %s", spec, err, part)
			}
		}
		if strings.Contains(err.Error(), "%!") {
			t.Errorf("%q: %v", spec, err)
		}
	}
	withDevices(t, nil)
	for _, spec := range []string{"auto", "metal", "auto:radeon"} {
		check(spec, "this program has no backend", one+" or "+two)
	}
	check("cpu", "backend cpu is not part of this program: add "+one)
	check("vulkan:1", "backend vulkan is not part of this program: add "+two)
	withDevices(t, map[string]func() ([]Device, error){"cpu": some(cpu)})
	check("vulkan", "backend vulkan is not part of this program: add "+two)
	check("metal", `unknown backend "metal": expected one of cpu, auto`, "for others add "+two)
	if _, _, err := FindDevice(nil, "vulkan:0"); err == nil || !strings.Contains(err.Error(), "is not part of this program: add "+two) {
		t.Errorf("a device of a backend that is not part of the program: %v", err)
	}
	withDevices(t, map[string]func() ([]Device, error){"cpu": some(cpu), "vulkan": some(discrete)})
	check("metal", `unknown backend "metal": expected one of cpu, vulkan, auto`)
}
