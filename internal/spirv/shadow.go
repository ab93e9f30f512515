package spirv

// cell is what is known of a word of memory: who wrote it last, and who has read it since. A stamp holds, from the
// top,
//
//	32 bits  the serial number of a workgroup, or of a transfer; 0: nobody
//	11 bits  how many barriers the workgroup had passed
//	 7 bits  how many barriers of its own the subgroup had passed since
//	 4 bits  flags
//	10 bits  the invocation, the first one of several
type cell struct{ write, read uint64 }

const (
	stampSerial  = 32
	stampPhase   = 21
	stampSub     = 14
	stampLanes   = 1 << 13 // several lanes of the subgroup
	stampMany    = 1 << 12 // several subgroups since the last barrier
	stampGroups  = 1 << 11 // several workgroups
	stampAtomic  = 1 << 10
	stampWho     = 1<<10 - 1
	samePhase    = (1<<11 - 1) << stampPhase
	sameSubphase = (1<<7 - 1) << stampSub
)

// stamp makes a stamp without flags.
func stamp(serial uint32, phase, sub, who int) uint64 {
	return uint64(serial)<<stampSerial | uint64(phase)<<stampPhase&samePhase | uint64(sub)<<stampSub&sameSubphase | uint64(who)
}

// clash reports whether two accesses by one workgroup have no barrier between them. lanes are those of a subgroup.
func clash(old, now uint64, lanes int) bool {
	if (old^now)&samePhase != 0 {
		return false
	}
	if old&stampMany != 0 {
		return true
	}
	a, b := int(old&stampWho), int(now&stampWho)
	if a/lanes != b/lanes {
		return true
	}
	if (old^now)&sameSubphase != 0 {
		return false
	}
	return a != b || (old|now)&stampLanes != 0
}

// together is the stamp of two reads, of which the new one is not ordered behind the old one by a pipeline barrier.
func together(old, now uint64, lanes int) uint64 {
	groups := old & stampGroups
	switch {
	case old>>stampSerial != now>>stampSerial:
		return now | stampGroups
	case (old^now)&samePhase != 0:
		return now | groups
	case int(old&stampWho)/lanes != int(now&stampWho)/lanes || old&stampMany != 0:
		return now | groups | stampMany
	case (old^now)&sameSubphase != 0 || old == now:
		return now | groups
	}
	return old | stampLanes
}

// access says which way a word was used.
type access uint8

const (
	reads access = iota
	writes
	atomics
)

var accessNames = [...]string{"read", "write", "atomic access"}

// races reports with what an access clashes, or "". ordered is the serial number from which on nothing is ordered by
// a pipeline barrier. now has the phases that count for a write that is to be seen, first those that count for a read
// before a write.
func (c *cell) races(kind access, now, first uint64, ordered uint64, lanes int) string {
	unordered := func(old, now uint64) bool {
		if old>>stampSerial < ordered {
			return false
		}
		return old>>stampSerial != now>>stampSerial || old&stampGroups != 0 || clash(old, now, lanes)
	}
	if unordered(c.write, now) && !(kind == atomics && c.write&stampAtomic != 0) {
		if c.write&stampAtomic != 0 {
			return accessNames[atomics]
		}
		return accessNames[writes]
	}
	if kind != reads && unordered(c.read, first) && !(kind == atomics && c.read&stampAtomic != 0) {
		return accessNames[reads]
	}
	return ""
}

// overwritten is races of a transfer that writes a word. Mostly a pipeline barrier stands behind all that was done with it.
func (c *cell) overwritten(now, ordered uint64) string {
	if max(c.write, c.read)>>stampSerial < ordered {
		return ""
	}
	return c.races(writes, now, now, ordered, 1)
}
