package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"caldera/internal/printable"
	"caldera/internal/version"
)

// How patient a client is.
const (
	attempts  = 5                // without any progress
	asks      = 3                // of a question; 1 where the cache has an answer
	longest   = 2 * time.Minute  // that a server may ask to wait
	stalled   = 60 * time.Second // without a byte
	connected = 10 * time.Second // to connect
)

// client asks one server.
type client struct {
	place Place
	http  *http.Client
	log   func(line string)
}

// unreachable is the error of a server that could not be asked, or cannot answer now: what
// is in the cache may be used in its place.
type unreachable struct{ error }

func (e unreachable) Unwrap() error { return e.error }

func newClient(p Place, log func(string)) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = stalled
	transport.DialContext = (&net.Dialer{Timeout: connected, KeepAlive: 30 * time.Second}).DialContext
	transport.TLSHandshakeTimeout = connected
	transport.MaxResponseHeaderBytes = 1 << 20
	return &client{
		place: p, log: log,
		http: &http.Client{Transport: transport, CheckRedirect: redirect},
	}
}

// badRedirect is the error of a redirect that is not followed. Asking again would not help.
type badRedirect struct{ error }

// redirect follows at most ten redirects to other servers, to which the token is not sent.
func redirect(next *http.Request, before []*http.Request) error {
	last := before[len(before)-1]
	switch {
	case next.URL.Scheme != "http" && next.URL.Scheme != "https", last.URL.Scheme == "https" && next.URL.Scheme != "https":
		return badRedirect{fmt.Errorf("it redirects to %q, expected an address that begins with https", shorten(next.URL.String()))}
	case len(before) >= 10:
		return badRedirect{errors.New("it redirects more than ten times")}
	}
	// A token that was taken away stays away.
	if next.URL.Scheme != last.URL.Scheme || next.URL.Host != last.URL.Host || last.Header.Get("Authorization") == "" {
		next.Header.Del("Authorization")
	}
	next.Header.Del("Referer")
	// A name without its owner is redirected to the one that it has now. What was asked stays.
	if next.URL.Host == last.URL.Host && next.URL.RawQuery == "" {
		next.URL.RawQuery = last.URL.RawQuery
	}
	return nil
}

// pause waits. Tests replace it.
var pause = func(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// request asks once.
func (c *client) request(ctx context.Context, address string, offset int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "caldera/"+cmp.Or(version.Commit(), "unknown"))
	r.Header.Set("Accept-Encoding", "identity") // sizes and ranges are those of the file
	if c.place.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.place.Token)
	}
	if offset > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	return c.http.Do(r)
}

// get asks so many times, until the server answers with content. what is what an error says
// cannot be fetched. The answer to a question for the rest of a file may be the whole file, or that
// there is no rest.
func (c *client) get(ctx context.Context, address, what string, offset int64, times int) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		response, err := c.request(ctx, address, offset)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		delay := time.Second << (attempt - 1)
		switch {
		case err != nil:
			err = c.network(what, err)
		case response.StatusCode == http.StatusOK, offset > 0 && (response.StatusCode == http.StatusPartialContent || response.StatusCode == http.StatusRequestedRangeNotSatisfiable):
			return response, nil
		default:
			delay = cmp.Or(retryAfter(response.Header.Get("Retry-After")), delay)
			err = c.refused(what, response)
		}
		var again unreachable
		if !errors.As(err, &again) || attempt >= times {
			return nil, err
		}
		if delay > longest {
			return nil, unreachable{fmt.Errorf("%w, and asks to wait %v: try again later", err, delay)}
		}
		c.log(fmt.Sprintf("%v: trying again in %v", err, delay))
		if err := pause(ctx, delay); err != nil {
			return nil, err
		}
	}
}

// network is the error of a question that got no answer.
func (c *client) network(what string, err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err // without the address, which may be long, or hold a signature
	}
	told := fmt.Errorf("%s: cannot fetch %s: %w", c.host(), what, err)
	if errors.As(err, &badRedirect{}) {
		return told
	}
	return unreachable{told}
}

// host is the server's name for people.
func (c *client) host() string {
	u, err := url.Parse(c.place.Endpoint)
	if err != nil {
		return c.place.Endpoint
	}
	return u.Host
}

// retryAfter reads the header of that name: seconds, or a date. It is 0 where it says nothing.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, time.Until(at).Round(time.Second))
	}
	return 0
}

// refused is the error of an answer without content.
func (c *client) refused(what string, r *http.Response) error {
	defer r.Body.Close()
	said := printable.Text(shorten(strings.TrimSpace(r.Header.Get("X-Error-Message"))))
	if said != "" {
		said = " (" + said + ")"
	}
	base := fmt.Sprintf("%s: cannot fetch %s: it answered %d", c.host(), what, r.StatusCode)
	token := "set HF_TOKEN to a token that may read it, or run hf auth login"
	if c.place.Token != "" {
		token = "the token may not read it"
	}
	switch code := r.Header.Get("X-Error-Code"); {
	case code == "GatedRepo":
		return fmt.Errorf("%s%s: one must accept its terms on its page first; then %s", base, said, token)
	case code == "RevisionNotFound":
		return fmt.Errorf("%s%s: there is no such revision", base, said)
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s%s: there is no such model, or it is private: check the name; %s", base, said, token)
	case r.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s%s: there is no such model, revision or file", base, said)
	case r.StatusCode == http.StatusTooManyRequests:
		return unreachable{fmt.Errorf("%s%s: too many requests", base, said)}
	case r.StatusCode >= 500:
		return unreachable{fmt.Errorf("%s%s", base, said)}
	}
	return fmt.Errorf("%s%s, expected 200", base, said)
}

// listing is what a repository has at a revision.
type listing struct {
	commit string
	files  []File
}

// list asks so many times for the files of a model.
func (c *client) list(ctx context.Context, n Name, times int) (l listing, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	address := fmt.Sprintf("%s/api/models/%s/revision/%s?blobs=true", c.place.Endpoint, n.Repo, url.PathEscape(n.revision()))
	response, err := c.get(ctx, address, "the list of files of "+n.String(), 0, times)
	if err != nil {
		return l, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(alive(response.Body, cancel), maxListing+1))
	if err != nil {
		return l, c.network("the list of files of "+n.String(), err)
	}
	if len(text) > maxListing {
		return l, fmt.Errorf("%s: the list of files of %s is longer than %d bytes", c.host(), n, maxListing)
	}
	if l, err = parseListing(text); err != nil {
		return l, fmt.Errorf("%s: the list of files of %s: %w", c.host(), n, err)
	}
	return l, nil
}

// parseListing reads an answer of the server.
func parseListing(text []byte) (l listing, err error) {
	var answer struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
			Size int64  `json:"size"`
			Blob string `json:"blobId"`
			LFS  *struct {
				SHA256 string `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return l, fmt.Errorf("found no JSON of a model: %s", printable.Text(shorten(err.Error())))
	}
	if !isHex(answer.SHA, 40) {
		return l, fmt.Errorf("found the commit %q, expected 40 hexadecimal digits", shorten(answer.SHA))
	}
	if len(answer.Siblings) > maxFiles {
		return l, fmt.Errorf("found %d files, expected at most %d", len(answer.Siblings), maxFiles)
	}
	l.commit = answer.SHA
	seen := map[string]bool{}
	for _, s := range answer.Siblings {
		f := File{Path: s.Name, Size: s.Size, Sum: s.Blob}
		if s.LFS != nil {
			f.Size, f.Sum = s.LFS.Size, s.LFS.SHA256
		}
		if err := checkPath(f.Path); err != nil {
			return l, err
		}
		if seen[f.Path] {
			return l, fmt.Errorf("found %q twice", shorten(f.Path))
		}
		seen[f.Path] = true
		if f.Size < 0 || s.LFS != nil && !isHex(f.Sum, 64) || s.LFS == nil && !isHex(f.Sum, 40) {
			return l, fmt.Errorf("%q: found the size %d and the checksum %q, expected 40 or 64 hexadecimal digits", shorten(f.Path), f.Size, shorten(f.Sum))
		}
		l.files = append(l.files, f)
	}
	return l, nil
}

// alive is a reader that gives up when no byte comes for a while.
func alive(from io.Reader, cancel context.CancelFunc) io.Reader {
	return &aliveReader{from: from, timer: time.AfterFunc(stalled, cancel)}
}

type aliveReader struct {
	from  io.Reader
	timer *time.Timer
}

func (r *aliveReader) Read(p []byte) (n int, err error) {
	n, err = r.from.Read(p)
	if err != nil {
		r.timer.Stop()
	} else {
		r.timer.Reset(stalled)
	}
	return n, err
}
