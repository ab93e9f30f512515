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

// processors is what the machine's processors have done, as far as the system
// tells: on Linux. It shows whether others used the machine meanwhile, which
// no deviation of our own samples would if they did so all the time.
type processors struct {
	busy, all time.Duration // of all processors together; all is 0 where it is not known
	ours      time.Duration // of busy, by this process and those that it has waited for
}

// busyOthers is a share of the processors below which others do not matter.
const busyOthers = 0.05

// readProcessors does not fail: it tells nothing where the system doesn't.
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

// othersNote is what people are told of it, if it matters.
func othersNote(share float64) string {
	if share < busyOthers {
		return ""
	}
	return fmt.Sprintf("; other programs took %.0f %% of the processors meanwhile", 100*share)
}
