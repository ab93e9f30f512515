// Command bench is caldera bench as a program of its own.
package main

import (
	"os"

	"caldera/internal/cli"
	"caldera/internal/command/bench"
)

func main() { os.Exit(cli.Main(bench.Command())) }
