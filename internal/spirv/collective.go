package spirv

import (
	"fmt"
	"math"

	"github.com/x448/float16"
)

// subgroupStep makes the step of a subgroup operation.
func (c *compiler) subgroupStep(m *micro) step {
	w := c.o.Lanes
	to := m.dst[0].slot * w
	var from [2]int
	for i, r := range m.src {
		from[i] = r.slot * w
	}
	whole := func(s *sub) {
		if s.m != s.all {
			s.g.report(Divergent, m.in, "%s is not here, %s is", s.invocation(s.absent()), s.invocation(s.active()[0]))
		}
	}
	all := func(s *sub, v uint32) {
		d := s.r[to : to+w]
		for i := range d {
			d[i] = v
		}
	}
	switch m.op {
	case opGroupNonUniformElect:
		return func(s *sub) {
			whole(s)
			all(s, 0)
			s.r[to+s.active()[0]] = 1
		}
	case opGroupNonUniformBallot:
		return func(s *sub) {
			whole(s)
			var words [4]uint32
			for _, i := range s.active() {
				words[i/32] |= s.r[from[0]+i] << (i % 32)
			}
			for j, r := range m.dst {
				d := s.r[r.slot*w : r.slot*w+w]
				for i := range d {
					d[i] = words[j]
				}
			}
		}
	case opGroupNonUniformBroadcast, opGroupNonUniformShuffle, opGroupNonUniformXor:
		return func(s *sub) {
			whole(s)
			copy(s.same, s.r[from[0]:from[0]+w])
			for _, i := range s.active() {
				k := s.r[from[1]+i]
				if m.op == opGroupNonUniformXor {
					k ^= uint32(i)
				}
				if k >= uint32(w) || !s.m.has(int(k)) {
					s.g.report(Divergent, m.in, "%s takes the number of lane %d, which is not active", s.invocation(i), k)
					k = uint32(i)
				}
				s.r[to+i] = s.same[k]
			}
			if m.op == opGroupNonUniformBroadcast {
				all(s, s.r[to+s.active()[0]])
			}
		}
	}
	join := map[uint16]func(a, b uint32) uint32{
		opGroupNonUniformIAdd: binary2[opIAdd], opGroupNonUniformFAdd: binary2[opFAdd], opGroupNonUniformUMax: binary2[extended+glslUMax],
		opGroupNonUniformFMax: fmax,
	}[m.op]
	return func(s *sub) {
		whole(s)
		lanes := s.active()
		v := s.r[from[0]+lanes[0]]
		for _, i := range lanes[1:] {
			v = join(v, s.r[from[0]+i])
		}
		all(s, v)
	}
}

// Cooperative matrices are kept as a whole, row after row: which lane has which element is the device's secret.

func (c *compiler) matrixShape(t *typ) [2]int {
	rows, columns, scope := int(c.number(t.shape[0])), int(c.number(t.shape[1])), t.of.kind
	if scope != kindFloat || rows < 1 || columns < 1 || rows > 64 || columns > 64 {
		panic(fault{fmt.Sprintf("a cooperative matrix of %d by %d is not known", rows, columns)})
	}
	return [2]int{rows, columns}
}

func (c *compiler) newMatrix(t *typ) int {
	c.shapes = append(c.shapes, c.matrixShape(t))
	return len(c.shapes) - 1
}

// matrixValue gives an id that is a matrix its place.
func (c *compiler) matrixValue(in *inst, t *typ) {
	if _, ok := c.matrix[in.id]; !ok {
		c.matrix[in.id] = c.newMatrix(t)
	}
	c.typeOfID[in.id] = in.typ
}

// matrixMove is the value of a phi of matrices on an edge: which matrix becomes which.
func (c *compiler) matrixMove(phi *inst, from uint32) [2]int {
	k, ok := c.matrix[from]
	if !ok {
		panic(fault{fmt.Sprintf("%%%d is no matrix", from)})
	}
	c.matrixValue(phi, c.types(phi.typ))
	return [2]int{c.matrix[phi.id], k}
}

// cooperative lowers an instruction on cooperative matrices.
func (c *compiler) cooperative(in *inst) {
	m := &micro{op: in.op, in: in}
	operand := func(id uint32) int {
		k, ok := c.matrix[id]
		if !ok {
			panic(fault{fmt.Sprintf("%%%d is no matrix", id)})
		}
		return k
	}
	if in.op != opCooperativeMatrixStore {
		c.matrixValue(in, c.types(in.typ))
		m.mats = append(m.mats, c.matrix[in.id])
		m.extra = []uint32{c.types(in.typ).of.width}
	}
	switch in.op {
	case opCooperativeMatrixLoad:
		m.ptr, m.extra, m.src = c.pointers[in.args[0]], append(m.extra, c.number(in.args[1])), c.value(in.args[2])
	case opCooperativeMatrixStore:
		m.ptr, m.mats = c.pointers[in.args[0]], []int{operand(in.args[1])}
		m.extra, m.src = []uint32{c.typeOf(in.args[1]).of.width, c.number(in.args[2])}, c.value(in.args[3])
	case opFAdd, opFSub, opFMul:
		m.op = map[uint16]uint16{opFAdd: opMatrixAdd, opFSub: opMatrixSub, opFMul: opMatrixMul}[in.op]
		m.mats = append(m.mats, operand(in.args[0]), operand(in.args[1]))
	default:
		for _, id := range in.args[:3] {
			m.mats = append(m.mats, operand(id))
		}
		if len(in.args) > 3 && in.args[3] != 0 {
			panic(fault{in.name(c.m) + " with operands is not known"})
		}
	}
	c.add(m)
}

// matrixStep makes the step of an instruction on cooperative matrices.
func (c *compiler) matrixStep(m *micro) step {
	whole := func(s *sub) {
		if s.m != s.all || s.lanes != s.width {
			s.g.report(Divergent, m.in, "%s is not here, %s is", s.invocation(s.absent()), s.invocation(s.active()[0]))
		}
	}
	if m.op == opCooperativeMatrixMulAdd {
		d, a, b, add := m.mats[0], m.mats[1], m.mats[2], m.mats[3]
		rows, depth, columns := c.shapes[a][0], c.shapes[a][1], c.shapes[b][1]
		if c.shapes[b][0] != depth || c.shapes[d] != [2]int{rows, columns} || c.shapes[add] != c.shapes[d] {
			panic(fault{m.in.name(c.m) + " has matrices that do not fit"})
		}
		return func(s *sub) {
			whole(s)
			for i := range rows {
				for j := range columns {
					sum := s.mats[add][i*columns+j]
					for k := range depth {
						sum += s.mats[a][i*depth+k] * s.mats[b][k*columns+j]
					}
					s.mats[d][i*columns+j] = sum
				}
			}
		}
	}
	if m.op == opMatrixAdd || m.op == opMatrixSub || m.op == opMatrixMul {
		d, a, b := m.mats[0], m.mats[1], m.mats[2]
		return func(s *sub) {
			whole(s)
			for i, x := range s.mats[a] {
				switch y := s.mats[b][i]; m.op {
				case opMatrixAdd:
					s.mats[d][i] = x + y
				case opMatrixSub:
					s.mats[d][i] = x - y
				default:
					s.mats[d][i] = x * y
				}
			}
		}
	}
	if m.ptr == nil || m.ptr.class != classWorkgroup {
		panic(fault{m.in.name(c.m) + " is known for shared memory alone"})
	}
	where, k, shape, bits := c.address(m), m.mats[0], c.shapes[m.mats[0]], int(m.extra[0])
	stride, each := m.src[0].slot*c.o.Lanes, c.numbers(m.ptr.typ) // words of what the pointer points to
	const columnMajor = 1
	column := m.extra[1] == columnMajor
	load := m.op == opCooperativeMatrixLoad
	return func(s *sub) {
		whole(s)
		lane := s.active()[0]
		where(s, []int{lane})
		at := s.at[lane]
		if at == nowhere {
			return
		}
		for i := range shape[0] {
			for j := range shape[1] {
				line, in := i, j
				if column {
					line, in = j, i
				}
				element := line*int(s.r[stride+lane])*each*32/bits + in
				word := at + element*bits/32
				if word >= len(s.g.shared) {
					s.g.report(OutOfBounds, m.in, "element %d,%d of a matrix is at word %d of shared memory, of which there are %d", i, j, word, len(s.g.shared))
					continue
				}
				v := &s.mats[k][i*shape[1]+j]
				if load {
					s.reads(&s.g.cells[word], true, stampLanes, lane, m, word)
					if bits == 16 {
						*v = float16.Frombits(uint16(s.g.shared[word] >> (16 * (element & 1)))).Float32()
					} else {
						*v = math.Float32frombits(s.g.shared[word])
					}
					continue
				}
				s.writes(&s.g.cells[word], true, lane, m, word)
				s.g.cells[word].write |= stampLanes
				s.g.shared[word] = math.Float32bits(*v)
			}
		}
	}
}

// moveMatrix makes the step of a load or store of a variable that is a matrix, or an array of them.
func (c *compiler) moveMatrix(m *micro) step {
	if m.ptr.class != classFunction && m.ptr.class != classPrivate {
		panic(fault{m.in.name(c.m) + " of a matrix that is no variable"})
	}
	where, value, load := c.address(m), m.mats[0], m.op == opLoad
	shape := c.shapes[value]
	limit := c.matrices
	return func(s *sub) {
		lane := s.active()[0]
		where(s, []int{lane})
		at := s.at[lane]
		if at == nowhere || at >= limit {
			return
		}
		v := s.vars[at]
		if v == nil {
			if load {
				s.g.report(Uninitialised, m.in, "%s reads matrix %d of variable %%%d, which it has not written", s.invocation(lane), at, m.ptr.id)
			}
			v = make([]float32, shape[0]*shape[1])
			s.vars[at] = v
		}
		if load {
			copy(s.mats[value], v)
		} else {
			copy(v, s.mats[value])
		}
	}
}
