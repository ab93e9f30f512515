#!/usr/bin/env bash
# newmesa.sh prints the path of a program that runs another on the lavapipe of Debian's unstable release, as in
# go test -exec, and fetches that driver first where the machine has none. make test-matrix uses it.
#
# Lavapipe of Mesa 26 has what GPUs have and Debian 12's drivers have not: cooperative matrices. Packages, with all the
# libraries that they need (100 MB), are unpacked into the cache, and run there by their own loader; apt has lists of
# its own for them, so that nothing of the system is touched. The unstable release moves: what is fetched is what it
# has that day, and stays until the cache is removed.
set -euo pipefail

die() { echo "newmesa.sh: $*" >&2; exit 1; }

cache=${XDG_CACHE_HOME:-${HOME:?newmesa.sh: set HOME or XDG_CACHE_HOME, the driver is kept there}/.cache}/caldera/newmesa
if [ -x "$cache/run" ]; then
  echo "$cache/run"
  exit
fi

keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ "$(uname -m)" = x86_64 ] && command -v apt-get >/dev/null && [ -r $keys ] ||
  die "Debian on x86-64 is needed, or its archive's keys in $keys (package debian-archive-keyring)"

mkdir -p "$(dirname "$cache")"
tmp=$(mktemp -d "$cache.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp"/apt/{state/lists/partial,cache/archives/partial,etc} "$tmp"/debian/usr/{bin,sbin,lib,lib64}
for d in bin sbin lib lib64; do ln -s usr/$d "$tmp/debian/$d"; done
: >"$tmp/apt/status" # nothing is installed: all that is needed is downloaded
echo "deb [signed-by=$keys] http://deb.debian.org/debian sid main" >"$tmp/apt/etc/sources.list"
cat >"$tmp/apt/conf" <<CONF
Dir::State "$tmp/apt/state"; Dir::State::status "$tmp/apt/status"; Dir::Cache "$tmp/apt/cache";
Dir::Etc::sourcelist "$tmp/apt/etc/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
APT::Install-Recommends "0"; APT::Sandbox::User "root"; Acquire::Languages "none";
CONF
echo "newmesa.sh: downloading lavapipe of Debian's unstable release (100 MB) into $cache; nothing is installed" >&2
export APT_CONFIG=$tmp/apt/conf
apt-get update -qq >&2 && apt-get install -y -qq --download-only mesa-vulkan-drivers libvulkan1 vulkan-validationlayers >&2 ||
  die "apt-get failed: is the machine on the network? (messages above)"
for deb in "$tmp"/apt/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$tmp/debian" --exclude './usr/share/doc' --exclude './usr/share/locale'
done
rm -rf "$tmp/apt"

cat >"$tmp/run" <<'RUN'
#!/bin/sh
# run PROGRAM ARGS...: with the loader, the driver and the validation layer that are here.
here=$(cd "$(dirname "$0")" && pwd)/debian/usr
lib=$here/lib/x86_64-linux-gnu
export CALDERA_LAVAPIPE_ICD="$here/share/vulkan/icd.d/lvp_icd.json" VK_LAYER_PATH="$here/share/vulkan/explicit_layer.d"
export VK_DRIVER_FILES="$CALDERA_LAVAPIPE_ICD"
# The newer layer can tell which bytes of a buffer a shader touches; without that it takes windows of one buffer for hazards.
export VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC=1
exec "$lib/ld-linux-x86-64.so.2" --argv0 "$1" --library-path "$lib" "$@"
RUN
chmod 755 "$tmp" "$tmp/run"
[ -r "$tmp/debian/usr/share/vulkan/icd.d/lvp_icd.json" ] || die "the packages hold no lavapipe: they have changed"
trap - EXIT
mv -T "$tmp" "$cache" 2>/dev/null || { rm -rf "$tmp"; [ -x "$cache/run" ]; } || die "cannot write $cache"
echo "$cache/run"
