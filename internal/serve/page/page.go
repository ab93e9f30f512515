// Package page is the page on which a reader looks into a GPT: HTML, a style sheet and a program, which are bundled of
// the TypeScript in src and committed in static. TestManifest holds the one to the other by hashes, as shaders does.
package page

import (
	"embed"
	"io/fs"
)

//go:generate go run gen.go

//go:embed static/index.html static/app.css static/app.js
var static embed.FS

// Policy is the Content-Security-Policy under which the page works: everything comes from the server that gave the page.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Files are those of the page: index.html, app.css, app.js.
func Files() fs.FS {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err)
	}
	return files
}
