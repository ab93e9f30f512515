// Command caldera is all that Caldera does, as subcommands of one program:
//
//	caldera generate "It is a truth universally acknowledged"
//	caldera help bench
package main

import (
	"os"

	"caldera/internal/cli"
	"caldera/internal/command/bench"
	"caldera/internal/command/chat"
	"caldera/internal/command/convert"
	"caldera/internal/command/generate"
	"caldera/internal/command/hub"
	"caldera/internal/command/inspect"
	"caldera/internal/command/train"
	"caldera/internal/command/watch"
)

func main() {
	commands := []cli.Command{
		generate.Command(), chat.Command(), train.Command(), convert.Command(), bench.Command(), inspect.Command(), watch.Command(),
	}
	os.Exit(cli.Program("GPTs on any GPU, from Go, without CUDA.", append(commands, hub.Commands()...)...))
}
