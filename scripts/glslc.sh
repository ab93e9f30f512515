#!/usr/bin/env bash
# glslc.sh prints the path of the compiler for shaders with cooperative matrices, a newer glslc than Debian 12 has,
# and fetches it first where the machine has none. Beside it lies the spirv-val that knows such code.
#
# All other shaders are compiled by Debian 12's own, which stays what is installed. Debian 13's glslc is unpacked into the
# cache with the libraries that it needs (scripts/debian.sh), and runs there by its own loader.
#
# Looked for in this order: $CALDERA_GLSLC, the cache, Debian 13.
set -euo pipefail

die() { echo "glslc.sh: $*" >&2; exit 1; }

if [ -n "${CALDERA_GLSLC:-}" ]; then
  [ -x "$CALDERA_GLSLC" ] || die "CALDERA_GLSLC=$CALDERA_GLSLC is no program; correct the variable or unset it"
  echo "$CALDERA_GLSLC"
  exit
fi

# shaders/internal/glsl looks here too.
cache=${XDG_CACHE_HOME:-${HOME:?glslc.sh: set HOME or XDG_CACHE_HOME, the compiler is kept there}/.cache}/caldera/glslc-2025.2
if [ -x "$cache/glslc" ]; then
  echo "$cache/glslc"
  exit
fi

other="set CALDERA_GLSLC to a glslc of shaderc 2025.2 or newer"
[ "$(uname -m)" = x86_64 ] || die "the compiler is fetched for x86-64 alone, this is $(uname -m): $other"

echo "glslc.sh: downloading glslc and its libraries from Debian 13 (20 MB) into $cache; nothing is installed" >&2
mkdir -p "$(dirname "$cache")"
tmp=$(mktemp -d "$cache.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
"$(dirname "$0")/debian.sh" trixie "$tmp/debian" glslc spirv-tools || die "there is no newer glslc (above): $other"

for program in glslc spirv-val; do
  cat >"$tmp/$program" <<'WRAPPER'
#!/bin/sh
here=$(dirname "$0")/debian/usr
lib=$here/lib/x86_64-linux-gnu
exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$here/bin/$(basename "$0")" "$@"
WRAPPER
  chmod +x "$tmp/$program"
done
version=$("$tmp/glslc" --version) || die "the downloaded glslc does not run here: $other"
# Another version makes other code of the same shaders. The tests then compare interfaces and not bytes.
made=$(sed -n 's/^compiler-of-matrices //p' "$(dirname "$0")/../shaders/spv/MANIFEST")
[ "$(head -1 <<<"$version")" = "$made" ] ||
  echo "glslc.sh: this is $(head -1 <<<"$version"), and the code in shaders/spv was made by $made" >&2

# It gets its name when it is whole.
chmod 755 "$tmp"
trap - EXIT
mv -T "$tmp" "$cache" 2>/dev/null || { rm -rf "$tmp"; [ -x "$cache/glslc" ]; } || die "cannot write $cache"
echo "$cache/glslc"
