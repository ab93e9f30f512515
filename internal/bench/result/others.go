package result

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// processors is the time that the machine's processors have worked, where the
// system says so: on Linux. It shows whether other programs used the machine. The
// deviation of our samples would not show one that did so all the time.
type processors struct {
	busy, all time.Duration // of all processors together; all is 0 where it is not known
	ours      time.Duration // of busy, by this process and those that it has waited for
}

// busyOthers is a share of the processors below which others do not matter.
const busyOthers = 0.05

// readProcessors returns zeros where the system does not say.
func readProcessors() processors {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return processors{}
	}
	p, err := parseStat(text)
	if err != nil {
		return processors{}
	}
	p.ours = processorTime()
	return p
}

// parseStat reads the first line of /proc/stat: hundredths of a second that
// all processors spent on user, nice, system, idle, iowait, irq, softirq, steal,
// and then guests, who are counted in user already.
func parseStat(text []byte) (p processors, err error) {
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Scan()
	fields := strings.Fields(s.Text())
	if len(fields) < 9 || fields[0] != "cpu" {
		return p, errors.New("no line of all processors")
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 62)
		if err != nil {
			return p, err
		}
		t := time.Duration(n) * 10 * time.Millisecond
		p.all += t
		if i != 3 && i != 4 {
			p.busy += t
		}
	}
	return p, nil
}

// othersSince is the share of all processors' time that others had since an
// earlier reading; 0 if that is not known.
func (p processors) othersSince(o processors) float64 {
	all := p.all - o.all
	if all <= 0 || o.all == 0 {
		return 0
	}
	others := (p.busy - o.busy) - (p.ours - o.ours)
	return min(1, max(0, float64(others)/float64(all)))
}

// othersNote is a note for people; empty where it does not matter.
func othersNote(share float64) string {
	if share < busyOthers {
		return ""
	}
	return fmt.Sprintf("; other programs took %.0f %% of the processors meanwhile", 100*share)
}
