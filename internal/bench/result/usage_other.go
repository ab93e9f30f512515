//go:build !unix

package result

import "time"

func processorTime() time.Duration { return 0 }
