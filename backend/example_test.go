package backend_test

import (
	"fmt"
	"log"

	"caldera/backend"
	_ "caldera/backend/cpu" // makes "cpu" known; for GPUs import caldera/backend/vulkan
)

// upload makes a tensor of some numbers.
func upload(b backend.Backend, values []float32, dims ...int) backend.Tensor {
	x, err := backend.New(b, backend.F32, dims...)
	if err != nil {
		log.Fatal(err)
	}
	if err := backend.SetF32(b, x, values); err != nil {
		log.Fatal(err)
	}
	return x
}

// A program opens a device, allocates tensors, runs ops on them and reads the
// results. The device is named: "cpu", "vulkan", "vulkan:1", "auto".
func Example() {
	b, err := backend.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close() // frees all memory too

	x := upload(b, []float32{1, 2, 3, 4, 5, 6}, 2, 3) // two vectors
	w := upload(b, []float32{1, 0, 0, 0, 1, 1}, 2, 3) // of three inputs makes two outputs
	bias := upload(b, []float32{10, 20}, 2)
	dst := upload(b, make([]float32, 4), 2, 2)

	if err := backend.Run(b, &backend.Linear{Dst: dst, X: x, W: w, Bias: bias}); err != nil {
		log.Fatal(err)
	}
	y := make([]float32, 4)
	if err := backend.GetF32(b, dst, y); err != nil {
		log.Fatal(err)
	}
	fmt.Println(y)
	// Output: [11 25 14 31]
}

// A list of ops that runs often is recorded once. What differs between runs are
// the contents of tensors.
func ExampleRecord() {
	b, err := backend.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	x, y, sum := upload(b, []float32{1, 2}, 2), upload(b, []float32{10, 20}, 2), upload(b, []float32{0, 0}, 2)
	add, err := backend.Record(b, &backend.Add{Dst: sum, A: x, B: y}, &backend.Copy{Dst: x, X: sum})
	if err != nil {
		log.Fatal(err)
	}
	defer add.Close()
	for range 3 {
		if err := add.Run(); err != nil {
			log.Fatal(err)
		}
	}
	values := make([]float32, 2)
	if err := backend.GetF32(b, x, values); err != nil {
		log.Fatal(err)
	}
	fmt.Println(values)
	// Output: [31 62]
}

// An op that is wrong is refused before anything runs, and the error says what
// was expected.
func ExamplePrepare() {
	b, err := backend.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	x, y := upload(b, []float32{1, 2}, 2), upload(b, []float32{1, 2, 3}, 3)
	_, err = backend.Prepare(b, &backend.Add{Dst: x, A: upload(b, []float32{1, 2}, 2), B: y})
	fmt.Println(err)
	// Output: op 0 (add): b has shape [3], expected [2]
}
