// Command inspect looks into a GPT while it reads a text:
//
//	inspect tokens "It is a truth universally acknowledged"
package main

import (
	"os"

	"caldera/internal/cli"
	"caldera/internal/command/inspect"
)

func main() { os.Exit(cli.Main(inspect.Command())) }
