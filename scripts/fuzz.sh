#!/usr/bin/env bash
# fuzz.sh TIME PACKAGE… fuzzes every target of the packages for TIME each, one after another, since go test takes one
# target at a time. It stops at the first failure; go test then has written the input to the package's testdata/fuzz.
set -euo pipefail
time=${1:?usage: fuzz.sh TIME PACKAGE…}
shift

go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "$@" | while read -r package; do
  for target in $(go test -list '^Fuzz' "$package" </dev/null | grep '^Fuzz' || true); do
    echo "$package $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" </dev/null
  done
done
