// Command train is caldera train as a program of its own.
package main

import (
	"os"

	"caldera/internal/cli"
	"caldera/internal/command/train"
)

func main() { os.Exit(cli.Main(train.Command())) }
