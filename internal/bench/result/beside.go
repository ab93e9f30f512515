package result

import (
	"cmp"
	"errors"
	"fmt"
)

// PeerAbout describes the peer that something was measured beside, or why it was
// not.
type PeerAbout struct {
	Peer        string `json:"peer"`
	PeerVersion string `json:"peer_version"`
	PeerDevice  string `json:"peer_device"`
	PeerInfo    string `json:"peer_info"` // what it says of how it computes
	PeerThreads int    `json:"peer_n_threads"`

	// Why the peer is not measured, or not to the end. Then there are no samples:
	// those before it failed have results of their own.
	Failure     string `json:"failure"`
	FailureKind string `json:"failure_kind" since:"2"` // one of those below; empty where there is none
}

// Kinds of failure.
const (
	PeerAbsent      = "absent"      // the machine lacks it
	PeerUnsupported = "unsupported" // it has no such type of matrices there
	PeerFailed      = "failed"      // it crashed, did not answer, or its answer is wrong
)

// Errors that are no failure: the rest of a job goes on.
var (
	ErrAbsent      = errors.New("absent")        // the machine lacks a program
	ErrUnsupported = errors.New("not supported") // a device or a program cannot do what was to be measured
)

// Unmeasured describes a peer that is not measured, or not to the end, because of
// err. threads is 0 where it is not known.
func Unmeasured(peer string, threads int, err error) PeerAbout {
	a := PeerAbout{Peer: peer, PeerThreads: threads, Failure: OneLine(err.Error()), FailureKind: PeerFailed}
	switch {
	case errors.Is(err, ErrAbsent):
		a.FailureKind = PeerAbsent
	case errors.Is(err, ErrUnsupported):
		a.FailureKind = PeerUnsupported
	}
	return a
}

// Failure returns why a record holds no measurement, or nil if it holds one.
func Failure(r Record) error {
	var dtyped, device string
	var about *PeerAbout
	switch r := r.(type) {
	case *PeerResult:
		about, dtyped, device = &r.PeerAbout, r.dtyped(), r.Device
	case *TrainResult:
		about, dtyped, device = &r.PeerAbout, r.ModelType+" "+r.DType, r.Device
	}
	if about == nil || about.Failure == "" {
		return nil
	}
	return fmt.Errorf("%s beside %s on %s: %s", about.Peer, dtyped, device, about.Failure)
}

// Name is the peer's, with its number of threads where that is known.
func (a *PeerAbout) Name() string {
	if a.PeerThreads == 0 {
		return a.Peer
	}
	return a.Peer + " with " + threads(a.PeerThreads)
}

func (a *PeerAbout) check() error {
	if a.Peer == "" {
		return errors.New("peer is empty: expected the name of a program")
	}
	switch a.FailureKind {
	case "", PeerAbsent, PeerUnsupported, PeerFailed:
	default:
		return fmt.Errorf("failure_kind is %q, expected %s, %s, %s or nothing", a.FailureKind, PeerAbsent, PeerUnsupported, PeerFailed)
	}
	if (a.Failure == "") != (a.FailureKind == "") {
		return fmt.Errorf("failure is %q and failure_kind %q: expected both or none", a.Failure, a.FailureKind)
	}
	return nil
}

// PeerTimes are repetitions of ours and, by turns, of a peer's. Those without
// Peer in their name are Caldera's.
type PeerTimes struct {
	AvgTS     float64   `json:"avg_ts"` // tokens a second
	StddevTS  float64   `json:"stddev_ts"`
	SamplesNS []int64   `json:"samples_ns"`
	SamplesTS []float64 `json:"samples_ts"`

	PeerAvgTS     float64   `json:"peer_avg_ts"`
	PeerStddevTS  float64   `json:"peer_stddev_ts"`
	PeerSamplesNS []int64   `json:"peer_samples_ns"`
	PeerSamplesTS []float64 `json:"peer_samples_ts"`

	AvgRatio     float64   `json:"avg_ratio"` // of repetitions, geometric mean: how many times as fast as the peer
	StddevRatio  float64   `json:"stddev_ratio"`
	SamplesRatio []float64 `json:"samples_ratio"`
}

// summarise fills in what follows from the times of repetitions of so many tokens.
func (t *PeerTimes) summarise(tokens int) {
	t.SamplesTS, t.PeerSamplesTS, t.SamplesRatio = nil, nil, nil
	for i, ns := range t.SamplesNS {
		theirs := t.PeerSamplesNS[i]
		t.SamplesTS = append(t.SamplesTS, float64(tokens)/(float64(ns)*1e-9))
		t.PeerSamplesTS = append(t.PeerSamplesTS, float64(tokens)/(float64(theirs)*1e-9))
		t.SamplesRatio = append(t.SamplesRatio, float64(theirs)/float64(ns))
	}
	t.AvgTS, t.StddevTS = meanStdDev(t.SamplesTS)
	t.PeerAvgTS, t.PeerStddevTS = meanStdDev(t.PeerSamplesTS)
	t.AvgRatio, t.StddevRatio = geometricMean(t.SamplesRatio)
}

func (t *PeerTimes) speed() Spread { return Spread{t.AvgTS, t.StddevTS, len(t.SamplesTS)} }
func (t *PeerTimes) peerSpeed() Spread {
	return Spread{t.PeerAvgTS, t.PeerStddevTS, len(t.PeerSamplesTS)}
}
func (t *PeerTimes) ratio() Spread { return Spread{t.AvgRatio, t.StddevRatio, len(t.SamplesRatio)} }

// none reports samples where there was a failure.
func (t *PeerTimes) none() error {
	if len(t.SamplesNS)+len(t.PeerSamplesNS)+len(t.SamplesTS)+len(t.PeerSamplesTS)+len(t.SamplesRatio) > 0 {
		return errors.New("it has a failure and samples: expected one of them")
	}
	return nil
}

func (t *PeerTimes) check(tokens int) error {
	if n := len(t.SamplesNS); len(t.PeerSamplesNS) != n {
		return fmt.Errorf("peer_samples_ns has %d samples, expected %d as samples_ns", len(t.PeerSamplesNS), n)
	}
	if err := cmp.Or(positive("samples_ns", t.SamplesNS), positive("peer_samples_ns", t.PeerSamplesNS)); err != nil {
		return err
	}
	again := *t
	again.summarise(tokens)
	return cmp.Or(
		near("avg_ts", t.AvgTS, again.AvgTS, "stddev_ts", t.StddevTS, again.StddevTS),
		near("peer_avg_ts", t.PeerAvgTS, again.PeerAvgTS, "peer_stddev_ts", t.PeerStddevTS, again.PeerStddevTS),
		near("avg_ratio", t.AvgRatio, again.AvgRatio, "stddev_ratio", t.StddevRatio, again.StddevRatio),
		samples("samples_ts", t.SamplesTS, again.SamplesTS),
		samples("peer_samples_ts", t.PeerSamplesTS, again.PeerSamplesTS),
		samples("samples_ratio", t.SamplesRatio, again.SamplesRatio),
	)
}
