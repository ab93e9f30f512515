#!/usr/bin/env bash
# austen.sh FILE writes Jane Austen's six novels to FILE: 4 MB of text, each paragraph on a line, a blank line between.
# They are in Debian's package r-cran-janeaustenr, of which nothing is installed.
set -euo pipefail

out=${1:?austen.sh: name the file to write}
case $out in /*) ;; *) out=$PWD/$out ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$(dirname "$0")/.."
root=
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null; then root=sudo; fi
download() { (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download r-cran-janeaustenr >&2); }
# A failure mostly means that the package lists are missing or old.
download || { $root apt-get -qq update >&2 && download; } || {
  echo "austen.sh: apt-get cannot download the package r-cran-janeaustenr of Debian and Ubuntu (messages above): is the machine on the network?" >&2
  exit 1
}
dpkg-deb -x "$work"/r-cran-janeaustenr_*.deb "$work/package"
go run ./models/corpus "$work/package/usr/lib/R/site-library/janeaustenr/data/Rdata.rdb" >"$work/text"
mv "$work/text" "$out"
