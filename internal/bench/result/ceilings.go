package result

// Ceilings are what a device can do at most, measured in the same run through
// the same ops as everything else. Names are empty where they were not asked for.
type Ceilings struct {
	Copy       string  `json:"copy"`               // what was copied
	AvgCopy    float64 `json:"avg_copy_bandwidth"` // bytes a second, read and written
	StddevCopy float64 `json:"stddev_copy_bandwidth"`
	Peak       string  `json:"peak"`     // the fastest product of matrices
	AvgPeak    float64 `json:"avg_peak"` // FLOP/s
	StddevPeak float64 `json:"stddev_peak"`

	CeilingSamples int `json:"ceiling_samples"`
}

func (c *Ceilings) ceilings() *Ceilings   { return c }
func (c *Ceilings) copyBandwidth() Spread { return Spread{c.AvgCopy, c.StddevCopy, c.CeilingSamples} }
func (c *Ceilings) peak() Spread          { return Spread{c.AvgPeak, c.StddevPeak, c.CeilingSamples} }

// Shares say how near a figure is to the ceilings, 1 being as fast; 0 where
// ceilings were not measured.
type Shares struct {
	AvgCopyShare    float64 `json:"avg_copy_share"` // bytes a second, of the copy bandwidth
	StddevCopyShare float64 `json:"stddev_copy_share"`
	AvgPeakShare    float64 `json:"avg_peak_share"` // FLOP/s, of the peak
	StddevPeakShare float64 `json:"stddev_peak_share"`
}

func (s *Shares) copyShare(n int) Spread { return Spread{s.AvgCopyShare, s.StddevCopyShare, n} }
func (s *Shares) peakShare(n int) Spread { return Spread{s.AvgPeakShare, s.StddevPeakShare, n} }

// shares of work that took some seconds.
func (c *Ceilings) shares(seconds Spread, bytes, flop float64) (s Shares) {
	part := func(work float64, ceiling Spread) (avg, sd float64) {
		if ceiling.Mean == 0 || work == 0 {
			return 0, 0
		}
		// Of work / seconds / ceiling the relative deviation is that of seconds · ceiling.
		p := Spread{work, 0, seconds.N}.over(seconds).over(ceiling)
		return p.Mean, p.SD
	}
	s.AvgCopyShare, s.StddevCopyShare = part(bytes, c.copyBandwidth())
	s.AvgPeakShare, s.StddevPeakShare = part(flop, c.peak())
	return s
}
