#!/usr/bin/env bash
# debian.sh SUITE DIR PACKAGE… unpacks packages of a Debian release (trixie, sid) into DIR, with all the libraries that
# they need down to libc, so that programs run there by their own loader whatever release the machine has. Nothing is
# installed: apt gets lists of its own, which are removed again. glslc.sh and newmesa.sh use it.
#
# The packages come from the mirror that the machine's own apt sources name, or from $CALDERA_DEBIAN_MIRROR. Of these
# the first is taken that has the release. Debian's keys must have signed it, so no mirror needs to be trusted; they are in
# the package debian-archive-keyring, or in the file $CALDERA_DEBIAN_KEYS.
set -euo pipefail

die() { echo "debian.sh: $*" >&2; exit 1; }

[ $# -ge 3 ] || { echo "usage: debian.sh SUITE DIR PACKAGE…" >&2; exit 2; }
suite=$1 dir=$2
shift 2

keys=${CALDERA_DEBIAN_KEYS:-/usr/share/keyrings/debian-archive-keyring.gpg}
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
  die "apt-get and dpkg-deb are missing: packages of Debian's $suite can be unpacked on Debian and Ubuntu alone"
[ -r "$keys" ] || die "the keys of Debian's archive are not in $keys: apt-get install debian-archive-keyring"

# The addresses of the machine's apt sources, in their order; none of them needs to be reached for this.
mirrors() {
  apt-get update --print-uris | sed -n "s|^'\(.*\)/dists/.*/InRelease' .*|\1|p" | grep -v '^cdrom:' | awk '!seen[$0]++'
}
if [ -n "${CALDERA_DEBIAN_MIRROR:-}" ]; then
  candidates=${CALDERA_DEBIAN_MIRROR%/}
else
  candidates=$(mirrors) || true
  [ -n "$candidates" ] ||
    die "this machine's apt sources name no mirror (apt-get update --print-uris): set CALDERA_DEBIAN_MIRROR to the address of one that has Debian's $suite"
fi

mkdir -p "$dir"
apt=$(mktemp -d "$dir.apt.XXXXXX")
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt"/{state/lists/partial,cache/archives/partial}
: >"$apt/status" # nothing is installed: all that is needed is downloaded
# How the machine reaches its mirror (proxies, time limits) is kept, its other settings and its hooks are not.
apt-config dump | grep '^Acquire::' | grep -v '^Acquire::\(Languages\|IndexTargets\|Changelogs\)' >"$apt/conf" || true
cat >>"$apt/conf" <<CONF
Dir::State "$apt/state"; Dir::State::status "$apt/status"; Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null"; Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null";
APT::Install-Recommends "0"; APT::Sandbox::User "root"; Acquire::Languages "none"; APT::Get::AllowUnauthenticated "0";
Acquire::AllowInsecureRepositories "0"; Acquire::AllowWeakRepositories "0"; Acquire::AllowDowngradeToInsecureRepositories "0";
CONF
export APT_CONFIG=$apt/conf

found=
while read -r mirror; do
  printf 'deb [arch=%s signed-by=%s] %s %s main\n' "$(dpkg --print-architecture)" "$keys" "$mirror" "$suite" >"$apt/sources.list"
  # apt-get update may succeed with nothing that it was to fetch: the package tells.
  if apt-get update -qq >>"$apt/log" 2>&1 && [ -n "$(apt-cache show --no-all-versions "$1" 2>>"$apt/log")" ]; then
    found=$mirror
    break
  fi
done <<<"$candidates"
if [ -z "$found" ]; then
  cat "$apt/log" >&2
  die "$(echo $candidates) has no $suite of Debian with $1, or cannot be reached (messages above): set CALDERA_DEBIAN_MIRROR to the address of a mirror that has it"
fi

apt-get install -y -qq --download-only "$@" >"$apt/log" 2>&1 || {
  cat "$apt/log" >&2
  die "apt-get cannot download $* of Debian's $suite (messages above)"
}

mkdir -p "$dir"/usr/{bin,sbin,lib,lib64}
for d in bin sbin lib lib64; do [ -L "$dir/$d" ] || ln -s usr/$d "$dir/$d"; done
for deb in "$apt"/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$dir" \
    --exclude './usr/share/doc' --exclude './usr/share/man' --exclude './usr/share/locale' --exclude '*/gconv'
done
