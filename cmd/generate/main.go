// Command generate is caldera generate as a program of its own.
package main

import (
	"os"

	"caldera/internal/cli"
	"caldera/internal/command/generate"
)

func main() { os.Exit(cli.Main(generate.Command())) }
