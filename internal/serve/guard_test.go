package serve

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestHostile sends what no page sends.
func TestHostile(t *testing.T) {
	s := start(t, &fake{})
	s.get("/api/echo?text=%ff").wantError(t, 400, `"text"`, "byte 0 is 0xff", "UTF-8")
	s.get("/api/echo?%ff=1").wantError(t, 400, "UTF-8")
	s.get("/api/echo?text=%zz").wantError(t, 400, "percent-encoded")
	s.get("/api/echo?text=a;b").wantError(t, 400)
	s.get("/api/echo?text="+strings.Repeat("%C3%A9", 100_000)).wantError(t, 414, "600015 bytes", "at most 262144", "shorter")
	if g := s.get("/api/echo?text=" + strings.Repeat("x", 100_000)); g.status != 200 || !strings.Contains(g.body, `"`+strings.Repeat("x", 100_000)+`"`) {
		t.Errorf("100,000 letters: status %d", g.status)
	}
	r, _ := http.NewRequest("GET", s.url, nil)
	r.Header.Set("X-Long", strings.Repeat("x", maxHeader+8192))
	if answer, err := s.c.Do(r); err == nil { // else the connection is gone before the client has sent all
		answer.Body.Close()
		if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a header of more than 2 MiB: status %d", answer.StatusCode)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"} {
		g := s.do(method, "/api/echo", "")
		g.wantError(t, 405, method, "GET")
		if g.header.Get("Allow") != "GET, HEAD" || g.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", method, g.header)
		}
	}
	s.do("PUT", "/api/train", "").wantError(t, 405, "GET or POST")
	form := "text=" + strings.Repeat("x", 1<<20) + "&n=1"
	if g := s.do("POST", "/api/train", form); g.status != 200 || !strings.Contains(g.body, strings.Repeat("x", 1<<20)) {
		t.Errorf("a long text by POST: status %d", g.status)
	}
	s.do("POST", "/api/train", "text="+strings.Repeat("x", maxBody)).wantError(t, 413, "shorter")
	s.do("POST", "/api/train", "text=x", header("Content-Type", "text/plain")).wantError(t, 415, "text/plain", "form-urlencoded")
	s.do("POST", "/api/train", "text=%ff").wantError(t, 400, "UTF-8")
	for _, tab := range []string{"a b", "a.b.c", ".", strings.Repeat("x", 65), "é"} {
		s.get("/api/echo?tab="+url.QueryEscape(tab)).wantError(t, 400, "tab")
	}
	s.get("/api/echo?tab=a&tab=b").wantError(t, 400, "tab", "one name")
	s.get("/api/echo?tab=a", header("X-Tab", "b")).wantError(t, 400, "tab")
	if g := s.get("/api/echo?text=x", header("X-Tab", "a.b")); g.status != 200 {
		t.Errorf("a tab with a panel: %+v", g)
	}
}

// TestOtherSites has pages of other sites ask, as browsers would tell.
func TestOtherSites(t *testing.T) {
	s := start(t, &fake{})
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	_, port, _ := net.SplitHostPort(s.addr)
	for _, h := range []string{"evil.example", "evil.example:" + port, "127.0.0.1.evil.example", "localhost.", "0.0.0.0:" + port, "[::]", "10.0.0.1", "a@localhost"} {
		for _, path := range []string{"/", "/api/info", "/api/echo"} {
			s.get(path, host(h)).wantError(t, 403, "host")
		}
	}
	for _, h := range []string{"localhost", "LOCALHOST:" + port, "127.0.0.1:9999", "[::1]:" + port, "[::1]"} {
		if g := s.get("/api/info", host(h)); g.status != 200 {
			t.Errorf("host %s: %+v", h, g)
		}
	}
	for _, c := range []struct {
		path    string
		headers []func(*http.Request)
		status  int
	}{
		{"/api/echo", []func(*http.Request){header("Origin", s.url)}, 200},
		{"/api/echo", []func(*http.Request){header("Origin", "http://evil.example")}, 403},
		{"/api/echo", []func(*http.Request){header("Origin", "null")}, 403},
		{"/api/echo", []func(*http.Request){header("Origin", s.url, s.url)}, 403},
		{"/api/echo", []func(*http.Request){header("Sec-Fetch-Site", "same-origin")}, 200},
		{"/api/echo", []func(*http.Request){header("Sec-Fetch-Site", "none")}, 200},
		{"/api/echo", []func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, 403},
		{"/api/echo", []func(*http.Request){header("Sec-Fetch-Site", "same-site")}, 403},
		{"/api/echo", []func(*http.Request){header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate")}, 200},
		{"/api/generate?n=1", []func(*http.Request){header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate")}, 403},
		{"/api/train?n=1", []func(*http.Request){header("Origin", "http://localhost:1")}, 403},
		{"/api/train?n=1", []func(*http.Request){header("Sec-Fetch-Site", "same-origin")}, 200},
		{"/", []func(*http.Request){header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate")}, 200},
	} {
		if g := s.get(c.path, c.headers...); g.status != c.status {
			t.Errorf("%s with other headers: status %d (%s), expected %d", c.path, g.status, g.body, c.status)
		}
	}
	all := hostsOf(&net.TCPAddr{IP: net.IPv4zero, Port: 80}, "box.example")
	for h, want := range map[string]bool{"192.168.1.7": true, "[fe80::1]:80": true, "Box.example": true, "evil.example": false, "": false} {
		if all.has(h) != want {
			t.Errorf("a server of all addresses is called %q: %v, expected %v", h, !want, want)
		}
	}
	if one := hostsOf(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}, ""); one.has("localhost") || !one.has("10.0.0.1:80") {
		t.Error("a server of one address has other names than it")
	}
}

func TestPanicIsAnswered(t *testing.T) {
	s := start(t, &fake{})
	for range 3 {
		s.get("/api/panic").wantError(t, 500, "fault of the program", "/api/panic")
	}
	if log := s.log.String(); strings.Count(log, "\n") != 3 || !strings.Contains(log, "index out of range") || !strings.Contains(log, "fake_test.go:") {
		t.Errorf("the log is %q", log)
	}
	if g := s.get("/api/echo?text=x"); g.status != 200 {
		t.Errorf("afterwards: %+v", g)
	}
}
