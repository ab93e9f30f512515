package train

import (
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on standard error, where that is a terminal.
type progress struct {
	terminal bool
	bar      *progressbar.ProgressBar // of what is being done; nil for nothing
	total    int64                    // of bar
}

func newProgress() *progress {
	return &progress{terminal: term.IsTerminal(int(os.Stderr.Fd()))}
}

// step shows that done of total is done; a total of 0 is not known.
func (p *progress) step(what string, done, total int64) {
	if !p.terminal {
		return
	}
	if total == 0 {
		total = -1
	}
	if p.bar == nil || total != p.total { // a bar cannot begin again
		p.end()
		p.total = total
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionFullWidth(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetSpinnerChangeInterval(0)) // else what turns in place of a bar would never end
	}
	if done == total {
		return // which would end the bar
	}
	p.bar.Describe(what)
	p.bar.Set64(done)
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		p.bar.Clear()
		p.bar = nil
	}
}
