package result

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// beside is a result of two repetitions beside a peer, in which ours was 1.5
// and 2 times as fast.
func beside(c Common) *PeerResult {
	c.Kind = "peer"
	r := &PeerResult{
		Common: c, ModelType: "gpt2", ModelNParams: 124_439_808, DType: "f32", NGen: 4, SameToken: true, CacheType: "f32",
		PeerAbout: PeerAbout{Peer: "pytorch", PeerVersion: "2.0", PeerDevice: "CPU", PeerInfo: "AVX2", PeerThreads: 2},
		PeerTimes: PeerTimes{SamplesNS: []int64{8e6, 10e6}, PeerSamplesNS: []int64{12e6, 20e6}},
	}
	r.Summarise()
	return r
}

func TestPeerTables(t *testing.T) {
	_, records := example()
	c := *records[0].common()
	other := beside(c)
	other.DType, other.SameToken, other.CacheType, other.DrawnOnDevice = "q4_0", false, "f16", true
	records = []Record{beside(c), other, &PeerResult{Common: other.Common, ModelType: "gpt2", DType: "f32", PeerAbout: PeerAbout{Peer: "node-llama-cpp", Failure: "absent: it is not there", FailureKind: PeerAbsent}}}
	var out bytes.Buffer
	if err := Write(&out, "md", records); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| gpt2  | vulkan:1 | f32   | tg4  | 450.00 ± 70.71 | pytorch | 2       | 266.67 ± 94.28 | 1.73 ± 0.35 |\n",
		"\n- pytorch 2.0 on CPU: AVX2\n",
		"\n- gpt2 q4_0, tg4: pytorch with 2 threads holds another token",
		" Keys and values: f32 and f16 in Caldera, f16 in node-llama-cpp",
		"\nOn a GPU that draws tokens Caldera went on from what it drew.\n",
		"\n- not measured beside gpt2 f32 on vulkan:1: node-llama-cpp: absent: it is not there\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("missing: %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "f32, tg4: pytorch") {
		t.Errorf("the same token is called another:\n%s", out.String())
	}
	out.Reset()
	if err := Write(&out, "md", records[2:]); err != nil || strings.Contains(out.String(), "| model") || strings.Contains(out.String(), "Keys and values") {
		t.Errorf("%v, a table of nothing:\n%s", err, out.String())
	}
}

// TestComparePeers lays ratios side by side; peers that are absent have none.
func TestComparePeers(t *testing.T) {
	_, records := example()
	c := *records[0].common()
	absent := &PeerResult{Common: c, ModelType: "gpt2", DType: "f32", PeerAbout: PeerAbout{Peer: "pytorch", Failure: "absent", FailureKind: PeerAbsent}}
	absent.Kind = "peer"
	slow := beside(c)
	slow.PeerSamplesNS = slow.SamplesNS
	slow.Summarise()
	got, err := Compare([]File{{"a.json", []Record{absent, beside(c)}}, {"b.json", []Record{slow, absent}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 3 || got.Rows[0].Key != "gpt2 tg4 f32 beside pytorch with 2 threads" || got.Rows[0].Unit != "× the peer" {
		t.Fatalf("%+v", got.Rows)
	}
	for i, want := range []float64{math.Sqrt(3), 1} {
		if v := got.Rows[0].Values[i]; v.Mean != want || v.N != 2 {
			t.Errorf("column %d: %v, expected %v", i, v, want)
		}
	}
}
