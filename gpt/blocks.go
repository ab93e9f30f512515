package gpt

// blocks are the parts of a pool of keys and values, and how many sequences use each.
type blocks struct {
	users []int // of each block
	free  []int // those that nobody uses
}

func newBlocks(n int) *blocks {
	p := &blocks{users: make([]int, n), free: make([]int, n)}
	for i := range p.free {
		p.free[i] = n - 1 - i // block 0 is taken first
	}
	return p
}

// used is the number of blocks that sequences use.
func (p *blocks) used() int { return len(p.users) - len(p.free) }

// take finds a block for one user. There is one, for sequences reserve theirs.
func (p *blocks) take() int {
	n := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.users[n] = 1
	return n
}

// share adds a user.
func (p *blocks) share(n int) { p.users[n]++ }

// release removes a user.
func (p *blocks) release(n int) {
	if p.users[n]--; p.users[n] == 0 {
		p.free = append(p.free, n)
	}
}
