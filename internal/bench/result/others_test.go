package result

import (
	"testing"
	"time"
)

func TestOthers(t *testing.T) {
	before, err := parseStat([]byte("cpu  100 0 50 1000 50 0 0 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := (processors{busy: 1500 * time.Millisecond, all: 12 * time.Second}); before != want {
		t.Errorf("got %+v, expected %+v", before, want)
	}
	after, err := parseStat([]byte("cpu  400 10 100 1400 90 5 5 190 50 0\n")) // 10 s later, 560 hundredths of them busy
	if err != nil {
		t.Fatal(err)
	}
	after.ours = 1600 * time.Millisecond
	if got := after.othersSince(before); got != 0.4 { // 5.6 s less 1.6 s of 10 s
		t.Errorf("others had %v, expected 0.4", got)
	}
	after.ours = time.Minute // as clocks differ
	if got := after.othersSince(before); got != 0 {
		t.Errorf("others had %v, expected 0", got)
	}
	if got := after.othersSince(processors{}); got != 0 {
		t.Errorf("others since an unknown time had %v, expected 0", got)
	}
	for _, bad := range []string{"", "cpu 1 2 3\n", "cpu0 1 2 3 4 5 6 7 8\n", "cpu a b c d e f g h\n"} {
		if p, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q gave %+v", bad, p)
		}
	}
}
