package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObject(t *testing.T) {
	type member struct{ Key, Value string }
	var got []member
	err := Object([]byte(" {\"b\": [1, {\"x\": \"]}\\\"[[[\"}],\t\"a\":null, \"\":\"é\"} \n"), 3, func(key string, value json.RawMessage) error {
		got = append(got, member{key, string(value)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []member{{"b", "[1, {\"x\": \"]}\\\"[[[\"}]"}, {"a", "null"}, {"", "\"é\""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestObjectRejects(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"empty", "", "ends at offset 0"},
		{"truncated", `{"a": 1, `, "ends at offset"},
		{"truncated string", `{"a`, "ends at offset"},
		{"array", `[1]`, "found a JSON array, expected an object"},
		{"number", `7`, "found a JSON number"},
		{"null", `null`, "found a JSON null"},
		{"string", `"{}"`, "found a JSON string"},
		{"boolean", `true`, "found a JSON boolean"},
		{"no JSON", `{a:1}`, "invalid JSON near offset"},
		{"no comma", `{"a":1 "b":2}`, "invalid JSON near offset"},
		{"two objects", `{} {}`, `found "{}" after the JSON object`},
		{"twice", `{"a":1,"b":2,"a":3}`, `key "a" stands there twice`},
		{"twice, spelled otherwise", `{"a":1,"\u0061":3}`, `key "a" stands there twice`},
		{"not UTF-8", "{\"a\xff\":1}", "not UTF-8: invalid byte at offset 3"},
		{"deep", `{"a":[[[1]]]}`, "deeper than 3 levels at offset 7"},
		{"very deep", `{"a":` + strings.Repeat("[", 1e6), "deeper than 3 levels"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Object([]byte(test.data), 3, func(string, json.RawMessage) error { return nil })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestObjectStopsAtFieldError(t *testing.T) {
	stop := errors.New("stop")
	calls := 0
	err := Object([]byte(`{"a":1,"b":2,`), 1, func(string, json.RawMessage) error { calls++; return stop })
	if err != stop || calls != 1 {
		t.Errorf("error %v after %d calls, want %v after 1", err, calls, stop)
	}
}

func TestShorten(t *testing.T) {
	if got := Shorten("short"); got != "short" {
		t.Errorf("Shorten changed a short string to %q", got)
	}
	if got, want := Shorten(strings.Repeat("é", 100)), strings.Repeat("é", 40)+"…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
