// Package result is what measurements give: records of several kinds. It writes
// them (write.go, markdown.go, gobench.go, summary.go), reads them again
// (read.go), lays those of several machines side by side (compare.go, plot.go),
// and tells whether two runs agree (agree.go). It measures nothing.
//
// Each kind has a file of its name: test.go, op.go, overhead.go, startup.go,
// perplexity.go, train.go, peer.go. To add one, write its methods of [Record],
// and enter it in kinds.
package result

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"caldera/backend"
	"caldera/backend/cpu"
)

// Format is the version of the files that [WriteJSON] writes. Raise it when a
// field is added, removed or changes its meaning. [Read] knows this one and
// those before it, which lack the fields whose tag "since" names a later one.
//
//	2  incomplete; of perplexity text_sha256, type_k and type_v; of peers failure_kind
//	3  results of kind train; ratios to peers are geometric means, which were arithmetic ones
//	4  of kind train ceilings, and shares of them
//	5  of kinds test and peer sequences that a batch runs together
//	6  of kind test drawn_on_device: generation reads what is drawn there, and no scores come to the host
//	7  of kind peer cache_type of ours, which was f32, and drawn_on_device
const Format = 7

// Record is one result of any kind: a [TestResult] of a test on a model, an
// [OpResult], an [OverheadResult], a [PeerResult], a [PerplexityResult], a
// [StartupResult] or a [TrainResult].
type Record interface {
	common() *Common

	// key names the work, without the device: two records with the same key
	// can be compared.
	key() string

	// figures are what compare shows, each in a row.
	figures() []figure

	// work is numbers that must be equal in records of the same key. They
	// differ where models of one name have different shapes.
	work() []quantity

	// size is how much was measured, for people: "5 repetitions".
	size() string

	// upgrade fills in what a file of an older format lacks.
	upgrade(from int)

	// check reports contradictions in a record that was read from a file.
	check() error

	goBench() goBench
}

// kind is what a kind of record needs beside its methods.
type kind struct {
	empty    func() Record
	markdown func(s *strings.Builder, records []Record) // its tables, and what they mean
	since    int                                        // the first format that has it
}

var kinds = map[string]kind{
	"test":       {func() Record { return &TestResult{} }, testTables, 1},
	"op":         {func() Record { return &OpResult{} }, opTables, 1},
	"overhead":   {func() Record { return &OverheadResult{} }, overheadTables, 1},
	"peer":       {func() Record { return &PeerResult{} }, peerTables, 1},
	"perplexity": {func() Record { return &PerplexityResult{} }, perplexityTables, 1},
	"startup":    {func() Record { return &StartupResult{} }, startupTables, 1},
	"train":      {func() Record { return &TrainResult{} }, trainTables, 3},
}

// figure is a number that records are compared by.
type figure struct {
	Spread
	unit  string
	lower bool // less is better
}

type quantity struct {
	name  string
	value float64
}

// Common is what every record has. Fields have the names of llama-bench's
// JSON where it has them.
type Common struct {
	Format      int    `json:"caldera_format"`
	Kind        string `json:"kind"`
	BuildCommit string `json:"build_commit"`
	CPUInfo     string `json:"cpu_info"`
	GPUInfo     string `json:"gpu_info"` // empty on the CPU backend
	Backends    string `json:"backends"`
	NThreads    int    `json:"n_threads"`
	GoVersion   string `json:"go_version"`
	OS          string `json:"os"`

	// Share of the time of all processors that other programs took, from the
	// start of the command to its end; 0 if unknown.
	OthersShare float64 `json:"others_cpu_share"`

	Device     string    `json:"device"` // as backend.Device.Spec says it: "vulkan:0"
	DeviceName string    `json:"device_name"`
	DeviceKind string    `json:"device_kind"`
	DeviceInfo string    `json:"device_info"` // what the open backend says of it, limits too; else empty
	Driver     string    `json:"driver"`      // or library, with its version
	BLAS       string    `json:"blas"`        // empty where none is used
	TestTime   time.Time `json:"test_time"`

	// Measuring ended, by Ctrl-C or an error, before all was done that was asked for.
	Incomplete bool `json:"incomplete" since:"2"`
}

func (c *Common) common() *Common { return c }

// upgrade completes a record of an older format.
func (c *Common) upgrade(int) {}

// NewCommon begins a record of something that is measured on d. info is what
// the open backend says of it; empty where it is not open.
func NewCommon(kind string, d backend.Device, info string) Common {
	c := Common{
		Format: Format, Kind: kind, Backends: d.Backend, Device: d.Spec(), DeviceName: d.Name,
		DeviceKind: d.Kind.String(), Driver: d.Driver, DeviceInfo: info, TestTime: time.Now().UTC().Truncate(time.Second),
	}
	if d.Kind == backend.Host {
		c.BLAS = d.Driver
	} else {
		c.GPUInfo = d.Name
	}
	return c
}

// name is the record's key for people.
func name(r Record) string {
	if n, ok := r.(interface{ name() string }); ok {
		return n.name()
	}
	return r.key()
}

// repetitions is the size of most records.
func repetitions(n int) string {
	if n == 1 {
		return "1 repetition"
	}
	return fmt.Sprintf("%d repetitions", n)
}

// Records converts a list of records of one kind.
func Records[T Record](list []T) []Record {
	out := make([]Record, len(list))
	for i, r := range list {
		out[i] = r
	}
	return out
}

// Host is what the records of one run of a command have in common.
type Host struct {
	Commit  string // of Caldera; empty if unknown
	CPU     string
	Threads int
	Time    time.Time

	processors processors // at Time
}

// NewHost describes this process. The name of the processor is that of the
// CPU backend.
func NewHost(commit string) Host {
	h := Host{Commit: commit, CPU: runtime.GOARCH, Threads: cpu.Threads(), Time: time.Now().UTC(), processors: readProcessors()}
	if devices, err := backend.Devices("cpu"); err == nil {
		h.CPU = strings.Join(strings.Fields(devices[0].Name), " ")
	}
	return h
}

// Mark adds to records what the host is, and how busy other programs kept it.
func (h Host) Mark(records []Record) {
	others := readProcessors().othersSince(h.processors)
	for _, r := range records {
		c := r.common()
		c.BuildCommit, c.CPUInfo, c.NThreads = h.Commit, h.CPU, h.Threads
		c.GoVersion, c.OS, c.OthersShare = runtime.Version(), platform(), others
	}
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
