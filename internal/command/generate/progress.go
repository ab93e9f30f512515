package generate

import (
	"fmt"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on standard error, where that is a terminal.
type progress struct {
	bar    *progressbar.ProgressBar // nil where there is no terminal
	shared bool                     // standard output is the terminal too
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

// step shows how many prompts are done, and how many tokens are generated in a second.
func (p *progress) step(done int, speed float64) {
	if p.bar == nil {
		return
	}
	p.bar.Describe(fmt.Sprintf("prompts, %.4g tokens/s", speed))
	p.bar.Set(done)
}

// hide makes room for a line on the terminal. The next step shows the bar again.
func (p *progress) hide() {
	if p.bar != nil && p.shared {
		p.bar.Clear()
	}
}

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Clear()
	}
}
