package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that ends with the first Ctrl-C, SIGTERM or
// SIGHUP. After that a second Ctrl-C or SIGTERM ends the process at once.
//
// A SIGHUP that is ignored when the process starts stays ignored: that is how
// nohup protects a command when its terminal is closed. A second SIGHUP does nothing,
// because both the terminal and the shell send one, and the command needs time to save
// its results.
//
// Where interrupts are the command's own, Ctrl-C does neither.
func untilSignal(interrupts bool) (context.Context, context.CancelFunc) {
	signals := []os.Signal{syscall.SIGTERM}
	if !interrupts {
		signals = append(signals, os.Interrupt)
	}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP)
		stop()
	})
	return ctx, stop
}
