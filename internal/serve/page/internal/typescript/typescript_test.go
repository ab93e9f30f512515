package typescript

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

type inner struct {
	Text string `json:"text"`
}

// number encodes itself.
type number float64

func (n number) MarshalJSON() ([]byte, error) { return json.Marshal(float64(n)) }

type base struct {
	ID int `json:"id"`
}

type of[T any] struct {
	Items []T `json:"items,omitempty"`
}

type whole struct {
	base
	Name   string             `json:"name"`
	On     bool               `json:"on,omitempty"`
	Rows   [][]float32        `json:"rows"`
	Known  *inner             `json:"known"`
	Asked  *inner             `json:"asked,omitempty"`
	Fixed  [4]uint8           `json:"fixed"`
	Blob   []byte             `json:"blob"`
	By     map[string]float64 `json:"by,omitempty"`
	Score  number             `json:"score"`
	Scores []number           `json:"scores,omitempty"`
	When   time.Time          `json:"when"`
	Any    any                `json:"any"`
	List   of[inner]          `json:"list"`
	Odd    int64              `json:"an-odd.name,string"`
	Bare   int
	Never  chan int `json:"-"`
	hidden int
}

// TestType has a field of each kind.
func TestType(t *testing.T) {
	_ = whole{}.hidden
	w := Writer{Marshalers: map[reflect.Type]string{reflect.TypeFor[number](): "number | null", reflect.TypeFor[time.Time](): "string"}}
	if got := w.Type(reflect.TypeFor[*whole]()); got != "whole | null" {
		t.Errorf("a pointer is %s", got)
	}
	got, err := w.Declarations()
	if err != nil {
		t.Fatal(err)
	}
	const want = `// typescript.inner
export interface inner {
  text: string;
}

// typescript.of[caldera/internal/serve/page/internal/typescript.inner]
export interface ofOfinner {
  items?: inner[];
}

// typescript.whole
export interface whole {
  id: number;
  name: string;
  on?: boolean;
  rows: (number[] | null)[] | null;
  known: inner | null;
  asked?: inner;
  fixed: number[];
  blob: string | null;
  by?: Record<string, number>;
  score: number | null;
  scores?: (number | null)[];
  when: string;
  any: unknown;
  list: ofOfinner;
  "an-odd.name": string;
  Bare: number;
}
`
	if got != want {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
}

// TestUnknownMarshaler refuses what it cannot know.
func TestUnknownMarshaler(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[struct{ N number }](), reflect.TypeFor[struct{ C chan int }]()} {
		var w Writer
		w.Type(typ)
		if _, err := w.Declarations(); err == nil || !strings.Contains(err.Error(), "JSON") {
			t.Errorf("%v: %v", typ, err)
		}
	}
}
