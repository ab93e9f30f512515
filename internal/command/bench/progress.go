package bench

import (
	"fmt"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"caldera/backend"
)

// progress tells on standard error what is being measured: in a bar on a
// terminal, else in a line for each step.
type progress struct {
	title string
	bar   *progressbar.ProgressBar // nil where there is no terminal
}

func newProgress(title string, d backend.DType) *progress {
	if d != backend.None {
		title += " " + d.String()
	}
	p := &progress{title: title}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		p.bar = progressbar.NewOptions(1, progressbar.OptionSetWriter(os.Stderr),
			progressbar.OptionSetPredictTime(false), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
	}
	return p
}

func (p *progress) step(what string, done, total int) {
	text := fmt.Sprintf("%s: %s", p.title, what)
	if p.bar == nil {
		fmt.Fprintln(os.Stderr, text)
		return
	}
	p.bar.ChangeMax(total)
	p.bar.Describe(text)
	p.bar.Set(done)
}

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Clear()
	}
}
