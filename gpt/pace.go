package gpt

import (
	"cmp"
	"math/bits"
	"time"

	"caldera/backend"
	"caldera/gpt/model"
)

// paceByRule is for tests: what steps take is not measured.
var paceByRule = false

// A pace says how many guesses a step is to have: those with which most tokens come in a
// second, by how often guesses were right of late and by what steps take. Where they do not
// pay, guesses are only compared with what comes, until they are right more often.
//
// Where the number of tokens in a step can change the bits of scores, and so a choice between
// tokens that are all but equally likely, no clock decides, so that a seed gives one text:
// there a step of n tokens counts as 1 + (n-1)/16 steps of one.
type pace struct {
	most     int // guesses of a step
	measures bool

	right float64            // how likely a guess is right
	each  float64            // what a guess costs, in steps of one token
	asks  int                // how often the drafter was asked
	took  [paceSizes]float64 // seconds that a step of 2^i tokens takes; 0: unknown
	runs  [paceSizes]int     // of such a step
	last  [paceSizes]int     // the step at which it ran last
	steps int                // in all

	wait, waited int // where guesses do not pay: after how many tokens one is asked for, and how many passed
	expected     int // a guess that is compared with what comes, and not read; -1: none
}

const (
	paceSizes   = 5      // steps of 1, 2, 4, 8, 16 tokens
	firstRight  = 0.6    // what guesses are taken to be worth before there are any
	learning    = 1. / 8 // the weight of the latest guess in the mean of all
	longestWait = 64     // tokens that pass without a guess
	freeGuess   = 0.02   // the share of a step that a guess may take and be asked for at each token
	fading      = 0.999  // how much less counts what was measured a step ago: what was disturbed is measured again
	leastGain   = 1.05   // tokens in the time of a step, from which on guesses are read
	unknownStep = 1.25   // what a step costs at most that has not run often, by the one with half as many tokens
	fewRuns     = 4      // not often: each of these may have been disturbed
)

// newPace is of a text that m generates as o says.
func newPace(m *model.Model, o Options) *pace {
	p := &pace{most: cmp.Or(o.Guesses, MaxGuesses), measures: backend.Reproducible(m.Backend) && !paceByRule,
		right: firstRight, wait: 1, expected: -1}
	if d, ok := o.Drafter.(*ModelDrafter); ok {
		p.each = float64(d.session.m.Parameters()) / float64(m.Parameters())
	}
	return p
}

// guesses is how many the next step is to have, at most room, and how many to ask for: the
// same, or one to compare with what comes.
func (p *pace) guesses(room int) (n, ask int) {
	if known := !p.measures || p.runs[0] > 2; known {
		best := leastGain
		for i := 1; i < paceSizes && 1<<(i-1) <= min(room, p.most); i++ {
			g := min(1<<i-1, room, p.most)
			if gain := expectedTokens(p.right, g) / (p.cost(i) + float64(g)*p.each); gain > best {
				best, n = gain, g
			}
		}
	}
	if n > 0 {
		p.wait, p.waited = 1, 0
		return n, n
	}
	if p.waited++; p.waited < p.wait {
		return 0, 0
	}
	p.waited = 0
	return 0, 1
}

// expectedTokens is how many tokens a step of g guesses gives where each is right with the
// probability: the guesses before the first wrong one, and the token that is drawn after them.
func expectedTokens(right float64, g int) float64 {
	sum, p := 1.0, 1.0
	for range g {
		p *= right
		sum += p
	}
	return sum
}

// cost is what a step of 2^i tokens costs, in steps of one.
func (p *pace) cost(i int) float64 {
	switch {
	case !p.measures:
		return 1 + float64(int(1)<<i-1)/16
	case p.runs[i] > fewRuns || i == 0:
		return max(1, p.took[i]/p.took[0])
	}
	guess := unknownStep * p.cost(i-1)
	if p.runs[i] < 2 {
		return guess
	}
	return min(guess, max(1, p.took[i]/p.took[0]))
}

// learn tells whether a guess was right.
func (p *pace) learn(right bool) {
	x := 0.0
	if right {
		x = 1
	}
	p.right += (x - p.right) * learning
}

// compare tells of a token that was drawn.
func (p *pace) compare(id int) {
	if p.expected < 0 {
		return
	}
	right := id == p.expected
	p.expected = -1
	p.learn(right)
	switch {
	case right:
		p.wait = 1
	case p.each > freeGuess:
		p.wait = min(2*p.wait, longestWait)
	}
}

// asked tells how long the drafter took for n guesses. The first time it reads the prompt.
func (p *pace) asked(n int, d time.Duration) {
	if p.asks++; p.measures && p.took[0] > 0 && p.asks > 1 && n > 0 {
		p.each = near(p.each, d.Seconds()/float64(n)/p.took[0], 1)
	}
}

// ran tells how long a step of a power of two of tokens took. At its first run it takes memory.
func (p *pace) ran(tokens int, d time.Duration) {
	p.steps++
	at := bits.Len(uint(tokens)) - 1
	for i := range p.took {
		if i != at {
			p.took[i] *= fading
		}
	}
	switch p.runs[at]++; p.runs[at] {
	case 1:
	case 2:
		p.took[at] = d.Seconds()
	case 3, fewRuns:
		p.took[at] = min(p.took[at], d.Seconds())
	default:
		p.took[at] = near(p.took[at], d.Seconds(), p.steps-p.last[at])
	}
	p.last[at] = p.steps
}

// near moves a mean of times, as old as so many steps, toward the latest one, the faster down
// than up: others who use the machine only make times longer.
func near(mean, x float64, age int) float64 {
	if x < mean {
		return mean + (x-mean)/2
	}
	return mean + (x-mean)*min(1, float64(age)/16)
}
