package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// asset is a file of the page.
type asset struct {
	data []byte
	kind string // Content-Type
	hash string
}

// maxPage bounds the files of the page.
const maxPage = 16 << 20

// readPage reads the files of the page. In index.html the names of the others get
// their hashes, so that browsers may keep those for ever.
func readPage(page fs.FS) (map[string]asset, error) {
	assets, total := map[string]asset{}, 0
	err := fs.WalkDir(page, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(page, name)
		if total += len(data); total > maxPage {
			return fmt.Errorf("the page has more than %d bytes", maxPage)
		}
		assets["/"+name] = newAsset(name, data)
		return err
	})
	if err != nil {
		return nil, err
	}
	index, there := assets["/index.html"]
	if !there {
		return nil, errors.New("the page has no index.html")
	}
	for name, a := range assets {
		name = strings.TrimPrefix(name, "/")
		index.data = bytes.ReplaceAll(index.data, []byte(`"`+name+`"`), []byte(`"`+name+"?v="+a.hash+`"`))
	}
	assets["/"] = newAsset("index.html", index.data)
	delete(assets, "/index.html")
	return assets, nil
}

// kinds are the types of files that a page may have, whatever the machine's tables say.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".woff2": "font/woff2", ".png": "image/png",
}

func newAsset(name string, data []byte) asset {
	sum := sha256.Sum256(data)
	kind := kinds[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	if kind == "" {
		kind = "application/octet-stream"
	}
	return asset{data, kind, hex.EncodeToString(sum[:8])}
}

// file answers with a file of the page.
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	a, there := s.assets[r.URL.Path]
	if !there {
		what := "a file of the page"
		if strings.HasPrefix(r.URL.Path, "/api/") {
			what = "a view"
		}
		s.fail(w, r, refuse(http.StatusNotFound, "%.200q is not %s: begin at /", r.URL.Path, what))
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", s.policy)
	h.Set("Content-Type", a.kind)
	h.Set("ETag", `"`+a.hash+`"`)
	h.Set("Cache-Control", "no-cache")
	if r.URL.RawQuery == "v="+a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	deadline(w)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
}
