// Command watch shows in a window what a GPT computes while it writes. The window is a
// part of it only where it is built with the tag watch, which needs the headers of the
// window system: make watch.
package main

import (
	"os"

	"caldera/internal/cli"
	"caldera/internal/command/watch"
)

func main() { os.Exit(cli.Main(watch.Command())) }
