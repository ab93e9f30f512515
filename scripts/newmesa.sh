#!/usr/bin/env bash
# newmesa.sh prints the path of a program that runs another on the lavapipe of Debian's unstable release, as in
# go test -exec, and fetches that driver first where the machine has none. make test-matrix uses it.
#
# Lavapipe of Mesa 26 has what GPUs have and Debian 12's drivers have not: cooperative matrices. Packages, with all the
# libraries that they need (100 MB), are unpacked into the cache (scripts/debian.sh), and run there by their own loader.
# The unstable release moves: what is fetched is what it has that day, and stays until the cache is removed.
set -euo pipefail

die() { echo "newmesa.sh: $*" >&2; exit 1; }

cache=${XDG_CACHE_HOME:-${HOME:?newmesa.sh: set HOME or XDG_CACHE_HOME, the driver is kept there}/.cache}/caldera/newmesa
if [ -x "$cache/run" ]; then
  echo "$cache/run"
  exit
fi

[ "$(uname -m)" = x86_64 ] || die "the driver is fetched for x86-64 alone, this is $(uname -m)"

echo "newmesa.sh: downloading lavapipe of Debian's unstable release (100 MB) into $cache; nothing is installed" >&2
mkdir -p "$(dirname "$cache")"
tmp=$(mktemp -d "$cache.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
"$(dirname "$0")/debian.sh" sid "$tmp/debian" mesa-vulkan-drivers libvulkan1 vulkan-validationlayers ||
  die "there is no newer lavapipe (above)"

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
