//go:build !unix

package bench

import "time"

// peakRSS is not known here.
func peakRSS() int64 { return 0 }

func forgetPeakRSS() {}

func processorTime() time.Duration { return 0 }
