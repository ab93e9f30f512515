package serve

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"caldera/internal/printable"
)

// dataPolicy is the Content-Security-Policy of answers that are no page: a picture
// or an error that is opened by itself loads and runs nothing.
const dataPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"

// guard sets the headers of every answer, checks what every request must hold to,
// and turns a panic into an answer.
func (s *Server) guard(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", dataPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), usb=(), serial=()")
	deadline(w) // in place of that of the connection's last answer; whoever computes for long sets it again
	tracked := &tracker{ResponseWriter: w}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler {
			panic(v) // net/http ends the connection, and writes nothing
		}
		s.logf(r, "panic: %v (%s)", v, panicked())
		if tracked.begun {
			panic(http.ErrAbortHandler) // so that the client does not take the part for the whole
		}
		f := refuse(http.StatusInternalServerError, "this is a fault of the program, which its log tells more of: %.200s", r.URL.Path)
		f.logged = true
		s.fail(tracked, r, f)
	}()
	if err := s.check(r); err != nil {
		s.fail(tracked, r, err)
		return
	}
	s.mux.ServeHTTP(tracked, r)
}

// tracker knows whether an answer has begun.
type tracker struct {
	http.ResponseWriter
	begun bool
}

func (t *tracker) WriteHeader(status int) {
	t.begun = true
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracker) Write(p []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (t *tracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// panicked is the file and line at which the panic began that is being recovered.
func panicked() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") || !more {
			return f.File + ":" + strconv.Itoa(f.Line)
		}
	}
}

// streamPaths are the addresses whose answers take the device for long.
var streamPaths = []string{"/api/generate", "/api/train"}

// check reports a request that is not answered, whatever it asks for.
func (s *Server) check(r *http.Request) error {
	if !s.hosts.has(r.Host) {
		return refuse(http.StatusForbidden, "the request is for host %.100q, expected the address that the server printed when it started: pages of other hosts must not read this one", r.Host)
	}
	if n := len(r.RequestURI); n > maxAddress {
		return refuse(http.StatusRequestURITooLong, "the address has %d bytes, expected at most %d: send a shorter text", n, maxAddress)
	}
	stream := slices.Contains(streamPaths, r.URL.Path)
	allowed := []string{http.MethodGet, http.MethodHead}
	if stream {
		allowed = []string{http.MethodGet, http.MethodPost}
	}
	if !slices.Contains(allowed, r.Method) {
		f := refuse(http.StatusMethodNotAllowed, "the method is %.20s, expected %s", r.Method, strings.Join(allowed, " or "))
		f.Header = http.Header{"Allow": {strings.Join(allowed, ", ")}}
		return f
	}
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		return nil
	}
	return sameOrigin(r, stream)
}

// sameOrigin reports a request that another site's page sends. Browsers tell by two
// headers; other clients send none of them. Following a link to a view is no harm.
// https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site
func sameOrigin(r *http.Request, stream bool) error {
	own := []string{"http://" + r.Host, "https://" + r.Host} // the latter behind a proxy
	if origin, told := r.Header["Origin"]; told && (len(origin) != 1 || !slices.Contains(own, origin[0])) {
		return refuse(http.StatusForbidden, "the request comes from %.100q, expected %s: other sites must not use this server", strings.Join(origin, ", "), own[0])
	}
	site := r.Header.Get("Sec-Fetch-Site")
	link := r.Header.Get("Sec-Fetch-Mode") == "navigate" && !stream
	if site == "" || site == "same-origin" || site == "none" || link {
		return nil
	}
	return refuse(http.StatusForbidden, "the request comes from another site (Sec-Fetch-Site: %.20s), expected one of the page itself: other sites must not use this server", site)
}

// hosts are the names by which a server may be called. A site that has its own name
// point to this machine (DNS rebinding) is refused by it. Ports are not compared: a
// tunnel may give the server another one, and an address cannot be rebound.
type hosts struct {
	names []string
	any   bool // the server listens on all addresses of the machine
}

// hostsOf are the names of a server that listens on addr, and is called name too.
func hostsOf(addr net.Addr, name string) hosts {
	h := hosts{}
	if name != "" {
		h.names = append(h.names, strings.ToLower(name))
	}
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return h
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	ip = ip.Unmap()
	h.names = append(h.names, ip.String())
	if h.any = ip.IsUnspecified(); h.any {
		if name, err := os.Hostname(); err == nil {
			h.names = append(h.names, strings.ToLower(name))
		}
	}
	if h.any || ip.IsLoopback() {
		h.names = append(h.names, "localhost", "127.0.0.1", "::1")
	}
	return h
}

func (h hosts) has(host string) bool {
	name := host
	if n, _, err := net.SplitHostPort(host); err == nil {
		name = n
	} else {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	}
	if slices.Contains(h.names, strings.ToLower(name)) {
		return true
	}
	_, err := netip.ParseAddr(name)
	return h.any && err == nil
}

// tabName is what a tab may call itself. What follows a dot tells panels of a tab
// apart that show the same view.
var tabName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?$`)

// parameters are those of the address and, if it is sent by POST, of the body, and
// for whom a turn is to be.
func (s *Server) parameters(w http.ResponseWriter, r *http.Request) (url.Values, Turn, error) {
	q, err := parseQuery("the address", r.URL.RawQuery)
	if err != nil {
		return nil, Turn{}, err
	}
	if r.Method == http.MethodPost {
		body, err := readForm(w, r)
		if err != nil {
			return nil, Turn{}, err
		}
		for name, values := range body {
			q[name] = append(q[name], values...)
		}
	}
	tabs := append(q["tab"], r.Header["X-Tab"]...)
	delete(q, "tab")
	turn := Turn{}
	if len(tabs) > 0 {
		if tab := tabs[0]; len(tabs) > 1 || len(tab) > maxTab || !tabName.MatchString(tab) {
			return nil, turn, refuse(http.StatusBadRequest, "tab: found %.80q, expected one name of at most %d letters, digits, - and _, and if need be a dot and the name of a panel", strings.Join(tabs, ", "), maxTab)
		}
		turn.Tab, _, _ = strings.Cut(tabs[0], ".")
		turn.Kind = r.URL.Path + " " + tabs[0]
	}
	return q, turn, nil
}

// parseQuery reads percent-encoded parameters.
func parseQuery(where, query string) (url.Values, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%s: %.100v: expected name=value&name=value, percent-encoded", where, err)
	}
	for name, values := range q {
		for _, v := range append(values, name) {
			if at := printable.InvalidUTF8([]byte(v)); at >= 0 {
				return nil, refuse(http.StatusBadRequest, "parameter %.40q: byte %d is 0x%02x, which is not UTF-8: convert it to UTF-8, and percent-encode its bytes", name, at, v[at])
			}
		}
	}
	return q, nil
}

// readForm reads the parameters in the body of a request.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	const form = "application/x-www-form-urlencoded"
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != form {
		return nil, refuse(http.StatusUnsupportedMediaType, "the body is %.60q, expected %s", r.Header.Get("Content-Type"), form)
	}
	// The limit on time is for the body only: a stream may take long.
	c := http.NewResponseController(w)
	c.SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	c.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes: send a shorter text", maxBody)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body ends too early: %v", err)
	}
	return parseQuery("the body", string(body))
}

// only returns an error if there is a parameter other than the given ones.
func only(q url.Values, known ...string) error {
	for name := range q {
		if !slices.Contains(known, name) {
			return refuse(http.StatusBadRequest, "parameter %.40q is not known here: leave it out", name)
		}
	}
	return nil
}

// deadline bounds the time in which a client must take what is written next.
func deadline(w http.ResponseWriter) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
}
