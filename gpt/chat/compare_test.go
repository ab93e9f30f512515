package chat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// comparison is how many texts were the same as those of another library.
type comparison struct {
	same, refused, other int
	unable               map[string]int // what it cannot run
}

// compare renders what another library has rendered, and expects the same. otherwise has the
// conversations with which a template is known to be rendered in another way there.
func compare(t *testing.T, templates string, lines []byte, otherwise map[string][]string) comparison {
	t.Helper()
	text, err := os.ReadFile("testdata/conversations.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	conversations := map[string]json.RawMessage{}
	for _, raw := range all {
		var c struct{ Name string }
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		conversations[c.Name] = raw
	}
	c := comparison{unable: map[string]int{}}
	scanner := bufio.NewScanner(bytes.NewReader(lines))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var want struct {
			Template, Conversation string
			Text                   *string
			Error                  string
		}
		if err := json.Unmarshal(scanner.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		source, err := os.ReadFile(filepath.Join(templates, want.Template))
		if err != nil {
			t.Fatal(err)
		}
		// Here, not in a child: there are hundreds.
		got := run(request{Template: string(source), Values: with(t, conversations[want.Conversation]), Now: testNow.Format(time.RFC3339)})
		switch {
		case want.Text == nil && got.Refused != "" && got.Refused == want.Error:
			c.refused++
		case want.Text == nil && got.Refused == "":
			c.unable[want.Template+": "+want.Error]++
		case want.Text == nil:
			t.Errorf("%s, %s: %+v, expected that it refuses: %s", want.Template, want.Conversation, got, want.Error)
		case got.Refused != "" || got.Error != "":
			t.Errorf("%s, %s: %+v, expected %q", want.Template, want.Conversation, got, *want.Text)
		case got.Text != *want.Text && slices.Contains(otherwise[want.Template], want.Conversation):
			c.other++
		case got.Text != *want.Text:
			t.Errorf("%s, %s:\n%q\nexpected\n%q", want.Template, want.Conversation, got.Text, *want.Text)
		default:
			c.same++
		}
	}
	return c
}

// testNow is the time that templates are told in tests.
var testNow = time.Date(2026, 1, 5, 13, 4, 9, 0, time.UTC)

// with adds to a conversation what every render has.
func with(t *testing.T, conversation json.RawMessage) json.RawMessage {
	t.Helper()
	values := json.RawMessage(`{"tools":null,"documents":null,"bos_token":"<s>","eos_token":"</s>",` + string(bytes.TrimSpace(conversation))[1:])
	if !json.Valid(values) {
		t.Fatalf("%s", values)
	}
	return values
}
