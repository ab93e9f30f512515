// Package setting is for errors that name settings. A library does not know how
// a program has its user give a setting: by which flag, if any. So it writes the
// setting's name in braces, and the program spells it:
//
//	err := setting.Errorf("{batch_size=%d}: expected 1 to %d", 0, 64)
//	err.Error()               // batch_size=0: expected 1 to 64
//	setting.Spell(err, flag)  // --batch_size=0: expected 1 to 64
package setting

import (
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

func (e *Error) Error() string { return e.Unwrap().Error() }

// Unwrap returns the error as fmt.Errorf makes it.
func (e *Error) Unwrap() error { return e.spell(func(name string) string { return name }) }

var inBraces = regexp.MustCompile(`\{([\w-]+)([^}]*)\}`)

// spell returns the error with all names, those in its arguments too, as flag
// spells them.
func (e *Error) spell(flag func(name string) string) error {
	format := inBraces.ReplaceAllStringFunc(e.format, func(s string) string {
		part := inBraces.FindStringSubmatch(s)
		return flag(part[1]) + part[2]
	})
	args := make([]any, len(e.args))
	for i, a := range e.args {
		if err, ok := a.(error); ok {
			a = Spell(err, flag)
		}
		args[i] = a
	}
	return fmt.Errorf(format, args...)
}

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
	found := errorsIn(err)
	if len(found) == 0 {
		return err
	}
	text := err.Error()
	for _, e := range found {
		text = strings.Replace(text, e.Error(), e.spell(flag).Error(), 1)
	}
	return &spelled{err, text}
}

// errorsIn finds the errors of this package that err is made of, but for those in
// others of them.
func errorsIn(err error) (all []*Error) {
	switch e := err.(type) {
	case *Error:
		return []*Error{e}
	case *spelled: // already
	case interface{ Unwrap() error }:
		return errorsIn(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, errorsIn(one)...)
		}
	}
	return all
}
