package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"caldera/backend"
)

// The test binary is a peer where this is set, of the kind that it names.
const asPeer = "CALDERA_TEST_PEER"

// fakePeer is a peer. After a colon its mode names a file.
func fakePeer(mode string) {
	mode, path, _ := strings.Cut(mode, ":")
	answer := func(a peerReply) {
		text, _ := json.Marshal(a)
		os.Stdout.Write(append(text, '\n'))
	}
	runs := 0
	if mode == "crashes" {
		fmt.Fprintln(os.Stderr, "no library\n    at somewhere")
		os.Exit(3)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var q peerRequest
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			panic(err)
		}
		if q.Command == "run" {
			runs++
		}
		switch {
		case mode == "hangs at start", mode == "hangs" && runs == 2:
			time.Sleep(time.Hour)
		case mode == "crashes later" && runs == 4:
			panic("assertion failed")
		case mode == "garbage":
			fmt.Println("\x1b[31mhello")
		case mode == "a long line":
			os.Stdout.Write(append(bytes.Repeat([]byte{'x'}, 1<<20), '\n'))
		case mode == "lies" && runs == 1:
			answer(peerReply{NS: int64(time.Hour)})
		case mode == "refuses" && q.Command == "load":
			answer(peerReply{Error: "no\nroom"})
		case mode == "absent":
			answer(peerReply{Absent: "it has no parrot"})
		case q.Command == "start":
			if mode == "has a child" {
				child := exec.Command("sleep", "3600")
				child.Stdout, child.Stderr = os.Stdout, os.Stderr // which it holds open
				if err := child.Start(); err != nil {
					panic(err)
				}
				if err := os.WriteFile(path, []byte(strconv.Itoa(child.Process.Pid)), 0o600); err != nil {
					panic(err)
				}
			}
			answer(peerReply{Name: "fake", Version: "7", Device: "CPU", Info: "of tests"})
		case q.Command == "load":
			answer(peerReply{Threads: q.Threads})
		case mode == "has a child":
			os.Exit(5)
		default:
			start := time.Now()
			time.Sleep(time.Millisecond)
			answer(peerReply{NS: time.Since(start).Nanoseconds(), Token: 1})
		}
	}
	os.Exit(0)
}

// fake is a peer of a kind that fakePeer knows.
func fake(name, mode string) Peer {
	return Peer{
		Name: name,
		programs: func(string) ([]peerProgram, error) {
			return []peerProgram{{path: os.Args[0], env: []string{asPeer + "=" + mode}}}, nil
		},
		dtypes:  func(string) []backend.DType { return []backend.DType{backend.F32} },
		threads: only,
		file:    modelFiles.gguf,
	}
}
