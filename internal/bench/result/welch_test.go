package result

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestWelch holds the test to a published example, whose samples are given with
// their result: t = 2.46 with 25.0 degrees of freedom, p = 0.021.
// https://en.wikipedia.org/wiki/Welch's_t-test, example 1
func TestWelch(t *testing.T) {
	a := SpreadOf([]float64{27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4})
	b := SpreadOf([]float64{27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4})
	if p := welch(a, b); math.Abs(p-0.021) > 0.0005 || welch(b, a) != p {
		t.Errorf("p = %v, and %v the other way round, expected 0.021", p, welch(b, a))
	}
	for _, c := range []struct {
		a, b Spread
		want float64
	}{{Spread{1, 0, 3}, Spread{1, 0, 2}, 1}, {Spread{1, 0, 3}, Spread{2, 0, 2}, 0}} {
		if p := welch(c.a, c.b); p != c.want {
			t.Errorf("%v and %v: p = %v, expected %v", c.a, c.b, p, c.want)
		}
	}
}

// TestAgree judges many pairs of runs: of runs that are the same about one in a
// hundred may be told apart, of runs that differ nearly all must.
func TestAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	run := func(speed float64) File {
		var records []Record
		for _, dtype := range []string{"f32", "f16", "q8_0"} {
			var speeds []float64
			for range 5 {
				speeds = append(speeds, speed*(1+0.03*r.NormFloat64()))
			}
			x := measured("cpu:0", dtype, speeds...)
			x.NThreads = 2
			records = append(records, x)
		}
		return File{"run.json", records}
	}
	const pairs = 1000
	for _, c := range []struct {
		speed       float64
		least, most int // pairs that are found to differ
	}{{100, 0, 2 * pairs / 100}, {130, pairs * 95 / 100, pairs}} {
		found := 0
		for range pairs {
			g, err := Agree(run(100), run(c.speed))
			if err != nil {
				t.Fatal(err)
			}
			if g.Differ > 0 {
				found++
			}
		}
		if found < c.least || found > c.most {
			t.Errorf("speeds of 100 and %v are found to differ in %d of %d pairs, expected %d to %d", c.speed, found, pairs, c.least, c.most)
		}
	}
}

func TestAgreeTable(t *testing.T) {
	a := File{"a.json", []Record{measured("cpu:0", "f32", 100, 101, 102), measured("cpu:0", "f16", 100), measured("cpu:0", "q8_0", 1, 2)}}
	b := File{"b.json", []Record{measured("cpu:0", "f32", 200, 201, 202), measured("cpu:0", "f16", 100), measured("cpu:0", "q4_0", 1, 2)}}
	g, err := Agree(a, b)
	if err != nil || g.Differ != 1 {
		t.Fatalf("%+v, %v", g, err)
	}
	var out strings.Builder
	if err := g.Write(&out); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"| gpt2 pp512 f32 | cpu:0 | t/s | 101 ± 1 | 201 ± 1 | +99.0 % | ", " | DIFFERS |",
		"| gpt2 pp512 f32 | cpu:0 | % of matrix products | 50.0 ± 0.0 | 50.0 ± 0.0 | +0.0 % | 1 | agrees |",
		"| gpt2 pp512 f16 | cpu:0 | t/s | 100 (once) | 100 (once) | +0.0 % | | not judged: no repetitions |",
		"- 2 results are in one of the files alone", "where p is below 0.005: 0.01, the chance of a false alarm in all, over the 2 figures that were judged.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	other := measured("cpu:0", "f32", 1, 2)
	other.DeviceName = "Another"
	for want, b := range map[string][]Record{
		"nothing in a.json and b.json can be judged": {measured("cpu:0", "q4_0", 1, 2)},
		"cpu:0 is The cpu:0 in a.json and Another":   {other},
	} {
		if _, err := Agree(a, File{"b.json", b}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}
