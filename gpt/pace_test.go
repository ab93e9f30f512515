package gpt

import (
	"testing"
	"time"
)

// TestPace plays a device whose steps take known times.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name    string
		steps   [paceSizes]float64 // ms
		guess   float64            // ms
		right   func(i int) bool   // whether guess i is
		measure bool
		least   float64 // the guesses a step that it comes to
		most    float64
	}{
		{"always right, rows cost nothing", [...]float64{10, 10, 10, 10, 10}, 0, func(int) bool { return true }, true, 14.5, 15},
		{"always right, by rule", [paceSizes]float64{}, 0, func(int) bool { return true }, false, 15, 15},
		{"always right, each row costs a step", [...]float64{10, 21, 44, 90, 190}, 0, func(int) bool { return true }, true, 0, 0.3},
		{"always right, sixteen rows are slow", [...]float64{10, 11, 12, 13, 90}, 0, func(int) bool { return true }, true, 6.5, 7.5},
		{"never right", [...]float64{10, 10, 10, 10, 10}, 0, func(int) bool { return false }, true, 0, 0.1},
		{"never right, by rule", [paceSizes]float64{}, 0, func(int) bool { return false }, false, 0, 0},
		{"right every second time, a draft model of half the size", [...]float64{10, 11, 12, 13, 14}, 5, func(i int) bool { return i%2 == 0 }, true, 0, 0},
		{"right every second time, a draft model of a hundredth", [...]float64{10, 11, 12, 13, 14}, 0.1, func(i int) bool { return i%2 == 0 }, true, 1, 7},
	} {
		p := &pace{most: MaxGuesses, measures: c.measure, right: firstRight, wait: 1, expected: -1}
		ms := func(x float64) time.Duration { return time.Duration(x * float64(time.Millisecond)) }
		made, sum := 0, 0
		const steps = 400
		for step := range steps {
			n, ask := p.guesses(1000)
			if step >= steps/2 {
				sum += n
			}
			if ask > 0 {
				p.asked(ask, ms(c.guess*float64(ask)))
			}
			if n == 0 && ask > 0 {
				p.expected = 1
			}
			i := 0
			for 1<<i < n+1 {
				i++
			}
			p.ran(1<<i, ms(c.steps[i]))
			for range n {
				made++
				right := c.right(made)
				if p.learn(right); !right {
					break
				}
			}
			if n == 0 {
				made++
				id := 1
				if !c.right(made) {
					id = 2
				}
				p.compare(id)
			}
		}
		if mean := float64(sum) / (steps / 2); mean < c.least || mean > c.most {
			t.Errorf("%s: %.2f guesses a step, expected %v to %v (%+v)", c.name, mean, c.least, c.most, p)
		}
	}
}

// TestPaceWaits asks a slow drafter that is wrong ever less often, and one that is fast always.
func TestPaceWaits(t *testing.T) {
	for _, c := range []struct {
		each        float64
		least, most int
	}{{0.5, 10, 25}, {0, 1000, 1000}} {
		p := &pace{most: MaxGuesses, right: 0, each: c.each, wait: 1, expected: -1}
		asked := 0
		for range 1000 {
			n, ask := p.guesses(100)
			if n != 0 {
				t.Fatalf("%d guesses of a drafter that is never right", n)
			}
			if asked += ask; ask > 0 {
				p.expected = 1
			}
			p.compare(2)
		}
		if asked < c.least || asked > c.most {
			t.Errorf("a guess that takes %v of a step: asked %d times in 1000 tokens, expected %d to %d", c.each, asked, c.least, c.most)
		}
		// Once it is right it is asked again at each token, and its guesses are read.
		for i := 0; ; i++ {
			n, ask := p.guesses(100)
			if n > 0 {
				break
			}
			if i == 200 {
				t.Fatalf("it was right 200 times, and its guesses are not read (%+v)", p)
			}
			if ask > 0 {
				p.expected = 1
			}
			p.compare(1)
		}
		if n, _ := p.guesses(2); n > 2 {
			t.Errorf("%d guesses where there is room for 2", n)
		}
	}
}
