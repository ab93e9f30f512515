package result

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"caldera/backend"
	"caldera/internal/setting"
)

// Training describes a training step: forward and backward of batches, whose mean
// gradient is clipped to a norm, and AdamW, with weight decay of tensors that have
// two axes or more.
type Training struct {
	Batch      int     `json:"batch"`      // sequences that are computed at once
	Time       int     `json:"time"`       // tokens of each
	Accumulate int     `json:"accumulate"` // batches of a step
	Recompute  bool    `json:"recompute"`  // compute activations in blocks again, backward
	Rate       float64 `json:"rate"`
	Beta1      float64 `json:"beta1"`
	Beta2      float64 `json:"beta2"`
	Epsilon    float64 `json:"epsilon"`
	Decay      float64 `json:"decay"`
	Clip       float64 `json:"clip"`
}

// Bounds on training steps, beside that of a model's context.
const (
	MaxBatch      = 1 << 14
	maxStepTokens = 1 << 22
	MaxSteps      = 1000 // of a repetition; a peer's reply has all their losses in one line
)

// Check reports a step that no model of such a context can take.
func (t Training) Check(context int) error {
	for _, x := range []struct {
		name        string
		value, most int
	}{{"batch", t.Batch, MaxBatch}, {"time", t.Time, min(context, MaxBatch)}, {"accumulate", t.Accumulate, MaxBatch}} {
		if x.value < 1 || x.value > x.most {
			return setting.Errorf("{"+x.name+"=%d}: expected 1 to %d", x.value, x.most)
		}
	}
	if n := int64(t.Batch) * int64(t.Time) * int64(t.Accumulate); n > maxStepTokens {
		return fmt.Errorf("a step of %d tokens: expected at most %d", n, maxStepTokens)
	}
	return nil
}

// TrainResult is the training of a model on a device or, where Peer is not
// empty, that beside a peer, by turns. A repetition is several steps. What is
// about ours alone (share, memory, loading) is in the results without a peer.
type TrainResult struct {
	Common
	ModelFilename string `json:"model_filename"`
	ModelType     string `json:"model_type"`
	ModelNParams  int64  `json:"model_n_params"`
	DType         string `json:"dtype"` // that products read, on both sides: f16 is mixed precision
	Training
	Steps int     `json:"steps"` // of a repetition
	FLOP  float64 `json:"flop"`  // arithmetic of a step: three times the forward products

	PeerAbout

	// The losses of the first step, with the weights as they were loaded, and of
	// the second, after one update, in nats.
	FirstLoss      float64 `json:"first_loss"`
	SecondLoss     float64 `json:"second_loss"`
	PeerFirstLoss  float64 `json:"peer_first_loss"`
	PeerSecondLoss float64 `json:"peer_second_loss"`
	SameLoss       bool    `json:"same_loss"` // neither differs by more than sameLoss

	AvgStepNS    float64 `json:"avg_step_ns"`
	StddevStepNS float64 `json:"stddev_step_ns"`
	PeerTimes

	Lowered      []string `json:"lowered"`             // ops that the backend lacks, for which simpler ones ran
	LoadNS       int64    `json:"load_ns"`             // until weights are on the device
	RecordNS     int64    `json:"record_ns"`           // making the programs of a step
	FirstNS      int64    `json:"first_ns"`            // the first step
	PeakRSS      int64    `json:"peak_rss_bytes"`      // of the process from loading to the second step's end; 0 if unknown
	DeviceMemory int64    `json:"device_memory_bytes"` // that the backend held then; 0 if unknown

	PeerPeakRSS      int64 `json:"peer_peak_rss_bytes"`      // of the peer's process; 0 if unknown
	PeerDeviceMemory int64 `json:"peer_device_memory_bytes"` // that its library had in use at most on a GPU

	Yardstick       string    `json:"yardstick"` // what the share is of
	YardstickUnit   string    `json:"yardstick_unit"`
	AvgYardstick    float64   `json:"avg_yardstick"`
	StddevYardstick float64   `json:"stddev_yardstick"`
	AvgShare        float64   `json:"avg_share"` // 1 where a step takes as long as its matrix products alone
	StddevShare     float64   `json:"stddev_share"`
	SamplesShare    []float64 `json:"samples_share"`

	Ceilings `since:"4"` // of the device
	Shares   `since:"4"` // of the arithmetic of a step
}

// How far, in nats, losses of two programs may be apart that compute the same
// in float32, or in mixed precision.
const (
	sameLoss      = 1e-3
	sameLossMixed = 1e-2
)

func (r *TrainResult) sameLoss() float64 {
	if r.DType == backend.F16.String() {
		return sameLossMixed
	}
	return sameLoss
}

// tokens are those of a repetition.
func (r *TrainResult) tokens() int { return r.Steps * r.Accumulate * r.Batch * r.Time }

// Summarise fills in what follows from the samples.
func (r *TrainResult) Summarise() {
	if r.Peer == "" {
		r.SamplesTS = nil
		for _, ns := range r.SamplesNS {
			r.SamplesTS = append(r.SamplesTS, float64(r.tokens())/(float64(ns)*1e-9))
		}
		r.AvgTS, r.StddevTS = meanStdDev(r.SamplesTS)
		r.AvgShare, r.StddevShare = meanStdDev(r.SamplesShare)
		r.Shares = r.shares(spreadOfNS(r.SamplesNS).times(1e-9/float64(r.Steps)), 0, r.FLOP)
	} else {
		r.PeerTimes.summarise(r.tokens())
	}
	step := spreadOfNS(r.SamplesNS).times(1 / float64(r.Steps))
	r.AvgStepNS, r.StddevStepNS = step.Mean, step.SD
	r.SameLoss = r.Peer != "" && math.Abs(r.FirstLoss-r.PeerFirstLoss) <= r.sameLoss() && math.Abs(r.SecondLoss-r.PeerSecondLoss) <= r.sameLoss()
}

func (r *TrainResult) step() Spread  { return Spread{r.AvgStepNS, r.StddevStepNS, len(r.SamplesNS)} }
func (r *TrainResult) share() Spread { return Spread{r.AvgShare, r.StddevShare, len(r.SamplesShare)} }

// shape is sequences × tokens, × batches where a step has several.
func (t Training) shape() string {
	s := fmt.Sprintf("%d×%d", t.Batch, t.Time)
	if t.Accumulate > 1 {
		s += fmt.Sprintf("×%d", t.Accumulate)
	}
	if t.Recompute {
		s += " recompute"
	}
	return s
}

func (r *TrainResult) key() string {
	key := fmt.Sprintf("%s train %s %s", r.ModelType, r.shape(), r.DType)
	switch {
	case r.Failure != "":
		return key + " failure beside " + r.Name()
	case r.Peer != "":
		return key + " beside " + r.Name()
	}
	return key
}

func (r *TrainResult) figures() []figure {
	switch {
	case r.Failure != "":
		return nil
	case r.Peer != "":
		return []figure{{Spread: r.ratio(), unit: "× the peer"}, {Spread: r.peerSpeed(), unit: "t/s of the peer"}}
	}
	return []figure{{Spread: r.speed(), unit: "t/s"}, {Spread: r.share().times(100), unit: "% of " + r.Yardstick}}
}

func (r *TrainResult) size() string { return repetitions(len(r.SamplesNS)) }

func (r *TrainResult) work() []quantity {
	return []quantity{{"parameters", float64(r.ModelNParams)}, {"FLOP a step", r.FLOP}}
}

func (r *TrainResult) check() error {
	if err := plausible(r); err != nil {
		return err
	}
	for _, x := range []struct {
		name        string
		value, most int
	}{{"batch", r.Batch, MaxBatch}, {"time", r.Time, MaxBatch}, {"accumulate", r.Accumulate, MaxBatch}, {"steps", r.Steps, MaxSteps}} {
		if x.name == "steps" && r.Failure != "" {
			continue
		}
		if x.value < 1 || x.value > x.most {
			return fmt.Errorf("%s is %d, expected 1 to %d", x.name, x.value, x.most)
		}
	}
	if r.Peer != "" {
		if err := r.PeerAbout.check(); err != nil {
			return err
		}
		if len(r.SamplesShare) > 0 {
			return fmt.Errorf("it is of a peer and has samples_share: expected none")
		}
		if r.Failure != "" {
			return r.PeerTimes.none()
		}
		if err := r.PeerTimes.check(r.tokens()); err != nil {
			return err
		}
	} else if r.Failure != "" || len(r.PeerSamplesNS)+len(r.PeerSamplesTS)+len(r.SamplesRatio) > 0 {
		return fmt.Errorf("it has no peer, but a failure or samples of one")
	} else if err := positive("samples_ns", r.SamplesNS); err != nil {
		return err
	} else if len(r.SamplesShare) != len(r.SamplesNS) {
		return fmt.Errorf("samples_share has %d samples, expected %d as samples_ns", len(r.SamplesShare), len(r.SamplesNS))
	}
	again := *r
	again.Summarise()
	if r.SameLoss != again.SameLoss {
		return fmt.Errorf("same_loss is %v, which the losses contradict", r.SameLoss)
	}
	return cmp.Or(
		near("avg_step_ns", r.AvgStepNS, again.AvgStepNS, "stddev_step_ns", r.StddevStepNS, again.StddevStepNS),
		near("avg_ts", r.AvgTS, again.AvgTS, "stddev_ts", r.StddevTS, again.StddevTS),
		near("avg_share", r.AvgShare, again.AvgShare, "stddev_share", r.StddevShare, again.StddevShare),
		near("avg_peak_share", r.AvgPeakShare, again.AvgPeakShare, "stddev_peak_share", r.StddevPeakShare, again.StddevPeakShare),
		samples("samples_ts", r.SamplesTS, again.SamplesTS),
	)
}

// goBench has a step as an op: ours, or the peer's.
func (r *TrainResult) goBench() goBench {
	tokens := float64(r.Accumulate * r.Batch * r.Time)
	b := goBench{name: "Train", rates: []rate{{"t/s", tokens}}}
	b.labels = append([][2]string{{"model", r.ModelType}}, r.deviceLabels([2]string{"dtype", r.DType}, [2]string{"step", strings.ReplaceAll(r.shape(), "×", "x")})...)
	times := r.SamplesNS
	if r.Peer != "" {
		b.name, times = "PeerTrain", r.PeerSamplesNS
		b.labels = append(b.labels, [][2]string{{"peer", r.Peer}, {"threads", strconv.Itoa(r.PeerThreads)}}...)
		b.special = []metric{{"ratio", r.AvgRatio}}
	} else {
		b.rates = append(b.rates, rate{"FLOP/s", r.FLOP})
	}
	for _, ns := range times {
		b.ns = append(b.ns, float64(ns)/float64(r.Steps))
	}
	return b
}

// trainTables are one of speeds, one of ratios, and one of memory and what
// comes before the steps.
func trainTables(s *strings.Builder, records []Record) {
	speed := table{{"model", "params", "device", "step", "dtype", "ms a step", "t/s", "GFLOP/s", "share", "of", "of peak"}}
	beside := table{{"model", "device", "step", "dtype", "t/s", "peer", "threads", "its t/s", "ratio", "losses", "its losses"}}
	before := table{{"of", "model", "device", "step", "dtype", "load", "record", "first step", "peak RSS", "device memory"}}
	var about, notes, missing lines
	for _, x := range records {
		r := x.(*TrainResult)
		n := len(r.SamplesNS)
		step := r.step()
		switch {
		case r.Failure != "":
			missing.add("not measured beside %s %s %s on %s: %s: %s", r.ModelType, r.shape(), r.DType, r.Device, r.Name(), r.Failure)
		case r.Peer != "":
			about.add("%s %s on %s: %s", r.Peer, r.PeerVersion, r.PeerDevice, r.PeerInfo)
			beside = append(beside, []string{
				r.ModelType, r.Device, r.shape(), r.DType, r.speed().String(), r.Peer, strconv.Itoa(r.PeerThreads), r.peerSpeed().String(), r.ratio().String(),
				losses(r.FirstLoss, r.SecondLoss), losses(r.PeerFirstLoss, r.PeerSecondLoss),
			})
			if !r.SameLoss {
				notes.add("%s %s %s: the losses of %s differ from ours by more than %g nats: it computes something else", r.ModelType, r.shape(), r.DType, r.Name(), r.sameLoss())
			}
			before = append(before, []string{r.Peer, r.ModelType, r.Device, r.shape(), r.DType, "", "", "", known(r.PeerPeakRSS), peersDevice(r)})
		default:
			speed = append(speed, []string{
				r.ModelType, fmt.Sprintf("%.2f M", float64(r.ModelNParams)/1e6), r.Device, r.shape(), r.DType,
				step.times(1e-6).significant(), r.speed().String(), Spread{r.FLOP * 1e-9, 0, n}.over(step.times(1e-9)).significant(), r.share().percent(),
				fmt.Sprintf("%s, %s G%s", r.Yardstick, Spread{r.AvgYardstick, r.StddevYardstick, n}.times(1e-9).format(1), r.YardstickUnit), r.ofPeak(),
			})
			before = append(before, []string{
				"caldera", r.ModelType, r.Device, r.shape(), r.DType, milliseconds(r.LoadNS), milliseconds(r.RecordNS), milliseconds(r.FirstNS), known(r.PeakRSS), known(r.DeviceMemory),
			})
			for _, op := range r.Lowered {
				notes.add("lowered: %s on %s: the backend lacks it, so simpler ops ran", op, r.Device)
			}
		}
	}
	tables := slices.DeleteFunc([]table{speed, beside, before}, func(t table) bool { return len(t) == 1 })
	for i, t := range tables {
		if i > 0 {
			s.WriteByte('\n')
		}
		t.write(s)
	}
	about.write(s)
	notes.write(s)
	missing.write(s)
	s.WriteString(trainExplained)
}

// ofPeak is the part of the device's arithmetic peak that a step's arithmetic
// comes to; empty where the peak was not measured.
func (r *TrainResult) ofPeak() string {
	if r.AvgPeak == 0 {
		return ""
	}
	return r.peakShare(len(r.SamplesNS)).percent()
}

func losses(first, second float64) string { return fmt.Sprintf("%.4f, %.4f", first, second) }

// peersDevice is a peer's memory on the GPU, where it has one.
func peersDevice(r *TrainResult) string {
	if r.PeerDeviceMemory == 0 {
		return ""
	}
	return mebibytes(r.PeerDeviceMemory)
}

const trainExplained = `
A step is forward, backward, clipping of the gradients and AdamW, on batches of sequences × tokens (× batches whose
gradients add up), in f32; or, where the dtype is f16, in mixed precision: products read f16, all else is f32, of
PyTorch what its autocast leaves in f32. Share: how fast the step's matrix products were, of the forward ones alone at
the same rows, between the repetitions; a step has three times as many. GFLOP/s count attention too, and nothing twice that is computed again backward; of peak: as a part
of the device's fastest product of square matrices, of any dtype. Ratio: how many times as fast as the peer Caldera was,
of repetitions that followed one another, their geometric mean. Losses: of the first step, from the same weights and on
the same batch, and of the second, in nats. Peak RSS is of the process until the second step (of a peer, until the last),
device memory what was held then.
`
