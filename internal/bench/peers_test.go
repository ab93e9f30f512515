package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
	"caldera/internal/commandtest"
)

// tinyPeers measures a tiny model beside peers.
func tinyPeers(t *testing.T, ctx context.Context, timeout time.Duration, peers ...peer.Peer) (map[string][]*result.PeerResult, error) {
	t.Helper()
	return tinyPeersOf(t, ctx, timeout, []Test{{Prompt: 8}, {Gen: 4}}, peers...)
}

func tinyPeersOf(t *testing.T, ctx context.Context, timeout time.Duration, tests []Test, peers ...peer.Peer) (map[string][]*result.PeerResult, error) {
	t.Helper()
	c := model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 32, Inner: 64, Context: 32, Vocab: 300, Epsilon: 1e-5, TieEmbeddings: true}
	o := PeerOptions{Options: quiet(3), Peers: peers, Threads: 1, Timeout: timeout}
	o.DType = backend.F32
	t.Setenv("TMPDIR", t.TempDir())
	results, err := cpuDevice(t).Peers(ctx, Random("tiny", c), tests, o)
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	byPeer := map[string][]*result.PeerResult{}
	for _, r := range results {
		byPeer[r.Peer] = append(byPeer[r.Peer], r)
		if err := reread(r); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	return byPeer, err
}

// TestPeers runs a good peer beside ones that fail in every way: each is named
// with what it did, and the good one is measured to the end.
func TestPeers(t *testing.T) {
	bad := []struct {
		mode, want string
	}{
		{"crashes", "it ended (exit status 3): no library"},
		{"garbage", `it wrote "\x1b[31mhello", expected a line of JSON`},
		{"a long line", "it wrote a line of more than 65536 bytes"},
		{"lies", "it says that it took 3600000000000 ns, expected more than 0 and at most"},
		{"refuses", "loading: no room"},
	}
	peers := []peer.Peer{fake("good", "good")}
	for _, x := range bad {
		peers = append(peers, fake(x.mode, x.mode))
	}
	quantised := fake("choosy", "good")
	quantised.DTypes = func(string) []backend.DType { return []backend.DType{backend.F16, backend.Q8_0} }
	nowhere := fake("nowhere", "good")
	nowhere.Programs = func(string) ([]peer.Program, error) { return []peer.Program{{Path: "/no/such/program"}}, nil }
	peers = append(peers, fake("absent", "absent"), fake("narrow", "of another family"), quantised, nowhere)

	results, err := tinyPeers(t, t.Context(), commandtest.Patience, peers...)
	good := results["good"]
	if len(good) != 2 {
		t.Fatalf("%d results of the good peer, expected 2: %v", len(good), err)
	}
	for i, want := range []Test{{Prompt: 8}, {Gen: 4}} {
		r := good[i]
		if r.Test() != want || len(r.SamplesRatio) != 3 || r.AvgRatio <= 0 || r.PeerVersion != "7" || r.PeerThreads != 1 || r.Failure != "" {
			t.Errorf("the good peer: %+v", r)
		}
		if r.PeerAvgTS > float64(want.Tokens())/1e-3 {
			t.Errorf("%v: the peer made %v tokens a second, but slept 1 ms", want, r.PeerAvgTS)
		}
	}
	for _, x := range bad {
		r := results[x.mode]
		if len(r) != 1 || !strings.Contains(r[0].Failure, x.want) || len(r[0].SamplesNS) > 0 {
			t.Errorf("%s: %+v, expected one failure: %s", x.mode, r, x.want)
		}
		if !strings.Contains(fmt.Sprint(err), x.mode+" beside tiny f32 on cpu:0: ") && !strings.Contains(fmt.Sprint(err), x.mode+" with 1 thread beside tiny f32 on cpu:0: ") {
			t.Errorf("%s is not in the error", x.mode)
		}
	}
	for name, want := range map[string]string{
		"absent": "absent: it has no parrot", "choosy": "not supported: on CPUs it is measured with matrices of f16 q8_0", "nowhere": "/no/such/program",
		"narrow": "loading: not supported: models of this family",
	} {
		if r := results[name]; len(r) != 1 || !strings.Contains(r[0].Failure, want) {
			t.Errorf("%s: %+v, expected %s", name, r, want)
		}
	}
	if strings.Contains(err.Error(), "parrot") || strings.Contains(err.Error(), "choosy") || strings.Contains(err.Error(), "narrow") {
		t.Errorf("a peer that is absent, or lacks something, is an error: %v", err)
	}
}

// TestPeersHang ends a peer that does not answer. How long it takes to come as
// far as it should depends on what else the machine does.
func TestPeersHang(t *testing.T) {
	for mode, want := range map[string]string{
		"hangs at start": "it did not answer within %v and was ended: raise the timeout",
		"hangs":          "tg4 warm-up: it did not answer within %v and was ended: raise the timeout",
	} {
		for timeout := time.Second / 2; ; timeout *= 2 {
			results, err := tinyPeers(t, t.Context(), timeout, fake(mode, mode))
			r := results[mode]
			if len(r) != 1 || !strings.Contains(r[0].Failure, fmt.Sprintf("it did not answer within %v", timeout)) || len(r[0].SamplesNS) > 0 ||
				!strings.Contains(fmt.Sprint(err), mode+" ") {
				t.Fatalf("%s: %+v, %v", mode, r, err)
			}
			if want := fmt.Sprintf(want, timeout); strings.Contains(r[0].Failure, want) {
				break
			} else if timeout > commandtest.Patience {
				t.Fatalf("%s: %s, expected %s", mode, r[0].Failure, want)
			}
		}
	}
}

// TestPeersKeepsSamples sees that what a peer did before it failed counts: one
// that crashes at its fourth run has been through both warm-ups and one prompt.
func TestPeersKeepsSamples(t *testing.T) {
	results, err := tinyPeers(t, t.Context(), commandtest.Patience, fake("late", "crashes later"), fake("good", "good"))
	late := results["late"]
	if err == nil || len(late) != 2 || late[0].Test() != (Test{Prompt: 8}) || len(late[0].SamplesRatio) != 1 ||
		!strings.Contains(late[1].Failure, "tg4 1/3: it ended (exit status 2): ") {
		t.Errorf("%+v, %v", late, err)
	}
	if good := results["good"]; len(good) != 2 || len(good[1].SamplesRatio) != 3 {
		t.Errorf("the other peer: %+v", good)
	}
}

// TestPeersDrawn: on a device that draws tokens ours generates as users do, and the warm-up feeds
// the ids besides, to compare.
func TestPeersDrawn(t *testing.T) {
	for _, draws := range []bool{false, true} {
		p := &played{hostRun: 1000, submit: 20000, dispatch: 3000, read: 5000, flops: 1e9, bandwidth: 1e10, draws: draws}
		o := PeerOptions{Options: quiet(2), Peers: []peer.Peer{fake("good", "good")}, Threads: 1, Timeout: commandtest.Patience}
		o.DType = backend.F32
		results, err := playedDevice(p).Peers(t.Context(), Random("tiny", tiny), []Test{{Prompt: 8}, {Gen: 4}}, o)
		if err != nil || len(results) != 2 {
			t.Fatalf("%d results, %v", len(results), err)
		}
		for _, r := range results {
			if r.DrawnOnDevice != draws || r.CacheType != "f32" {
				t.Errorf("%v: drawn_on_device is %v and cache_type %s, expected %v and f32", r.Test(), r.DrawnOnDevice, r.CacheType, draws)
			}
		}
		if want := 3 * (1 + 4); draws && p.fetched != want || !draws && p.fetched != 0 {
			t.Errorf("a device that draws is %v: %d tokens were waited for, expected %d of two tests, run three times", draws, p.fetched, want)
		}
	}
}

// TestPeersReal holds the programs of real peers to ours, in models of each family:
// the same weights and tokens must lead to the same token. make test-peers installs llama.cpp.
func TestPeersReal(t *testing.T) {
	library := os.Getenv("CALDERA_LLAMA")
	if library == "" {
		t.Skip("CALDERA_LLAMA is not set: make test-peers installs llama.cpp and runs this")
	}
	all, err := peer.Find(nil, peer.Places{Llama: library})
	if err != nil {
		t.Fatal(err)
	}
	o := PeerOptions{Options: quiet(1), Peers: all, Threads: 1, Timeout: commandtest.Patience}
	o.DType = backend.F32
	for _, dir := range []string{tinyModel, "../../gpt/testdata/llama-grouped", "../../gpt/testdata/llama-odd", "../../gpt/testdata/llama-three", "../../gpt/testdata/llama-linear"} {
		m, err := Checkpoint(dir)
		if err != nil {
			t.Fatal(err)
		}
		// A whole context, and single tokens; then the same of sequences together.
		results, err := cpuDevice(t).Peers(t.Context(), m, []Test{{Prompt: m.Config.Context}, {Gen: 20}}, o)
		if err != nil {
			t.Fatal(err)
		}
		together, err := cpuDevice(t).Peers(t.Context(), m, []Test{{Prompt: 24, Sequences: 3}, {Gen: 20, Sequences: 3}}, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range together {
			if r.Peer == "pytorch" && r.FailureKind == result.PeerUnsupported {
				continue
			}
			// In turn or by itself, each sequence is evaluated once for each of its tokens.
			tokens := max(1, r.NGen)
			if r.FailureKind != "" || !slices.Equal(r.SamePrefix, slices.Repeat([]int64{int64(min(tokens, compared))}, 3)) || r.PeerBatches < 1 || r.PeerBatches > 3*tokens {
				t.Errorf("%s, %s, %v: %s%v tokens of 3 sequences are the same, in %d batches", m.Name, r.Peer, r.Test(), r.Failure, r.SamePrefix, r.PeerBatches)
			}
		}
		measured := 0
		for _, r := range results {
			switch {
			case r.FailureKind == result.PeerAbsent && r.Peer == "pytorch":
				t.Logf("pytorch: %s", r.Failure)
			case r.Failure != "":
				t.Errorf("%s, %s: %s", m.Name, r.Peer, r.Failure)
			case !r.SameToken:
				t.Errorf("%s, %s, %v: another token than ours", m.Name, r.Peer, r.Test())
			default:
				measured++
			}
		}
		if measured < 2 {
			t.Errorf("%s: %d results, expected 2 or more", m.Name, measured)
		}
	}
}
