package result

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"caldera/internal/plot"
)

// measured is a result of pp512 of gpt2 with the samples given, in tokens a second.
func measured(device, dtype string, speeds ...float64) *TestResult {
	r := &TestResult{
		Common:    Common{Format: Format, Kind: "test", Device: device, DeviceName: "The " + device, DeviceKind: "CPU", Driver: "none"},
		ModelType: "gpt2", ModelNParams: 124_439_808, NPrompt: 512, DType: dtype, TypeK: "f32", TypeV: "f32", FLOP: 97e9, Yardstick: "matrix products",
	}
	for _, s := range speeds {
		r.SamplesNS = append(r.SamplesNS, int64(512/s*1e9))
		r.SamplesShare = append(r.SamplesShare, 0.5)
	}
	r.Summarise(Ceilings{})
	return r
}

func TestCompare(t *testing.T) {
	barrier := func(ns ...float64) *OverheadResult {
		r := &OverheadResult{Common: Common{Kind: "overhead", Device: "cpu:0"}, Overhead: "barrier", SamplesNS: ns}
		r.AvgNS, r.StddevNS = meanStdDev(ns)
		return r
	}
	c, err := Compare([]File{
		{"runs/here.json", []Record{measured("cpu:0", "f32", 90, 110), measured("vulkan:0", "f32", 400, 400), barrier(2000, 2000)}},
		{"runs/there.json", []Record{measured("cpu:0", "f32", 95, 125), measured("cpu:0", "f16", 500), barrier(1000, 1000)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// 400/100 ± 4·√(0.1414²): the deviation of 90 and 110 is 14.14. And 110/100 ± 1.1·√(0.1414² + (21.21/110)²).
	if r, ok := c.Rows[0].Ratio(1); !ok || math.Abs(r.Mean-4) > 1e-6 || math.Abs(r.SD-4*0.1414213) > 1e-6 {
		t.Errorf("ratio %v %v, expected 4 ± 0.57", r, ok)
	}
	var out bytes.Buffer
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
	for _, want := range []string{
		"- here vulkan:0: The vulkan:0 (CPU), none, 0 threads, caldera of an unknown commit\n",
		"| | | here cpu:0 | here vulkan:0 | × | there cpu:0 | × |\n",
		"| gpt2 pp512 f32 | t/s | 100 ± 14 | 400 ± 0 | 4.00 ± 0.57 | 110 ± 21 | (1.10 ± 0.26) |\n",
		"| gpt2 pp512 f32 | % of matrix products | 50.0 ± 0.0 | 50.0 ± 0.0 | (1.00 ± 0.00) | 50.0 ± 0.0 | (1.00 ± 0.00) |\n",
		"| barrier | µs | 2.00 ± 0.00 | | | 1.00 ± 0.00 | 2.00 ± 0.00 |\n", // half the time is twice as fast
		"| gpt2 pp512 f16 | t/s | | | | 500 (once) | |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %q in\n%s", want, text)
		}
	}
}

func TestCompareErrors(t *testing.T) {
	other := measured("cpu:0", "f32", 100)
	other.ModelNParams = 5
	deeper := measured("cpu:0", "f32", 100)
	deeper.FLOP = 1
	medium := measured("cpu:0", "f32", 100)
	medium.ModelType = "gpt2-medium"
	one := func(r ...Record) []Record { return r }
	good := measured("cpu:0", "f32", 100)
	for _, test := range []struct {
		name string
		a, b []Record
		want string
	}{
		{"models of different shapes under one name", one(good), one(other), "gpt2 pp512 f32 has 124439808 parameters in a.json and 5 in b.json: they are of different shapes"},
		{"work of different shapes", one(good), one(deeper), "FLOP a repetition in a.json and 1 in b.json"},
		{"nothing in common", one(good), one(medium), "nothing to compare: a.json has gpt2 pp512 f32, b.json has gpt2-medium pp512 f32"},
		{"one device", one(good), nil, "there is one device in all"},
		{"a result twice", one(good, good), one(good), "a.json: gpt2 pp512 f32 on cpu:0 stands there twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Compare([]File{{"a.json", test.a}, {"b.json", test.b}})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, expected %s", err, test.want)
			}
		})
	}
}

// TestCompareCaches keeps results with other types of keys and values apart.
func TestCompareCaches(t *testing.T) {
	half := measured("cpu:0", "f32", 200, 220)
	half.TypeK, half.TypeV = "f16", "f16"
	plain := measured("cpu:0", "f32", 100, 120)
	c, err := Compare([]File{{"a.json", []Record{plain, half}}, {"b.json", []Record{half}}})
	if err != nil || len(c.Rows) != 4 || c.Rows[0].Key != "gpt2 pp512 f32" || c.Rows[2].Key != "gpt2 pp512 f32, cache f16" {
		t.Fatalf("%+v, %v", c, err)
	}
	if c.Rows[0].Values[1].N != 0 || math.Abs(c.Rows[2].Values[1].Mean-210) > 1e-3 {
		t.Errorf("%+v", c.Rows)
	}
	if _, err := Compare([]File{{"a.json", []Record{plain}}, {"b.json", []Record{half}}}); err == nil || !strings.Contains(err.Error(), "nothing to compare") {
		t.Errorf("two types of keys and values: %v", err)
	}
}

// TestCompareThreads tells columns apart that differ in threads alone.
func TestCompareThreads(t *testing.T) {
	with := func(n int, device, kind string) *TestResult {
		r := measured(device, "f32", 100, 120)
		r.NThreads, r.DeviceKind = n, kind
		return r
	}
	c, err := Compare([]File{
		{"x/run.json", []Record{with(1, "cpu:0", "CPU")}}, {"y/run.json", []Record{with(2, "cpu:0", "CPU"), with(2, "vulkan:0", "discrete GPU")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| x/run.json cpu:0, 1 thread | y/run.json cpu:0, 2 threads | ", "| y/run.json vulkan:0 |",
		"- x/run.json cpu:0, 1 thread: The cpu:0 (CPU), none, 1 thread, caldera", "- y/run.json vulkan:0: The vulkan:0 (discrete GPU), none, caldera",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	c, err = Compare([]File{{"a.json", []Record{with(2, "cpu:0", "CPU")}}, {"b.json", []Record{with(2, "cpu:0", "CPU")}}})
	if err != nil || c.Columns[0].Name != "a cpu:0" {
		t.Errorf("the same threads: %+v, %v", c, err)
	}
}

// TestCompareTexts goes by what a text says, not by what it is called.
func TestCompareTexts(t *testing.T) {
	of := func(file, text string, nats float64) *PerplexityResult {
		return &PerplexityResult{
			Common: Common{Format: Format, Kind: "perplexity", Device: "cpu:0"}, ModelType: "m", DType: "f32", TypeK: "f32", TypeV: "f32", File: file,
			TextSHA256: strings.Repeat(text, 64), Window: 8, Windows: 2, Tokens: 6, Nats: nats, Perplexity: math.Exp(nats),
		}
	}
	c, err := Compare([]File{{"a.json", []Record{of("./text.txt", "a", 2)}}, {"b.json", []Record{of("text.txt", "a", 1)}}})
	if err != nil || len(c.Rows) != 1 || c.Rows[0].Key != "m f32 perplexity of text.txt (aaaaaaaa)" || c.Rows[0].Values[1].Mean != 1 {
		t.Errorf("one text under two names: %+v, %v", c, err)
	}
	if _, err := Compare([]File{{"a.json", []Record{of("text.txt", "a", 2)}}, {"b.json", []Record{of("text.txt", "b", 1)}}}); err == nil || !strings.Contains(err.Error(), "nothing to compare") {
		t.Errorf("two texts of one name: %v", err)
	}
}

// TestIncomplete names results that are, in tables and comparisons.
func TestIncomplete(t *testing.T) {
	r := measured("cpu:0", "f32", 100, 120)
	r.Incomplete = true
	const want = "\n- incomplete: gpt2 pp512 f32 on cpu:0"
	var out strings.Builder
	for _, format := range []string{"md", Summary} {
		out.Reset()
		if err := Write(&out, format, []Record{r}); err != nil || !strings.Contains(out.String(), want+": measuring ended after 2 repetitions\n") {
			t.Errorf("%s, %v:\n%s", format, err, out.String())
		}
	}
	c, err := Compare([]File{{"a.json", []Record{measured("cpu:0", "f32", 1)}}, {"b.json", []Record{r}}})
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := c.Write(&out); err != nil || !strings.Contains(out.String(), want+" of b.json: measuring ended after 2 repetitions\n") {
		t.Errorf("%v:\n%s", err, out.String())
	}
}

// TestColumns keeps the paths of files that have one name.
func TestColumns(t *testing.T) {
	c, err := Compare([]File{{"a/x.json", []Record{measured("cpu:0", "f32", 1)}}, {"b/x.json", []Record{measured("cpu:0", "f32", 1)}}})
	if err != nil || c.Columns[0].Name != "a/x.json cpu:0" || c.Columns[1].Name != "b/x.json cpu:0" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestPlot(t *testing.T) {
	evil := measured("cpu:<0>&\x1b[31m", "f32", 200, 220)
	c, err := Compare([]File{
		{"a.json", []Record{measured("cpu:0", "f32", 100, 120), measured("cpu:0", "f16", 7)}}, {"b.json", []Record{evil}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.WritePlot(&out, plot.SVG); err != nil {
		t.Fatal(err)
	}
	bars, texts := 0, ""
	for d := xml.NewDecoder(&out); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("it is no XML: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			for _, a := range x.Attr {
				if strings.Contains(a.Value, "#56B4E9") || strings.Contains(a.Value, "#56b4e9") {
					bars++
				}
			}
		case xml.CharData:
			texts += string(x) + "\n"
		}
	}
	if bars != 8 { // two of them of no length
		t.Errorf("%d bars, expected 8", bars)
	}
	for _, want := range []string{"gpt2 pp512 f32, t/s", "gpt2 pp512 f16, t/s", "a cpu:0", "b cpu:<0>&?[31m"} {
		if !strings.Contains(texts, want) {
			t.Errorf("%q is not among its texts: %q", want, texts)
		}
	}
	out.Reset()
	if err := c.WritePlot(&out, plot.PNG); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(&out); err != nil {
		t.Errorf("as PNG: %v", err)
	}
	for _, values := range [][]Spread{{{0, 0, 2}, {0, 0, 2}}, {{-1, 5, 2}, {1e30, 1e30, 2}}, {{1e-30, 0, 1}, {}}} {
		c.Rows = []Row{{Key: "extreme", Values: values}}
		if err := c.WritePlot(io.Discard, plot.SVG); err != nil {
			t.Errorf("%v: %v", values, err)
		}
	}
	c.Rows = make([]Row, plotRows+1)
	if err := c.WritePlot(&out, plot.SVG); err == nil {
		t.Error("a plot of too many rows was drawn")
	}
}
