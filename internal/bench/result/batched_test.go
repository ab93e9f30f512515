package result

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// together is a result of n sequences of 4 tokens each, which took so many seconds.
func together(n int, seconds ...float64) *TestResult {
	r := &TestResult{
		Common:    Common{Format: Format, Kind: "test", Device: "cpu:0", DeviceName: "The CPU", DeviceKind: "CPU", Driver: "none"},
		ModelType: "gpt2", ModelNParams: 124_439_808, NGen: 4, NDepth: 60, DType: "f32", TypeK: "f32", TypeV: "f32", FLOP: 1e9, Yardstick: "read bandwidth",
		Batched: Batched{NSequences: n, KVBlock: 64, KVBlocks: n, KVSequenceBytes: 3 << 20, KVPoolBytes: 24 << 20},
	}
	for _, s := range seconds {
		r.SamplesNS, r.SamplesShare = append(r.SamplesNS, int64(s*1e9)), append(r.SamplesShare, 0.5)
	}
	r.Summarise(Ceilings{})
	return r
}

func TestBatched(t *testing.T) {
	r := together(8, 2, 2)
	if r.AvgTS != 16 || r.AvgSequenceTS != 2 || r.Test().String() != "tg4 b8 @ d60" || r.Test().Tokens() != 32 {
		t.Errorf("%v: %v tokens of %v a second, %v of each", r.Test(), r.Test().Tokens(), r.AvgTS, r.AvgSequenceTS)
	}
	var out bytes.Buffer
	if err := WriteJSON(&out, []Record{r}); err != nil {
		t.Fatal(err)
	}
	got, err := Read(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Record{r}, got); diff != "" {
		t.Errorf("wrote -, read +\n%s", diff)
	}
	good := out.String()
	for _, c := range []struct{ old, new, want string }{
		{`"n_sequences": 8`, `"n_sequences": 513`, "n_sequences is 513, expected at most 512"},
		{`"n_sequences": 8`, `"n_sequences": -8`, "n_sequences is -8"},
		{`"n_sequences": 8`, `"n_sequences": 0`, "n_sequences is 0, and there are figures of a batch"},
		{`"n_sequences": 8`, `"n_sequences": 4`, "avg_ts 16 and stddev_ts 0 are not of its samples"},
		{`"avg_sequence_ts": 2`, `"avg_sequence_ts": 16`, "avg_sequence_ts 16"},
		{`"kv_blocks": 8`, `"kv_blocks": 7`, "kv_blocks 7"},
		{`"kv_block": 64`, `"kv_block": 0`, "kv_block is 0"},
		{`"kv_pool_bytes": 25165824`, `"kv_pool_bytes": 25165823`, "kv_sequence_bytes is 3145728, which 8 sequences do not have of the 25165823"},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("%q does not stand in\n%s", c.old, good)
		}
		if _, err := Read([]byte(strings.Replace(good, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, expected %s", c.new, err, c.want)
		}
	}
}

// TestBatchTable has the speed of all and of each, and a ratio where one sequence was
// measured: on the same device, of the same test.
func TestBatchTable(t *testing.T) {
	elsewhere := together(1, 8)
	elsewhere.Device = "vulkan:0"
	half := together(8, 2, 2)
	half.DType = "f16"
	table := func(records ...Record) string {
		var out bytes.Buffer
		if err := Write(&out, "md", records); err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
	}
	text := table(elsewhere, together(1, 1, 1), together(8, 2, 2), half)
	for _, want := range []string{
		"| model | device | dtype | test | sequences | t/s | t/s of each | × one | blocks × positions | KV of each | KV in all |\n",
		"| gpt2 | cpu:0 | f32 | tg4 b1 @ d60 | 1 | 4.00 ± 0.00 | 4.00 ± 0.00 | | 1 × 64 | 3.00 MiB | 24.00 MiB |\n",
		"| gpt2 | cpu:0 | f32 | tg4 b8 @ d60 | 8 | 16.00 ± 0.00 | 2.00 ± 0.00 | 4.00 ± 0.00 | 8 × 64 | 3.00 MiB | 24.00 MiB |\n",
		"| gpt2 | cpu:0 | f16 | tg4 b8 @ d60 | 8 | 16.00 ± 0.00 | 2.00 ± 0.00 | | 8 × 64 |",
		"\nA test with b has so many sequences",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %q in\n%s", want, text)
		}
	}
	if text := table(together(8, 2, 2)); strings.Contains(text, "× one |") || !strings.Contains(text, "| 2.00 ± 0.00 | 8 × 64 |") {
		t.Errorf("without one sequence:\n%s", text)
	}
	if text := table(measured("cpu:0", "f32", 100)); strings.Contains(text, "sequences") {
		t.Errorf("a test without a batch:\n%s", text)
	}
	if text := table(measured("cpu:0", "f32", 100), together(8, 2, 2)); strings.Count(text, "| tg4 b8 @ d60 | 8 |") != 1 || strings.Contains(text, "| pp512 | 0 |") {
		t.Errorf("tests of both kinds:\n%s", text)
	}
}

// TestBatchElsewhere tells tests of batches apart in all that compares or draws.
func TestBatchElsewhere(t *testing.T) {
	one, many := together(1, 1, 1), together(8, 2, 2)
	c, err := Compare([]File{{"a.json", []Record{one, many}}, {"b.json", []Record{many}}})
	if err != nil || len(c.Rows) != 4 || c.Rows[0].Key != "gpt2 tg4 b1 @ d60 f32" || c.Rows[2].Key != "gpt2 tg4 b8 @ d60 f32" || c.Rows[0].Values[1].N != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	for format, want := range map[string]string{
		"bench": "BenchmarkTG4/model=gpt2/device=cpu:0/dtype=f32/sequences=8/depth=60-0\t1\t2000000000 ns/op\t16 t/s\n",
		"csv":   ",n_sequences,avg_sequence_ts,",
		Summary: "| tg4 b1 @ d60, t/s | of read bandwidth | tg4 b8 @ d60, t/s | of read bandwidth |",
	} {
		var out bytes.Buffer
		if err := Write(&out, format, []Record{one, many}); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s, %v: missing %q in\n%s", format, err, want, out.String())
		}
	}
}

// besideTogether is a result beside a peer of two sequences.
func besideTogether(peers [][]int) *PeerResult {
	_, records := example()
	r := beside(*records[0].common())
	r.NSequences, r.PeerBatches = 2, 5
	r.Compare([][]int{{1, 2, 3}, {4, 5, 6}}, peers)
	r.Summarise()
	return r
}

func TestPeerTogether(t *testing.T) {
	same, other := besideTogether([][]int{{1, 2, 3}, {4, 9, 6}}), besideTogether([][]int{{1, 2, 3}, {9, 5, 6}})
	if !same.SameToken || other.SameToken || same.AvgTS != 2*beside(same.Common).AvgTS {
		t.Errorf("the first tokens agree: %v and %v; %v tokens a second", same.SameToken, other.SameToken, same.AvgTS)
	}
	alone := beside(same.Common)
	alone.DType = "f16"
	var out bytes.Buffer
	if err := Write(&out, "md", []Record{same, other, alone}); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
	for _, want := range []string{
		"| ratio | its batches | same tokens |\n", "| tg4 b2 | ", "| 5 | 2.0 of 3 |\n", "| 5 | 1.5 of 3 |\n", "| tg4 | 450.00 ± 70.71 | pytorch | 2 | 266.67 ± 94.28 | 1.73 ± 0.35 | | |\n",
		"\n- gpt2 f32, tg4 b2: pytorch with 2 threads drew another first token for 1 of 2 sequences.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %q in\n%s", want, text)
		}
	}
	out.Reset()
	if err := Write(&out, "bench", []Record{same}); err != nil || !strings.Contains(out.String(), "BenchmarkPeerTG4/model=gpt2/device=vulkan:1/dtype=f32/peer=pytorch/threads=2/sequences=2-2\t") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	out.Reset()
	if err := WriteJSON(&out, []Record{same}); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(out.Bytes()); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"n_sequences": 2`, `"n_sequences": 3`, "same_prefix has 2 numbers, expected 3"},
		{`"n_sequences": 2`, `"n_sequences": 600`, "n_sequences is 600"},
		{`"compared": 3`, `"compared": 2`, "same_prefix[0] is 3, which compared 2 and same_token true contradict"},
		{"3,\n      1\n", "3,\n      0\n", "same_prefix[1] is 0"},
	} {
		if _, err := Read([]byte(strings.Replace(out.String(), c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, expected %s", c.new, err, c.want)
		}
	}
}
