package inspect

import (
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// EmbedMap is a map of vectors in two dimensions: their first two principal components.
// The first point that lies clearly apart from 0 has a positive coordinate, for each
// of both, so that the same words always give the same map.
type EmbedMap struct {
	Points    []EmbedPoint `json:"points"`
	Explained [2]Float     `json:"explained"` // share of the points' variance that lies along each axis, 0 to 1
}

// EmbedPoint is a point of the map.
type EmbedPoint struct {
	Kind string `json:"kind"` // "word", "sum", "end" of a direction, or "nearest" to one of these
	Text string `json:"text"`
	X    Float  `json:"x"`
	Y    Float  `json:"y"`
}

// fewPoints is how many words make a map. If there are fewer, the tokens that are near
// to them are on it too.
const fewPoints = 3

// draw makes the map of words, sum and direction.
func (e *Embed) draw(x *vectors) error {
	var points []EmbedPoint
	var rows [][]float64
	add := func(kind, text string, vector []float64) {
		points, rows = append(points, EmbedPoint{Kind: kind, Text: text}), append(rows, vector)
	}
	var near []Neighbour
	for _, w := range e.Words {
		add("word", w.Text, w.vector)
		near = append(near, w.Nearest...)
	}
	if e.Sum != nil {
		add("sum", e.Sum.String(), e.Sum.vector)
		near = e.Sum.Nearest
	}
	if d := e.Direction; d != nil {
		for _, end := range []*EmbedWord{d.From, d.To} {
			if !slices.ContainsFunc(e.Words, func(w *EmbedWord) bool { return w.Given == end.Given }) {
				add("end", end.Text, end.vector)
			}
		}
	}
	if len(points) < fewPoints || e.Sum != nil {
		seen := map[int]bool{}
		for _, n := range near {
			if seen[n.ID] {
				continue
			}
			seen[n.ID] = true
			row, err := x.in.row(x.Tensor, n.ID)
			if err != nil {
				return err
			}
			add("nearest", n.Text, row)
		}
	}
	for _, row := range rows {
		if norm := length(row); math.IsNaN(norm) || math.IsInf(norm, 0) {
			return nil
		}
	}
	if len(points) < 2 {
		return nil
	}
	e.Map = &EmbedMap{Points: points}
	return e.Map.place(rows)
}

// place finds the coordinates of points with these vectors.
func (m *EmbedMap) place(rows [][]float64) error {
	width := len(rows[0])
	data := mat.NewDense(len(rows), width, nil)
	mean := make([]float64, width)
	for i, row := range rows {
		data.SetRow(i, row)
		for j, v := range row {
			mean[j] += v / float64(len(rows))
		}
	}
	var pc stat.PC
	if !pc.PrincipalComponents(data, nil) {
		return errors.New("the principal components of the vectors cannot be found: the decomposition does not converge")
	}
	var axes mat.Dense
	pc.VectorsTo(&axes)
	variances := pc.VarsTo(nil)
	total := 0.0
	for _, v := range variances {
		total += v
	}
	for a := range min(2, len(variances)) {
		if total > 0 {
			m.Explained[a] = Float(variances[a] / total)
		}
		axis := mat.Col(nil, a, &axes)
		along := make([]float64, len(rows))
		for i, row := range rows {
			along[i] = dot(row, axis) - dot(mean, axis)
		}
		sign := signOf(along)
		for i, v := range along {
			if p := &m.Points[i]; a == 0 {
				p.X = Float(sign * v)
			} else {
				p.Y = Float(sign * v)
			}
		}
	}
	return nil
}

// signOf is -1 if the first of x that is not nearly 0 is negative, else 1.
func signOf(x []float64) float64 {
	most := 0.0
	for _, v := range x {
		most = max(most, math.Abs(v))
	}
	for _, v := range x {
		if math.Abs(v) > most/1000 {
			return math.Copysign(1, v)
		}
	}
	return 1
}
