package bench

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// PeerResult is a test of a model on a device and, by turns, in another
// program. Times without Peer in their name are Caldera's.
type PeerResult struct {
	Common
	ModelFilename string `json:"model_filename"`
	ModelType     string `json:"model_type"`
	ModelNParams  int64  `json:"model_n_params"`
	DType         string `json:"dtype"` // of matrices, on both sides
	NPrompt       int    `json:"n_prompt"`
	NGen          int    `json:"n_gen"`

	Peer        string `json:"peer"`
	PeerVersion string `json:"peer_version"`
	PeerDevice  string `json:"peer_device"`
	PeerInfo    string `json:"peer_info"` // what it says of how it computes
	PeerThreads int    `json:"peer_n_threads"`

	// Why the peer is not measured, or not to the end. Then there is no test and
	// there are no samples: those before it failed have results of their own.
	Failure     string `json:"failure"`
	FailureKind string `json:"failure_kind" since:"2"` // one of those below; empty where there is none

	SameToken bool `json:"same_token"` // both hold the same token for the likeliest after the test's

	AvgTS     float64   `json:"avg_ts"` // tokens a second
	StddevTS  float64   `json:"stddev_ts"`
	SamplesNS []int64   `json:"samples_ns"`
	SamplesTS []float64 `json:"samples_ts"`

	PeerAvgTS     float64   `json:"peer_avg_ts"`
	PeerStddevTS  float64   `json:"peer_stddev_ts"`
	PeerSamplesNS []int64   `json:"peer_samples_ns"`
	PeerSamplesTS []float64 `json:"peer_samples_ts"`

	AvgRatio     float64   `json:"avg_ratio"` // of repetitions: how many times as fast as the peer
	StddevRatio  float64   `json:"stddev_ratio"`
	SamplesRatio []float64 `json:"samples_ratio"`
}

// Kinds of failure.
const (
	PeerAbsent      = "absent"      // the machine lacks it
	PeerUnsupported = "unsupported" // it has no such type of matrices there
	PeerFailed      = "failed"      // it crashed, answered nonsense, or did not answer
)

// Test is what was measured.
func (r *PeerResult) Test() Test { return Test{Prompt: r.NPrompt, Gen: r.NGen} }

// summarise fills in what follows from the times.
func (r *PeerResult) summarise() {
	r.SamplesTS, r.PeerSamplesTS, r.SamplesRatio = nil, nil, nil
	for i, ns := range r.SamplesNS {
		tokens, theirs := float64(r.Test().Tokens()), r.PeerSamplesNS[i]
		r.SamplesTS = append(r.SamplesTS, tokens/(float64(ns)*1e-9))
		r.PeerSamplesTS = append(r.PeerSamplesTS, tokens/(float64(theirs)*1e-9))
		r.SamplesRatio = append(r.SamplesRatio, float64(theirs)/float64(ns))
	}
	r.AvgTS, r.StddevTS = meanStdDev(r.SamplesTS)
	r.PeerAvgTS, r.PeerStddevTS = meanStdDev(r.PeerSamplesTS)
	r.AvgRatio, r.StddevRatio = meanStdDev(r.SamplesRatio)
}

func (r *PeerResult) speed() Spread { return Spread{r.AvgTS, r.StddevTS, len(r.SamplesTS)} }
func (r *PeerResult) peerSpeed() Spread {
	return Spread{r.PeerAvgTS, r.PeerStddevTS, len(r.PeerSamplesTS)}
}
func (r *PeerResult) ratio() Spread { return Spread{r.AvgRatio, r.StddevRatio, len(r.SamplesRatio)} }

func (r *PeerResult) key() string {
	what := r.Test().String()
	if r.Failure != "" {
		what = "failure"
	}
	return fmt.Sprintf("%s %s %s beside %s", r.ModelType, what, r.DType, r.peer())
}

func (r *PeerResult) figures() []figure {
	if r.Failure != "" {
		return nil
	}
	return []figure{{Spread: r.ratio(), unit: "× the peer"}, {Spread: r.speed(), unit: "t/s"}, {Spread: r.peerSpeed(), unit: "t/s of the peer"}}
}

func (r *PeerResult) size() string { return repetitions(len(r.SamplesNS)) }

// upgrade takes the kind of failure from the text, in which format 1 told it.
func (r *PeerResult) upgrade() {
	switch {
	case r.Failure == "":
	case strings.HasPrefix(r.Failure, errAbsent.Error()+": "):
		r.FailureKind = PeerAbsent
	case strings.HasPrefix(r.Failure, ErrUnsupported.Error()+": "):
		r.FailureKind = PeerUnsupported
	default:
		r.FailureKind = PeerFailed
	}
}

func (r *PeerResult) work() []quantity {
	return []quantity{{"parameters", float64(r.ModelNParams)}}
}

func (r *PeerResult) check() error {
	if err := plausible(r); err != nil {
		return err
	}
	if r.Peer == "" {
		return errors.New("peer is empty: expected the name of a program")
	}
	switch r.FailureKind {
	case "", PeerAbsent, PeerUnsupported, PeerFailed:
	default:
		return fmt.Errorf("failure_kind is %q, expected %s, %s, %s or nothing", r.FailureKind, PeerAbsent, PeerUnsupported, PeerFailed)
	}
	if (r.Failure == "") != (r.FailureKind == "") {
		return fmt.Errorf("failure is %q and failure_kind %q: expected both or none", r.Failure, r.FailureKind)
	}
	n := len(r.SamplesNS)
	if r.Failure != "" {
		if n+len(r.PeerSamplesNS)+len(r.SamplesTS)+len(r.PeerSamplesTS)+len(r.SamplesRatio) > 0 {
			return errors.New("it has a failure and samples: expected one of them")
		}
		return nil
	}
	if (r.NPrompt > 0) == (r.NGen > 0) {
		return fmt.Errorf("n_prompt %d, n_gen %d: expected one of them above 0", r.NPrompt, r.NGen)
	}
	if len(r.PeerSamplesNS) != n {
		return fmt.Errorf("peer_samples_ns has %d samples, expected %d as samples_ns", len(r.PeerSamplesNS), n)
	}
	if err := cmp.Or(positive("samples_ns", r.SamplesNS), positive("peer_samples_ns", r.PeerSamplesNS)); err != nil {
		return err
	}
	again := *r
	again.summarise()
	return cmp.Or(
		near("avg_ts", r.AvgTS, again.AvgTS, "stddev_ts", r.StddevTS, again.StddevTS),
		near("peer_avg_ts", r.PeerAvgTS, again.PeerAvgTS, "peer_stddev_ts", r.PeerStddevTS, again.PeerStddevTS),
		near("avg_ratio", r.AvgRatio, again.AvgRatio, "stddev_ratio", r.StddevRatio, again.StddevRatio),
		samples("samples_ts", r.SamplesTS, again.SamplesTS),
		samples("peer_samples_ts", r.PeerSamplesTS, again.PeerSamplesTS),
		samples("samples_ratio", r.SamplesRatio, again.SamplesRatio),
	)
}

// goBench has the peer's times: ours come from bench run.
func (r *PeerResult) goBench() goBench {
	b := goBench{name: "PeerPP" + strconv.Itoa(r.NPrompt), rates: []rate{{"t/s", float64(r.Test().Tokens())}}}
	if r.NGen > 0 {
		b.name = "PeerTG" + strconv.Itoa(r.NGen)
	}
	b.special = []metric{{"ratio", r.AvgRatio}}
	b.labels = append([][2]string{{"model", r.ModelType}}, r.deviceLabels(
		[2]string{"dtype", r.DType}, [2]string{"peer", r.Peer}, [2]string{"threads", strconv.Itoa(r.PeerThreads)})...)
	for _, ns := range r.PeerSamplesNS {
		b.ns = append(b.ns, float64(ns))
	}
	return b
}

func peerTables(s *strings.Builder, records []Record) {
	t := table{{"model", "device", "dtype", "test", "t/s", "peer", "threads", "its t/s", "ratio"}}
	var about, notes, missing lines
	for _, x := range records {
		r := x.(*PeerResult)
		if r.Failure != "" {
			missing.add("not measured beside %s on %s: %s: %s", r.dtyped(), r.Device, r.peer(), r.Failure)
			continue
		}
		about.add("%s %s on %s: %s", r.Peer, r.PeerVersion, r.PeerDevice, r.PeerInfo)
		t = append(t, []string{
			r.ModelType, r.Device, r.DType, r.Test().String(), r.speed().String(), r.Peer, strconv.Itoa(r.PeerThreads),
			r.peerSpeed().String(), r.ratio().String(),
		})
		if !r.SameToken {
			notes.add("%s, %v: %s holds another token for the likeliest after the test's ids. That may be a near tie, which rounding decides, "+
				"or it computes something else", r.dtyped(), r.Test(), r.peer())
		}
	}
	if len(t) > 1 {
		t.write(s)
	}
	about.write(s)
	notes.write(s)
	missing.write(s)
	s.WriteString(`
Ratio: how many times as fast as the peer Caldera was, of repetitions that followed one another. Both sides had the same
weights and were given the same tokens, and found the likeliest next one after the prompt, or after each of the tokens
that stand for generation. Keys and values: f32 in Caldera, f16 in node-llama-cpp, whose default that is, and in PyTorch
the type of the matrices.
`)
}

func (r *PeerResult) dtyped() string { return r.ModelType + " " + r.DType }

func (r *PeerResult) peer() string {
	if r.PeerThreads == 0 {
		return r.Peer
	}
	return r.Peer + " with " + threads(r.PeerThreads)
}
