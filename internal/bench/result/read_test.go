package result

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// written is a file of one record of each kind.
func written(t testing.TB) ([]byte, []Record) {
	t.Helper()
	_, records := example()
	c := *records[0].common()
	kind := func(name string) Common { c := c; c.Kind = name; return c }
	records = append(records,
		&OpResult{
			Common: kind("op"), ModelType: "gpt2", Op: "linear", Shape: "1x2x3", DType: "f32", FLOP: 12, Bytes: 100, Runs: 7, Lowered: []string{},
			AvgNS: 15, StddevNS: 7.0710678118654755, SamplesNS: []float64{10, 20},
		},
		&OverheadResult{Common: kind("overhead"), Overhead: "barrier", AvgNS: -1, StddevNS: 0, SamplesNS: []float64{-1}},
		&StartupResult{
			Common: kind("startup"), ModelType: "gpt2", DType: "f32", Caches: "cold", NPrompt: 16,
			AvgNS: 7, SamplesNS: []int64{7}, AvgCompileNS: -1, SamplesCompileNS: []int64{-1},
		},
		beside(c),
		&PeerResult{Common: kind("peer"), ModelType: "gpt2", DType: "q8_0", PeerAbout: PeerAbout{Peer: "pytorch", Failure: "absent: no", FailureKind: PeerAbsent}},
		&PerplexityResult{
			Common: kind("perplexity"), ModelType: "gpt2", DType: "f32", TypeK: "f32", TypeV: "f32", File: "a.txt", Window: 8, Windows: 2, Tokens: 6,
			Nats: 1, Perplexity: math.E, TotalNS: 5,
		},
	)
	records = append(records, trained(c)...)
	var out bytes.Buffer
	if err := WriteJSON(&out, records); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), records
}

func TestRead(t *testing.T) {
	data, want := written(t)
	got, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wrote -, read +\n%s", diff)
	}
}

func TestReadBadFiles(t *testing.T) {
	data, _ := written(t)
	good := string(data)
	instead := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q does not stand in\n%s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "it is empty"},
		{"truncated within a result", good[:len(good)/9], "truncated: it ends within result 0"},
		{"truncated between results", good[:strings.LastIndex(good, "]")], "truncated: it ends within result 10"},
		{"an object", `{"a": 1}`, "expected a JSON array"},
		{"text", "# Results\n", "expected a JSON array"},
		{"an array of numbers", "[1, 2]", "result 0: found a JSON number, expected an object"},
		{"no results", "[]", "it holds no results"},
		{"two arrays", good + good, "after the results"},
		{"results of llama-bench", `[{"build_commit": "abc", "avg_ts": 1.5}]`, "it has no caldera_format"},
		{"a newer format", instead(`"caldera_format": 7`, `"caldera_format": 8`), "caldera_format is 8 and this program reads 7: take a newer bench"},
		{"a newer format with fields of its own", `[{"caldera_format": 8, "speed": {}}]`, "take a newer bench"},
		{"a format that is no number", instead(`"caldera_format": 7`, `"caldera_format": "one"`), "it has no caldera_format"},
		{"another kind", instead(`"kind": "test"`, `"kind": "song"`), `kind is "song", expected one of [op overhead peer perplexity startup test train]`},
		{"a missing field", instead(`"n_gen": 0,`, ``), "n_gen is missing"},
		{"a field too many", instead(`"n_gen": 0,`, `"n_gen": 0, "n_others": 1,`), `it has a "n_others"`},
		{"a field twice", instead(`"n_gen": 0,`, `"n_gen": 0, "n_gen": 1,`), "twice"},
		{"null", instead(`"n_gen": 0`, `"n_gen": null`), "n_gen is null"},
		{"text in place of a number", instead(`"n_gen": 0`, `"n_gen": "0"`), "n_gen: "},
		{"NaN", instead(`"avg_ts": 512`, `"avg_ts": NaN`), "invalid character 'N'"},
		{"a huge number", instead(`"avg_peak": 200000000000`, `"avg_peak": 1e30`), "avg_peak is 1e+30"},
		{"a number that no float holds", instead(`"avg_ts": 512`, `"avg_ts": 1e999`), "avg_ts: "},
		{"no device", instead(`"device": "vulkan:1"`, `"device": ""`), "device is empty"},
		{"a negative number", instead(`"model_size": 497759232`, `"model_size": -1`), "model_size is -1, expected 0 or more"},
		{"a negative bandwidth", instead(`"avg_copy_bandwidth": 100000000000`, `"avg_copy_bandwidth": -1`), "avg_copy_bandwidth is -1"},
		{"a sample of 0", instead(`"samples_ns": [
      1000000000`, `"samples_ns": [
      0`), "samples_ns[0] is 0, expected more than 0"},
		{"no samples", instead(`"samples_ns": [
      1000000000,
      1000000000
    ]`, `"samples_ns": []`), "samples_ns is empty"},
		{"a mean that is not of its samples", instead(`"avg_ts": 512`, `"avg_ts": 5120`), "avg_ts 5120 and stddev_ts 0 are not of its samples, which give 512 and 0"},
		{"a deviation that is not", instead(`"stddev_ts": 0`, `"stddev_ts": 1`), "stddev_ts 1"},
		{"a mean of an op that is not", instead(`"avg_ns": 15`, `"avg_ns": 16`), "result 1: avg_ns 16"},
		{"a ratio that is not of its samples", instead(`"avg_ratio": 1.7320508075688772`, `"avg_ratio": 2`), "result 4: avg_ratio 2"},
		{"more samples on one side", instead(`"peer_samples_ns": [
      12000000,`, `"peer_samples_ns": [
      1,
      12000000,`), "result 4: peer_samples_ns has 3 samples, expected 2 as samples_ns"},
		{"no peer", instead(`"peer": "pytorch"`, `"peer": ""`), "result 4: peer is empty"},
		{"samples of a peer that is absent", strings.Replace(instead(`"failure": ""`, `"failure": "absent"`), `"failure_kind": ""`, `"failure_kind": "absent"`, 1), "result 4: it has a failure and samples"},
		{"a prompt and generation at once", instead(`"n_gen": 0`, `"n_gen": 1`), "n_prompt 512, n_gen 1"},
		{"a failure of no kind", instead(`"failure": ""`, `"failure": "absent"`), "result 4: failure is \"absent\" and failure_kind \"\""},
		{"a kind of failure that there is not", instead(`"failure_kind": "absent"`, `"failure_kind": "lost"`), "result 5: failure_kind is \"lost\""},
		{"a mean time that is not of its samples", instead(`"avg_ns": 1000000000`, `"avg_ns": 1`), "result 0: avg_ns 1 and stddev_ns 0 are not of its samples, which give 1e+09 and 0"},
		{"a deviation of times that is not", instead(`"stddev_ns": 0`, `"stddev_ns": 5000`), "result 0: avg_ns 1e+09 and stddev_ns 5000"},
		{"a time to compile that is not", instead(`"avg_compile_ns": -1`, `"avg_compile_ns": 1`), "result 3: avg_compile_ns 1"},
		{"speeds that are not of the times", instead(`"samples_ts": [
      512`, `"samples_ts": [
      5`), "result 0: samples_ts[0] is 5, expected 512"},
		{"more speeds than times", instead(`"samples_ts": [`, `"samples_ts": [
      512,`), "result 0: samples_ts has 3 samples, expected 2"},
		{"a share that is not of its parts", instead(`"avg_peak_share": 0.25`, `"avg_peak_share": 0.5`), "result 0: avg_peak_share 0.5"},
		{"an op without a name", instead(`"op": "linear"`, `"op": ""`), "result 1: op is empty"},
		{"no type of keys", instead(`"type_k": "f32"`, `"type_k": ""`), "result 0: type_k is \"\""},
		{"no hash", instead(`"text_sha256": ""`, `"text_sha256": "zz"`), "text_sha256 is \"zz\""},
		{"a field of a later format", instead(`"caldera_format": 7`, `"caldera_format": 1`), "result 0: it has a \"incomplete\", which no test of format 1 has"},
		{"a kind of a later format", `[{"caldera_format": 2, "kind": "train"}]`, "it is of kind train, which format 3 has and 2 has not"},
		{"losses that contradict", instead(`"same_loss": true`, `"same_loss": false`), "result 8: same_loss is false, which the losses contradict"},
		{"a share of training that is not of its samples", instead(`"avg_share": 0.75`, `"avg_share": 0.5`), "result 7: avg_share 0.5"},
		{"a step that is not of its samples", instead(`"avg_step_ns": 100000000`, `"avg_step_ns": 5`), "result 7: avg_step_ns 5"},
		{"no steps", instead(`"steps": 3`, `"steps": 0`), "result 7: steps is 0, expected 1 to 1000"},
		{"a batch that is too large", instead(`"batch": 4`, `"batch": 16385`), "result 7: batch is 16385, expected 1 to 16384"},
		{"deep", "[" + strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9) + "]", "nested deeper"},
		{"very deep", strings.Repeat("[", 100000), "result 0"},
		{"too large", strings.Repeat(" ", maxFileSize+1), "it is larger than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Read([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, expected %s", err, test.want)
			}
		})
	}
	t.Run("a directory", func(t *testing.T) {
		if _, err := ReadFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an error names the file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "bad.json")
		if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("got %v", err)
		}
	})
}

// older makes records those of an older format.
func older(all []map[string]any, version int) {
	since := map[int][]string{
		2: {"incomplete", "failure_kind", "text_sha256"},
		5: {
			"n_sequences", "avg_sequence_ts", "stddev_sequence_ts", "kv_block", "kv_blocks", "kv_sequence_bytes", "kv_pool_bytes",
			"same_prefix", "compared", "peer_batches",
		},
		6: {"drawn_on_device"},
		7: {"cache_type"},
	}
	for _, r := range all {
		r["caldera_format"] = version
		for format, names := range since {
			for _, name := range names {
				if version < format {
					delete(r, name)
				}
			}
		}
		if version < 7 && r["kind"] == "peer" {
			delete(r, "drawn_on_device")
		}
		if version == 1 && r["kind"] == "perplexity" {
			delete(r, "type_k")
			delete(r, "type_v")
		}
	}
}

// TestReadOldFormat reads files of older formats, which lack what this one has.
func TestReadOldFormat(t *testing.T) {
	data, want := written(t)
	want = slices.DeleteFunc(want, func(r Record) bool { return r.common().Kind == "train" })
	var all []map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	all = all[:len(want)] // kind train comes last
	for _, version := range []int{6, 5, 4, 3, 2, 1} {
		older(all, version)
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("as it is written today -, read from format %d +\n%s", version, diff)
		}
	}
}

// TestReadOldTraining reads training of format 3, which knew no ceilings.
func TestReadOldTraining(t *testing.T) {
	text, err := os.ReadFile("testdata/train-3.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(text)
	if err != nil {
		t.Fatal(err)
	}
	r := got[0].(*TrainResult)
	if r.AvgTS == 0 || r.Copy != "" || r.AvgPeak != 0 || r.AvgPeakShare != 0 || r.ofPeak() != "" {
		t.Errorf("%+v", r)
	}
}

// TestReadKeepsCacheType: only format 1 had no cache types.
func TestReadKeepsCacheType(t *testing.T) {
	data, want := written(t)
	var all []map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(want, func(r Record) bool { return r.common().Kind == "perplexity" })
	all = all[:at+1]
	all[at]["type_k"] = "f16"
	older(all, 2)
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	records, err := Read(text)
	if err != nil {
		t.Fatal(err)
	}
	if r := records[len(records)-1].(*PerplexityResult); r.TypeK != "f16" {
		t.Errorf("type_k f16 of format 2 is read as %s", r.TypeK)
	}
}

// FuzzRead sees that what is read can be compared, whatever it is.
func FuzzRead(f *testing.F) {
	data, _ := written(f)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := Read(data)
		if err != nil {
			return
		}
		for _, format := range append(Formats, Summary) {
			Write(io.Discard, format, records) // panics on none
		}
		Agree(File{"a.json", records}, File{"b.json", records})
		c, err := Compare([]File{{"a.json", records}, {"b.json", records}})
		if err != nil {
			return
		}
		if err := c.Write(io.Discard); err != nil {
			t.Error(err)
		}
		for _, r := range c.Rows {
			for _, v := range r.Values { // or it could not be drawn
				if math.IsNaN(v.Mean+v.SD) || math.IsInf(v.Mean+v.SD, 0) {
					t.Errorf("%s is %v", r.Key, v)
				}
			}
		}
	})
}
