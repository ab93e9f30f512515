#!/usr/bin/env bash
# glslc.sh prints the path of the compiler for shaders with cooperative matrices, a newer glslc than Debian 12 has,
# and fetches it first where the machine has none. Beside it lies the spirv-val that knows such code.
#
# All other shaders are compiled by Debian 12's own, which stays what is installed: the packages of Debian 13 named
# below, 10 MB, are unpacked into the cache with the libraries that they need, and run there by their own loader. They
# are named to the byte, so that they make the same code everywhere. What a point release of Debian 13 replaces stays
# at snapshot.debian.org.
#
# Looked for in this order: $CALDERA_GLSLC, the cache, the packages.
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

helper=/usr/lib/apt/apt-helper
[ "$(uname -m)" = x86_64 ] && [ -x $helper ] && command -v dpkg-deb >/dev/null ||
  die "the packages are for Debian and its kind on x86-64: set CALDERA_GLSLC to a glslc of shaderc 2025.2"

packages="
e05374965709159303041b104d4a26022d6ac5eb8296450364d66ae864a20367 s/shaderc/glslc_2025.2-1_amd64.deb
2a67c8f784c65e1aa0d251819c020917405b490fbb543c6a73a52a631e476463 s/shaderc/libshaderc1_2025.2-1_amd64.deb
2cc272ef1340cf0b47de6c5fcccaf91574d7a8f4061abb718d6c639463e85aab s/spirv-tools/spirv-tools_2025.1~rc1-1_amd64.deb
ab1fa05837aa7a92aae748fd07a18a35f7d18bb4a71c4724fe2bbf0e32089de0 g/gcc-14/libstdc++6_14.2.0-19_amd64.deb
3c71917b490d1a17aed43196a2787a256ecf060526cdb20216a74bedc061b150 g/gcc-14/libgcc-s1_14.2.0-19_amd64.deb
b59b0625cd1a791375d40dab23a4d5d3d0641e3d0a773501becdc3725b7f99cf g/glibc/libc6_2.41-12+deb13u5_amd64.deb
"

echo "glslc.sh: downloading glslc 2025.2 and its libraries, packages of Debian 13 (10 MB), into $cache; nothing is installed" >&2
mkdir -p "$(dirname "$cache")"
tmp=$(mktemp -d "$cache.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/debian"
while read -r sum file; do
  [ -n "$sum" ] || continue
  deb=$tmp/package.deb
  for pool in http://deb.debian.org/debian/pool/main https://snapshot.debian.org/archive/debian/20261127T000000Z/pool/main none; do
    [ $pool != none ] || die "$file cannot be downloaded, or is not what it was: is the machine on the network? (messages above)"
    rm -f "$deb"
    if $helper -q=2 -o APT::Sandbox::User=root -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 download-file "$pool/$file" "$deb" "SHA256:$sum" >&2; then break; fi
  done
  echo "$sum  $deb" | sha256sum --quiet --check - >&2 || die "$file is not what it was"
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tmp/debian" --wildcards --exclude './usr/share/*' --exclude '*/gconv' --exclude './usr/bin/spirv-[!v]*' './usr/*'
done <<<"$packages"
rm -f "$tmp/package.deb"

for program in glslc spirv-val; do
  cat >"$tmp/$program" <<'WRAPPER'
#!/bin/sh
here=$(dirname "$0")/debian/usr
lib=$here/lib/x86_64-linux-gnu
exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$here/bin/$(basename "$0")" "$@"
WRAPPER
  chmod +x "$tmp/$program"
done
"$tmp/glslc" --version >/dev/null || die "the downloaded glslc does not run here: set CALDERA_GLSLC to a glslc of shaderc 2025.2"

# It gets its name when it is whole.
chmod 755 "$tmp"
trap - EXIT
mv -T "$tmp" "$cache" 2>/dev/null || { rm -rf "$tmp"; [ -x "$cache/glslc" ]; } || die "cannot write $cache"
echo "$cache/glslc"
