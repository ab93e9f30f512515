//go:build cgo

package vulkan

import (
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// recorder keeps the commands of each recording, which ends with the barrier to
// the host.
type recorder struct {
	open  map[vk.CommandBuffer][]vk.Command
	whole [][]vk.Command
}

func (r *recorder) command(cb vk.CommandBuffer, c vk.Command) bool {
	r.open[cb] = append(r.open[cb], c)
	if c.Kind == vk.Barrier && c.Dst&vk.Host != 0 {
		r.whole = append(r.whole, r.open[cb])
		delete(r.open, cb)
	}
	return true
}

// check checks the barriers of each recording. The software drivers of the tests would not
// show a missing one, because they run all commands in order.
func (r *recorder) check(t *testing.T) {
	t.Helper()
	first := vk.Command{Kind: vk.Barrier, Src: vk.ComputeStage | vk.Transfer, SrcAccess: vk.ShaderWrite | vk.TransferWrite,
		Dst: vk.ComputeStage | vk.Transfer, DstAccess: vk.ShaderRead | vk.ShaderWrite | vk.TransferRead | vk.TransferWrite}
	last := first
	last.Dst, last.DstAccess = vk.Host, vk.HostRead|vk.HostWrite
	if len(r.open) > 0 {
		t.Errorf("%d recordings do not end with a barrier to the host", len(r.open))
	}
	for i, commands := range r.whole {
		if commands[0] != first {
			t.Errorf("recording %d begins with %+v, expected a barrier against all earlier submits, %+v", i, commands[0], first)
		}
		if end := commands[len(commands)-1]; end != last {
			t.Errorf("recording %d ends with %+v, expected a barrier to the host, %+v", i, end, last)
		}
		var stages vk.Stage // of the commands since the last barrier
		var writes vk.Access
		timed := false
		for j, c := range commands[1 : len(commands)-1] {
			switch c.Kind {
			case vk.Dispatch:
				stages, writes = stages|vk.ComputeStage, writes|vk.ShaderWrite
			case vk.Copy, vk.Fill, vk.Update:
				stages, writes = stages|vk.Transfer, writes|vk.TransferWrite
			case vk.Barrier:
				if c.Src&stages != stages || c.SrcAccess&writes != writes || c.Dst != first.Dst || c.DstAccess != first.DstAccess {
					t.Errorf("recording %d, command %d: %+v does not cover what came since the last barrier: stages %#x, writes %#x",
						i, j+1, c, stages, writes)
				}
				stages, writes = 0, 0
			case vk.WriteTimestamp:
				if timed = !timed; timed && commands[j] != first {
					t.Errorf("recording %d, command %d: a timestamp of a beginning comes after %+v, expected a full barrier", i, j+1, commands[j])
				}
			}
		}
	}
}

func TestBarriersTold(t *testing.T) {
	for name, clamp := range map[string]func(*Limits){"unified": nil, "staged": staged} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{open: map[vk.CommandBuffer][]vk.Command{}}
			b, err := openWithHooks(t, lavapipe, clamp, &vk.Hooks{Command: r.command})
			if err != nil {
				t.Fatal(err)
			}
			r.check(t) // those of opening
			x, y, z := vector(t, b, 1, 2), vector(t, b, 0, 0), vector(t, b, 0, 0)
			ops := []backend.Op{ // a shader, a copy, a shader: each needs the one before
				&backend.Activate{Dst: y, X: x, Func: backend.GELUTanh}, &backend.Copy{Dst: z, X: y}, &backend.Activate{Dst: y, X: z, Func: backend.GELUTanh}, &backend.Copy{Dst: x, X: y},
			}
			program, err := backend.Record(b, ops...)
			if err != nil {
				t.Fatal(err)
			}
			defer program.Close()
			before := len(r.whole)
			for range 2 {
				if err := program.Run(); err != nil {
					t.Fatal(err)
				}
				if err := b.Run(ops...); err != nil {
					t.Fatal(err)
				}
				if err := backend.SetF32(b, x, []float32{3, 4}); err != nil {
					t.Fatal(err)
				}
				values(t, b, x)
			}
			if _, err := b.Profile(program.Run); err != nil {
				t.Fatal(err)
			}
			if err := b.waitAll(); err != nil {
				t.Fatal(err)
			}
			if n := len(r.whole) - before; n < 3 {
				t.Fatalf("%d recordings, expected more", n)
			}
			r.check(t)

			// What depends on one another within a recording has barriers between.
			for _, commands := range r.whole {
				barriers, dispatches := 0, 0
				for _, c := range commands {
					switch c.Kind {
					case vk.Barrier:
						barriers++
					case vk.Dispatch:
						dispatches++
					}
				}
				if dispatches == 2 && barriers < 5 { // two at the ends, three between four ops
					t.Errorf("%d barriers in a recording of four ops: %+v", barriers, commands)
				}
			}
		})
	}
}

// TestAbsentIsNotWritten: an absent tensor where the shader may write would
// make dispatches that share nothing seem to write the same memory.
func TestAbsentIsNotWritten(t *testing.T) {
	b := openTest(t, lavapipe, nil)
	x := vector(t, b, 1, 2, 3, 4)
	err := b.encode(func(e *encoder) error {
		from, _ := e.operand(x, backend.Read)
		none, _ := e.operand(backend.Tensor{}, backend.Read)
		return e.dispatch(pipelineSpec{variant: shaders.Find("activate", "X4"), spec: shaders.Workgroup{Lanes: 64}}, shaders.RowsPush{},
			[3]uint32{1, 1, 1}, none, from)
	})
	if err == nil || !strings.Contains(err.Error(), "binding 0 (dst): an absent tensor") {
		t.Errorf("an absent tensor bound where a shader writes: %v", err)
	}
}
