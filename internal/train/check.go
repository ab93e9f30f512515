package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"caldera/internal/printable"
)

func validUTF8(s string) bool { return utf8.ValidString(s) }

// checkBlock is how many bytes of a text are checked between looks at the context.
const checkBlock = 1 << 24

// binaryStart is how many bytes are looked at for a zero, which no text has.
const binaryStart = 8 << 10

var errEmpty = errors.New("it is empty, expected text")

// checkText reports what is no text in UTF-8. Of a file that was found in a
// directory it expects that it does not look like a binary either.
func checkText(ctx context.Context, data []byte, named bool) error {
	if len(data) == 0 {
		return errEmpty
	}
	if at := bytes.IndexByte(data[:min(len(data), binaryStart)], 0); at >= 0 && !named {
		return fmt.Errorf("byte %d is 0x00, as in a binary file, expected text", at)
	}
	for at := 0; at < len(data); {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := min(at+checkBlock, len(data))
		for end < len(data) && end > at && !utf8.RuneStart(data[end]) && end > at+checkBlock-utf8.UTFMax {
			end--
		}
		if i := printable.InvalidUTF8(data[at:end]); i >= 0 {
			return fmt.Errorf("byte %d is 0x%02x, expected UTF-8: convert the text first, as iconv does", at+i, data[at+i])
		}
		at = end
	}
	return nil
}

// CheckFile reports why a file is no text.
func CheckFile(ctx context.Context, f File) error {
	return withFile(f.Path, func(data []byte) error { return checkText(ctx, data, f.Named) })
}

// maxWarnings is how many files that are left out are told of one by one.
const maxWarnings = 20

// Warnings tell what was left out, in a few lines.
func Warnings(left []LeftOut) string {
	var b strings.Builder
	for _, l := range left[:min(len(left), maxWarnings)] {
		fmt.Fprintf(&b, "warning: left out: %v\n", l)
	}
	if n := len(left) - maxWarnings; n > 0 {
		fmt.Fprintf(&b, "warning: and %d more were left out\n", n)
	}
	return b.String()
}
