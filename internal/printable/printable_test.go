package printable

import "testing"

func TestText(t *testing.T) {
	for s, want := range map[string]string{
		"":                            "",
		"h.0.ln_1.weight, naïve 世界 …": "h.0.ln_1.weight, naïve 世界 …",
		`"a\u0062"`:                   `"a\u0062"`,
		"\x1b[31mred\x07":             `\x1b[31mred\a`,
		"a\nb\tc\r":                   `a\nb\tc\r`,
		"\u009b2J":                    `\u009b2J`, // C1: a terminal may take it for ESC [
		"\u202egnp.exe":               `\u202egnp.exe`,
		"caf\xe9 \x7f":                `caf\xe9 \x7f`,
		"\uFFFD":                      "\uFFFD",
	} {
		if got := Text(s); got != want {
			t.Errorf("Text(%q) = %s, expected %s", s, got, want)
		}
	}
}

func TestInvalidUTF8(t *testing.T) {
	for s, want := range map[string]int{
		"": -1, "naïve 世界": -1, "\uFFFD": -1, "a\uFFFDb": -1, "\xff": 0, "ab\xc3": 2, "\uFFFD\xe9": 3, "\xed\xa0\x80": 0,
	} {
		if got := InvalidUTF8([]byte(s)); got != want {
			t.Errorf("%q: byte %d, expected %d", s, got, want)
		}
	}
}
