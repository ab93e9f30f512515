package main

import (
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on standard error, where that is a terminal.
type progress struct{ bar *progressbar.ProgressBar } // nil where there is no terminal

func newProgress() *progress {
	p := &progress{}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		p.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionFullWidth(),
			progressbar.OptionClearOnFinish())
	}
	return p
}

// step shows that done of total is done; a total of 0 is not known.
func (p *progress) step(what string, done, total int64) {
	if p.bar == nil {
		return
	}
	if total == 0 {
		total = -1
	}
	if done == total {
		done-- // the bar is for other steps as well
	}
	p.bar.Describe(what)
	p.bar.ChangeMax64(total)
	p.bar.Set64(done)
}

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Clear()
	}
}
