// Command convert is caldera convert as a program of its own.
package main

import (
	"os"

	"caldera/internal/cli"
	"caldera/internal/command/convert"
)

func main() { os.Exit(cli.Main(convert.Command())) }
