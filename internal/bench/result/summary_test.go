package result

import (
	"strings"
	"testing"
)

// TestSummary has a row for each device and type, and a cell for each test.
func TestSummary(t *testing.T) {
	other := measured("cpu:0", "f16", 500)
	other.NPrompt, other.NGen = 0, 128
	other.TypeK, other.TypeV, other.Yardstick, other.OthersShare = "f16", "f16", "read bandwidth", 0.5
	other.Summarise(Ceilings{})
	var out strings.Builder
	if err := Write(&out, Summary, []Record{measured("cpu:0", "f32", 90, 110), other}); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"| model | device | dtype | pp512, t/s | of matrix products | tg128, t/s | of read bandwidth |",
		"| gpt2 | The cpu:0, none, 0 threads | f32 | 100 ± 14 | 50.0 ± 0.0 % | | |",
		"| gpt2 | The cpu:0, none, 0 threads | f16, cache f16 | | | 125 (once) | 50.0 (once) % |",
		"- gpt2 on The cpu:0; other programs took 50 % of the processors meanwhile",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for want, records := range map[string][]Record{
		"is there twice":            {other, other},
		"a result of kind overhead": {&OverheadResult{Common: Common{Kind: "overhead"}}},
		"kinds overhead and test":   {&OverheadResult{Common: Common{Kind: "overhead"}}, other},
		"there are no results":      nil,
	} {
		if err := Write(&out, Summary, records); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}
