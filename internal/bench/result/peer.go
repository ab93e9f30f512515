package result

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
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

	PeerAbout

	// Both hold the same token for the likeliest after the test's; of sequences together,
	// after the prompt of each.
	SameToken bool `json:"same_token"`

	PeerTimes

	// Of sequences that are run together: how many they are; of how many tokens of each, the
	// first ones that were drawn, both sides' were compared, and how many of these are the same
	// up to the first that is not; and how many batches a repetition of the peer's had, 0 if
	// it does not tell.
	NSequences  int     `json:"n_sequences" since:"5"`
	SamePrefix  []int64 `json:"same_prefix" since:"5"`
	Compared    int     `json:"compared" since:"5"`
	PeerBatches int     `json:"peer_batches" since:"5"`

	CacheType     string `json:"cache_type" since:"7"`      // of our keys and values
	DrawnOnDevice bool   `json:"drawn_on_device" since:"7"` // ours read tokens that the device drew, no scores
}

// Test is what was measured.
func (r *PeerResult) Test() Test {
	return Test{Prompt: r.NPrompt, Gen: r.NGen, Sequences: r.NSequences}
}

// Compare fills in how many tokens of sequences are the same on both sides, of those that
// the peer tells.
func (r *PeerResult) Compare(ours, peers [][]int) {
	r.SameToken, r.SamePrefix, r.Compared = true, nil, 0
	for i, ids := range peers {
		n := 0
		for n < min(len(ids), len(ours[i])) && ids[n] == ours[i][n] {
			n++
		}
		r.SamePrefix, r.Compared = append(r.SamePrefix, int64(n)), len(ids)
		r.SameToken = r.SameToken && n > 0
	}
}

// Summarise fills in what follows from the times.
func (r *PeerResult) Summarise() { r.PeerTimes.summarise(r.Test().Tokens()) }

func (r *PeerResult) key() string {
	what := r.Test().String()
	if r.Failure != "" {
		what = "failure"
	}
	return fmt.Sprintf("%s %s %s beside %s", r.ModelType, what, r.DType, r.Name())
}

func (r *PeerResult) figures() []figure {
	if r.Failure != "" {
		return nil
	}
	return []figure{{Spread: r.ratio(), unit: "× the peer"}, {Spread: r.speed(), unit: "t/s"}, {Spread: r.peerSpeed(), unit: "t/s of the peer"}}
}

func (r *PeerResult) size() string { return repetitions(len(r.SamplesNS)) }

// upgrade finds the kind of failure in its text, where format 1 had it, and
// computes the mean of ratios anew.
func (r *PeerResult) upgrade(from int) {
	if from < 7 && r.Failure == "" {
		r.CacheType = "f32"
	}
	if from < 3 && len(r.SamplesRatio) > 0 {
		r.AvgRatio, r.StddevRatio = geometricMean(r.SamplesRatio)
	}
	switch {
	case from > 1 || r.Failure == "":
	case strings.HasPrefix(r.Failure, ErrAbsent.Error()+": "):
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
	if err := cmp.Or(plausible(r), r.PeerAbout.check()); err != nil {
		return err
	}
	if r.Failure != "" {
		return r.PeerTimes.none()
	}
	if (r.NPrompt > 0) == (r.NGen > 0) {
		return fmt.Errorf("n_prompt %d, n_gen %d: expected one of them above 0", r.NPrompt, r.NGen)
	}
	if r.CacheType == "" {
		return errors.New("cache_type is empty: expected a type such as f32")
	}
	return cmp.Or(r.checkSequences(), r.PeerTimes.check(r.Test().Tokens()))
}

func (r *PeerResult) checkSequences() error {
	if r.NSequences > MaxSequences {
		return fmt.Errorf("n_sequences is %d, expected at most %d", r.NSequences, MaxSequences)
	}
	if len(r.SamePrefix) != r.NSequences {
		return fmt.Errorf("same_prefix has %d numbers, expected %d as n_sequences", len(r.SamePrefix), r.NSequences)
	}
	for i, n := range r.SamePrefix {
		if n > int64(r.Compared) || r.SameToken && n == 0 {
			return fmt.Errorf("same_prefix[%d] is %d, which compared %d and same_token %v contradict", i, n, r.Compared, r.SameToken)
		}
	}
	return nil
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
	b.labels = append(b.labels, sequencesLabel(r.NSequences)...)
	for _, ns := range r.PeerSamplesNS {
		b.ns = append(b.ns, float64(ns))
	}
	return b
}

func peerTables(s *strings.Builder, records []Record) {
	t := table{{"model", "device", "dtype", "test", "t/s", "peer", "threads", "its t/s", "ratio"}}
	batched := slices.ContainsFunc(records, func(r Record) bool { return r.(*PeerResult).NSequences > 0 && r.(*PeerResult).Failure == "" })
	if batched {
		t[0] = append(t[0], "its batches", "same tokens")
	}
	var about, notes, missing lines
	var caches []string
	drawn := false
	for _, x := range records {
		r := x.(*PeerResult)
		if r.Failure != "" {
			missing.add("not measured beside %s on %s: %s: %s", r.dtyped(), r.Device, r.Name(), r.Failure)
			continue
		}
		if !slices.Contains(caches, r.CacheType) {
			caches = append(caches, r.CacheType)
		}
		drawn = drawn || r.DrawnOnDevice
		about.add("%s %s on %s: %s", r.Peer, r.PeerVersion, r.PeerDevice, r.PeerInfo)
		t = append(t, []string{
			r.ModelType, r.Device, r.DType, r.Test().String(), r.speed().String(), r.Peer, strconv.Itoa(r.PeerThreads),
			r.peerSpeed().String(), r.ratio().String(),
		})
		if batched {
			t[len(t)-1] = append(t[len(t)-1], r.batchCells()...)
		}
		if other := r.otherFirst(); other > 0 {
			notes.add("%s, %v: %s drew another first token for %d of %d sequences. Those may be near ties, which rounding decides, "+
				"or it computes something else", r.dtyped(), r.Test(), r.Name(), other, r.NSequences)
		} else if !r.SameToken {
			notes.add("%s, %v: %s holds another token for the likeliest after the test's ids. That may be a near tie, which rounding decides, "+
				"or it computes something else", r.dtyped(), r.Test(), r.Name())
		}
	}
	if len(t) > 1 {
		t.write(s)
	}
	about.write(s)
	notes.write(s)
	missing.write(s)
	if len(caches) == 0 { // nothing was measured
		return
	}
	fmt.Fprintf(s, `
Ratio: how many times as fast as the peer Caldera was, of repetitions that followed one another, their geometric mean.
Both sides had the same weights and were given the same tokens, and found the likeliest next one after the prompt, or
after each of the tokens that stand for generation. Keys and values: %s in Caldera, f16 in node-llama-cpp, whose default
that is, and in PyTorch the type of the matrices.
`, strings.Join(caches, " and "))
	if drawn {
		s.WriteString("On a GPU that draws tokens Caldera went on from what it drew.\n")
	}
	if batched {
		s.WriteString(`
A test with b has so many sequences at once, each as long as its name says; t/s are the tokens of all. Batches: how often
the peer evaluated its model in a repetition. It may evaluate fewer sequences at a time where that is faster for it. Same
tokens: those of each sequence, from the first on, that are what Caldera drew, in the mean of all sequences.
`)
	}
}

// otherFirst is for how many sequences the first token is another.
func (r *PeerResult) otherFirst() (count int) {
	for _, n := range r.SamePrefix {
		if n == 0 {
			count++
		}
	}
	return count
}

// batchCells are how many batches the peer evaluated in a repetition, and how many tokens
// are the same, in the mean of all sequences.
func (r *PeerResult) batchCells() []string {
	if r.NSequences == 0 {
		return []string{"", ""}
	}
	same, batches := 0., "unknown"
	for _, n := range r.SamePrefix {
		same += float64(n) / float64(r.NSequences)
	}
	if r.PeerBatches > 0 {
		batches = strconv.Itoa(r.PeerBatches)
	}
	return []string{batches, fmt.Sprintf("%.1f of %d", same, r.Compared)}
}

func (r *PeerResult) dtyped() string { return r.ModelType + " " + r.DType }
