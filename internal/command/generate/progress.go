package generate

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on standard error, where that is a terminal.
type progress struct {
	bar    *progressbar.ProgressBar // nil where there is no terminal
	shared bool                     // standard output is the terminal too
	done   int                      // as it was shown last
	shown  time.Time                // when that was; zero: it is not
}

// newProgress returns the progress of so many prompts; of 0: nobody knows how many.
func newProgress(total int) *progress {
	p := &progress{shared: term.IsTerminal(int(os.Stdout.Fd()))}
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return p
	}
	if total == 0 {
		total = -1
	}
	p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionFullWidth(), progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("prompts"),
		progressbar.OptionSetSpinnerChangeInterval(0)) // else what turns in place of a bar would never end
	return p
}

// reading shows how many prompts were read.
func (p *progress) reading(done int) { p.show("reading prompts", done) }

// answering shows how many prompts were answered, and how many tokens are generated in
// a second.
func (p *progress) answering(done int, speed float64) {
	p.show(fmt.Sprintf("prompts, %.1f tokens/s", speed), done)
}

// show draws the bar where another prompt is done, else ten times a second at most.
func (p *progress) show(what string, done int) {
	if p.bar == nil || done == p.done && time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.done, p.shown = done, time.Now()
	p.bar.Describe(what)
	p.bar.Set(done)
}

// hide makes room for a line on the terminal. The next step shows the bar again.
func (p *progress) hide() {
	if p.bar != nil && p.shared {
		p.bar.Clear()
		p.shown = time.Time{}
	}
}

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Clear()
	}
}
