package inspect

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestEmbed gives a sum in separate arguments, of which some are signs, and in one.
func TestEmbed(t *testing.T) {
	type answer struct {
		Result struct {
			Sum struct{ Nearest []struct{ Text string } }
		}
	}
	var nearest []string
	for _, args := range [][]string{
		{"mother", "-", "she", "+", "he"}, {"mother - she + he"}, {"mother", "--plus=he", "--minus=she"}, {"--minus=she", "--plus=he,mother"},
	} {
		r := run(t, append([]string{"embed", "--json", "--nearest=3"}, args...)...)
		var a answer
		if err := json.Unmarshal([]byte(r.Out), &a); err != nil || r.Code != 0 {
			t.Fatalf("%q: exit code %d, %v\n%s", args, r.Code, err, r.Stderr)
		}
		var texts []string
		for _, n := range a.Result.Sum.Nearest {
			texts = append(texts, n.Text)
		}
		if len(texts) != 3 || nearest != nil && !slices.Equal(texts, nearest) {
			t.Errorf("%q: nearest are %q, before %q", args, texts, nearest)
		}
		nearest = texts
	}
	wantFailure(t, run(t, "embed"), 2, "no word")
	wantFailure(t, run(t, "embed", "a", "-"), 2, "no word follows")
}
