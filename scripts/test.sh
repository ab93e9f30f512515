#!/usr/bin/env bash
# test.sh ARGS… is go test ARGS…, and tells at the end which packages took longest and what all of it took: seconds by
# the clock, and of the processors. Packages that answer from Go's cache count as nothing.
set -uo pipefail

told=$(mktemp)
trap 'rm -f "$told"' EXIT
TIMEFORMAT="all: %R s by the clock, %U s of the processors in programs and %S s in the system"
time go test "$@" | tee "$told" # what a package says is shown when it says it: awk may wait for more
status=$?
awk '
  ($1 == "ok" || $1 == "FAIL") && $3 ~ /^[0-9.]+s$/ { took[$2] = $3 + 0 }
  END {
    for (n = 0; n < 5; n++) {
      longest = ""
      for (p in took) if (longest == "" || took[p] > took[longest]) longest = p
      if (longest == "" || took[longest] < 1) break
      printf "%s%s %.0f s", n ? ", " : "longest: ", longest, took[longest]
      delete took[longest]
    }
    if (n) print ""
  }' "$told"
exit "$status"
