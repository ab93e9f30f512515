package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/bench/peer"
)

// The test binary is a peer where this is set, of the kind that it names.
const asPeer = "CALDERA_TEST_PEER"

// fakePeer is a peer. After a colon its mode names a file.
func fakePeer(mode string) {
	mode, path, _ := strings.Cut(mode, ":")
	answer := func(a peer.Reply) {
		text, _ := json.Marshal(a)
		os.Stdout.Write(append(text, '\n'))
	}
	runs := 0
	var learner *fakeLearner
	if mode == "crashes" {
		fmt.Fprintln(os.Stderr, "no library\n    at somewhere")
		os.Exit(3)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var q peer.Request
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			panic(err)
		}
		if q.Command == "run" || q.Command == "steps" {
			runs++
		}
		switch {
		case mode == "hangs at start", mode == "hangs" && runs == 2:
			time.Sleep(24 * time.Hour)
		case mode == "crashes later" && runs == 4:
			panic("assertion failed")
		case mode == "garbage":
			fmt.Println("\x1b[31mhello")
		case mode == "a long line":
			os.Stdout.Write(append(bytes.Repeat([]byte{'x'}, 1<<20), '\n'))
		case mode == "lies" && runs == 1:
			answer(peer.Reply{NS: int64(time.Hour)})
		case mode == "refuses" && q.Command == "load":
			answer(peer.Reply{Error: "no\nroom"})
		case mode == "of another family" && q.Command == "load":
			answer(peer.Reply{Unsupported: "models of this family"})
		case mode == "absent":
			answer(peer.Reply{Absent: "it has no parrot"})
		case q.Command == "start":
			if mode == "has a child" {
				child := exec.Command("sleep", "86400")           // longer than the tests wait for its end
				child.Stdout, child.Stderr = os.Stdout, os.Stderr // which it holds open
				if err := child.Start(); err != nil {
					panic(err)
				}
				if err := os.WriteFile(path, []byte(strconv.Itoa(child.Process.Pid)), 0o600); err != nil {
					panic(err)
				}
			}
			answer(peer.Reply{Name: "fake", Version: "7", Device: "CPU", Info: "of tests"})
		case q.Command == "train" && mode != "has a child":
			learner = newFakeLearner(q)
			answer(peer.Reply{Threads: q.Threads, Info: "by heart"})
		case q.Command == "steps" && mode != "has a child":
			a := learner.steps(q)
			switch mode {
			case "another loss":
				a.Losses[1] += 2e-3
			case "few losses":
				a.Losses = a.Losses[1:]
			case "a loss below 0":
				a.Losses[0] = -1
			}
			answer(a)
		case q.Command == "load":
			answer(peer.Reply{Threads: q.Threads})
		case mode == "has a child":
			os.Exit(5)
		case q.Command == "batch":
			start := time.Now()
			time.Sleep(time.Millisecond)
			a := peer.Reply{Batches: 7}
			for range q.Prompts {
				a.Tokens = append(a.Tokens, slices.Repeat([]int{1}, min(q.Predict, q.Told)))
			}
			switch mode {
			case "few sequences":
				a.Tokens = a.Tokens[1:]
			case "few tokens":
				a.Tokens[0] = nil
			}
			a.NS = time.Since(start).Nanoseconds()
			answer(a)
		default:
			start := time.Now()
			time.Sleep(time.Millisecond)
			answer(peer.Reply{NS: time.Since(start).Nanoseconds(), Token: 1})
		}
	}
	os.Exit(0)
}

// fake is a peer of a kind that fakePeer knows.
func fake(name, mode string) peer.Peer {
	return peer.Peer{
		Name: name,
		Programs: func(string) ([]peer.Program, error) {
			return []peer.Program{{Path: os.Args[0], Env: []string{asPeer + "=" + mode}}}, nil
		},
		DTypes:  func(string) []backend.DType { return []backend.DType{backend.F32, backend.F16} },
		Threads: func(_ string, n int) []int { return []int{n} },
		File:    peer.Files.GGUF,
	}
}

// fakeLearner trains with our own library, on the CPU, what it is given.
type fakeLearner struct {
	tr *gpt.Trainer
	q  peer.Request
}

func newFakeLearner(q peer.Request) *fakeLearner {
	b, err := backend.Open("cpu")
	if err != nil {
		panic(err)
	}
	m, err := gpt.Load(context.Background(), b, q.Model, gpt.LoadOptions{Train: true})
	if err != nil {
		panic(err)
	}
	dtype, err := backend.ParseDType(q.DType, backend.Targets)
	if err != nil {
		panic(err)
	}
	tr, err := gpt.NewTrainer(m, trainOptions(q.Training, dtype))
	if err != nil {
		panic(err)
	}
	return &fakeLearner{tr, q}
}

func (l *fakeLearner) steps(q peer.Request) (a peer.Reply) {
	start := time.Now()
	for range q.Steps {
		loss, _, err := l.tr.Step(q.IDs, q.Targets, l.q.Rate)
		if err != nil {
			panic(err)
		}
		a.Losses = append(a.Losses, loss)
	}
	a.NS, a.PeakRSS = time.Since(start).Nanoseconds(), 5<<20
	return a
}
