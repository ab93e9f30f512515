// Package setting is for messages that name settings. A library does not know
// how a program has its user give a setting: by which flag, if any. So it writes
// the setting's name in braces, and the program spells it out:
//
//	err := setting.Errorf("{batch_size=%d}: expected 1 to %d", 0, 64)
//	err.Error()                    // batch_size=0: expected 1 to 64
//	setting.Spell(err, flag)       // --batch_size=0: expected 1 to 64
package setting

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Error is an error whose text names settings.
type Error struct {
	format string
	args   []any
}

// Errorf is fmt.Errorf with settings in the format: {name}, or {name=value}
// for one of a value.
func Errorf(format string, args ...any) error { return &Error{format, args} }

var inBraces = regexp.MustCompile(`\{([\w-]+)([^}]*)\}`)

// as returns the error with names spelled by spell.
func (e *Error) as(spell func(name string) string) error {
	format := inBraces.ReplaceAllStringFunc(e.format, func(s string) string {
		part := inBraces.FindStringSubmatch(s)
		return spell(part[1]) + part[2]
	})
	return fmt.Errorf(format, e.args...)
}

func (e *Error) Error() string { return e.as(func(name string) string { return name }).Error() }

// Unwrap returns what the format wraps with %w.
func (e *Error) Unwrap() error { return errors.Unwrap(e.as(func(name string) string { return name })) }

// spelled is an error with another text.
type spelled struct {
	error
	text string
}

func (e *spelled) Error() string { return e.text }
func (e *spelled) Unwrap() error { return e.error }

// Spell returns err with the settings that it names spelled by flag. An err that
// names none comes back as it is.
func Spell(err error, flag func(name string) string) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	return &spelled{err, strings.Replace(err.Error(), e.Error(), e.as(flag).Error(), 1)}
}
