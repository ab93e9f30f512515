package gpulab

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A block is a run of instructions that nothing jumps into or out of.
type block struct {
	lines []string
	next  []int // blocks that may follow
}

// reader reads the machine code of a maker as text.
type reader struct {
	blocks func(code string) []block

	// step tells what an instruction does to loads from global memory.
	step func(line string, pending *loads)
}

var readers = map[Maker]reader{AMD: {amdBlocks, amdStep}, NVIDIA: {nvidiaBlocks, nvidiaStep}}

// InFlight is how many bytes of loads from global memory a lane has in flight when the code
// waits for one of them: the most in an innermost loop, or in all of the code if no such loop
// loads. It is 0 for makers whose code is not read here.
func InFlight(m Maker, code string) int {
	r, ok := readers[m]
	if !ok || code == "" {
		return 0
	}
	blocks := r.blocks(code)
	most := 0
	for _, loop := range innermost(blocks) {
		l := loads{}
		for range 2 { // the second time as in the middle of the loop
			for _, b := range loop {
				for _, line := range blocks[b].lines {
					r.step(line, &l)
				}
			}
		}
		most = max(most, l.most)
	}
	if most > 0 {
		return most
	}
	l := loads{}
	for _, b := range blocks {
		for _, line := range b.lines {
			r.step(line, &l)
		}
	}
	return l.most
}

// loads are those in flight, the oldest first.
type loads struct {
	bytes []int
	slot  []int // of NVIDIA: the scoreboard that tells when the value is there
	most  int   // bytes in flight at a wait
}

func (l *loads) add(bytes, slot int) { l.bytes, l.slot = append(l.bytes, bytes), append(l.slot, slot) }

// wait waits for the loads of which done says so.
func (l *loads) wait(done func(i, slot int) bool) {
	sum, waits := 0, false
	var bytes, slot []int
	for i, n := range l.bytes {
		sum += n
		if done(i, l.slot[i]) {
			waits = true
			continue
		}
		bytes, slot = append(bytes, n), append(slot, l.slot[i])
	}
	if waits {
		l.most = max(l.most, sum)
	}
	l.bytes, l.slot = bytes, slot
}

// innermost returns the blocks of each loop in which there is no other loop, in the order of
// the code.
func innermost(blocks []block) (loops [][]int) {
	before := make([][]int, len(blocks))
	for i, b := range blocks {
		for _, n := range b.next {
			before[n] = append(before[n], i)
		}
	}
	var all [][]int
	for i, b := range blocks {
		for _, head := range b.next {
			if head > i {
				continue
			}
			// From the jump back against the flow, up to the head.
			in := map[int]bool{head: true}
			for queue := []int{i}; len(queue) > 0; queue = queue[1:] {
				if n := queue[0]; !in[n] && n > head {
					in[n] = true
					queue = append(queue, before[n]...)
				}
			}
			var loop []int
			for n := range blocks {
				if in[n] {
					loop = append(loop, n)
				}
			}
			all = append(all, loop)
		}
	}
	for _, loop := range all {
		inner := !slices.ContainsFunc(all, func(o []int) bool {
			return len(o) < len(loop) && !slices.ContainsFunc(o, func(n int) bool { return !slices.Contains(loop, n) })
		})
		if inner {
			loops = append(loops, loop)
		}
	}
	return loops
}

var (
	amdLabel = regexp.MustCompile(`^BB(\d+):`)
	amdJump  = regexp.MustCompile(`^\s*s_c?branch\w* BB(\d+)`)
	amdLoad  = regexp.MustCompile(`^\s*(?:buffer|global|flat|tbuffer)_load_(\w+)`)
	amdWait  = regexp.MustCompile(`^\s*(?:s_waitcnt .*vmcnt\((\d+)\)|s_wait_loadcnt(?:_dscnt)? 0x([0-9a-f]+))`)
)

func amdBlocks(code string) []block {
	var blocks []block
	var jumps [][]string // labels, of each block
	at := map[string]int{}
	begin := func() { blocks, jumps = append(blocks, block{}), append(jumps, nil) }
	begin()
	for line := range strings.Lines(code) {
		if m := amdLabel.FindStringSubmatch(line); m != nil {
			begin()
			at[m[1]] = len(blocks) - 1
			blocks[len(blocks)-2].next = append(blocks[len(blocks)-2].next, len(blocks)-1)
			continue
		}
		last := len(blocks) - 1
		blocks[last].lines = append(blocks[last].lines, line)
		if m := amdJump.FindStringSubmatch(line); m != nil {
			jumps[last] = append(jumps[last], m[1])
		}
	}
	for i := range blocks {
		if n := len(blocks[i].lines); n > 0 && strings.HasPrefix(strings.TrimSpace(blocks[i].lines[n-1]), "s_branch") {
			blocks[i].next = nil // nothing falls through
		}
		for _, label := range jumps[i] {
			if to, ok := at[label]; ok {
				blocks[i].next = append(blocks[i].next, to)
			}
		}
	}
	return blocks
}

func amdStep(line string, l *loads) {
	if m := amdWait.FindStringSubmatch(line); m != nil {
		left, _ := strconv.Atoi(m[1])
		if m[2] != "" {
			n, _ := strconv.ParseInt(m[2], 16, 32)
			left = int(n)
		}
		all := len(l.bytes)
		l.wait(func(i, _ int) bool { return i < all-left })
		return
	}
	if m := amdLoad.FindStringSubmatch(line); m != nil {
		l.add(amdBytes(m[1]), 0)
	}
}

// amdBytes is how many bytes a load of that kind gives a lane.
func amdBytes(kind string) int {
	switch {
	case strings.HasPrefix(kind, "dwordx4"), strings.HasPrefix(kind, "b128"):
		return 16
	case strings.HasPrefix(kind, "dwordx3"), strings.HasPrefix(kind, "b96"):
		return 12
	case strings.HasPrefix(kind, "dwordx2"), strings.HasPrefix(kind, "b64"):
		return 8
	case strings.HasPrefix(kind, "dword"), strings.HasPrefix(kind, "b32"):
		return 4
	case strings.Contains(kind, "short"), strings.Contains(kind, "16"):
		return 2
	}
	return 1
}

var (
	nvidiaLabel = regexp.MustCompile(`^block\S* (\d+) `)
	nvidiaNext  = regexp.MustCompile(`^\} -> \[(.*)\]`)
	nvidiaLoad  = regexp.MustCompile(`= ld\.global\.\S*?\b([bui])(\d+)\b`)
	nvidiaSlot  = regexp.MustCompile(`\bwr:(\d)`)
	nvidiaWait  = regexp.MustCompile(`\bwt=([01]+)`)
)

func nvidiaBlocks(code string) []block {
	var blocks []block
	var next [][]string
	at := map[string]int{}
	for line := range strings.Lines(code) {
		if m := nvidiaLabel.FindStringSubmatch(line); m != nil {
			at[m[1]] = len(blocks)
			blocks, next = append(blocks, block{}), append(next, nil)
			continue
		}
		last := len(blocks) - 1
		if last < 0 {
			continue
		}
		if m := nvidiaNext.FindStringSubmatch(line); m != nil {
			next[last] = strings.Split(m[1], ", ")
			continue
		}
		blocks[last].lines = append(blocks[last].lines, line)
	}
	for i := range blocks {
		for _, n := range next[i] {
			if to, ok := at[n]; ok {
				blocks[i].next = append(blocks[i].next, to)
			}
		}
	}
	return blocks
}

func nvidiaStep(line string, l *loads) {
	if m := nvidiaWait.FindStringSubmatch(line); m != nil {
		mask, _ := strconv.ParseUint(m[1], 2, 8)
		l.wait(func(_, slot int) bool { return mask>>slot&1 == 1 })
	}
	if m := nvidiaLoad.FindStringSubmatch(line); m != nil {
		bits, _ := strconv.Atoi(m[2])
		if s := nvidiaSlot.FindStringSubmatch(line); s != nil {
			slot, _ := strconv.Atoi(s[1])
			l.add(bits/8, slot)
		}
	}
}
