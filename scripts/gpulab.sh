#!/usr/bin/env bash
# gpulab.sh prints the path of a program that runs another on a real GPU driver without a GPU, as in
# RUN CARD PROGRAM ARGS..., and fetches the drivers first where the machine has none. make test-gpulab uses it.
#
# Debian's package mesa-drm-shim plays the kernel's side of a graphics card. Mesa's drivers for AMD and NVIDIA open it
# with that card's limits, and compile, record and submit as ever; a submit does nothing, memory keeps what it held. So
# this shows what drivers say of our shaders and calls, and that a device which computes nothing is refused. Packages of
# Debian 13, with all the libraries that they need (100 MB), are unpacked into the cache, and run there by their own loader.
set -euo pipefail

die() { echo "gpulab.sh: $*" >&2; exit 1; }

cache=${XDG_CACHE_HOME:-${HOME:?gpulab.sh: set HOME or XDG_CACHE_HOME, the drivers are kept there}/.cache}/caldera/gpulab
if [ -x "$cache/run" ]; then
  echo "$cache/run"
  exit
fi

keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ "$(uname -m)" = x86_64 ] && command -v apt-get >/dev/null && [ -r $keys ] ||
  die "Debian on x86-64 is needed, or its archive's keys in $keys (package debian-archive-keyring)"
# The mirror is that of the machine's own sources, in whichever of the two formats they are.
mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
  sed -nE 's#^(URIs:|deb )(.* )?([a-z]+://[^ ]+/debian/?)( .*)?$#\3#p' | sed 1q) || true
[ -n "$mirror" ] || die "the machine's apt sources name no mirror of Debian"

mkdir -p "$(dirname "$cache")"
tmp=$(mktemp -d "$cache.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp"/apt/{state/lists/partial,cache/archives/partial,etc} "$tmp"/debian/usr/{bin,sbin,lib,lib64}
for d in bin sbin lib lib64; do ln -s usr/$d "$tmp/debian/$d"; done
: >"$tmp/apt/status" # nothing is installed: all that is needed is downloaded
echo "deb [signed-by=$keys] $mirror trixie main" >"$tmp/apt/etc/sources.list"
cat >"$tmp/apt/conf" <<CONF
Dir::State "$tmp/apt/state"; Dir::State::status "$tmp/apt/status"; Dir::Cache "$tmp/apt/cache";
Dir::Etc::sourcelist "$tmp/apt/etc/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
APT::Install-Recommends "0"; APT::Sandbox::User "root"; Acquire::Languages "none";
CONF
echo "gpulab.sh: downloading the GPU drivers of Debian 13 (100 MB) into $cache; nothing is installed" >&2
export APT_CONFIG=$tmp/apt/conf
apt-get update -qq >&2 && apt-get install -y -qq --download-only mesa-drm-shim mesa-vulkan-drivers libvulkan1 vulkan-validationlayers >&2 ||
  die "apt-get failed: is the machine on the network? (messages above)"
for deb in "$tmp"/apt/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$tmp/debian" --exclude './usr/share/doc' --exclude './usr/share/locale'
done
rm -rf "$tmp/apt"

cat >"$tmp/run" <<'RUN'
#!/bin/sh
# run CARD PROGRAM ARGS...: with the driver of that card. AMD: navi31, navi21, vega10, polaris10, gfx1201; NVIDIA: the
# chipset's number, 162 (Turing), 172 (Ampere).
here=$(cd "$(dirname "$0")" && pwd)/debian/usr
lib=$here/lib/x86_64-linux-gnu
card=$1 && shift
case $card in
[0-9]*) driver=nouveau shim=nouveau && export NOUVEAU_CHIPSET="$card" ;;
*) driver=radeon shim=amdgpu && export AMDGPU_GPU_ID="$card" ;;
esac
icd=$(ls "$here/share/vulkan/icd.d/${driver}_icd"*.json | head -n 1)
preload=$(ls "$here/lib/x86_64-linux-gnu/lib${shim}_noop_drm_shim.so" "$here/lib/x86_64-linux-gnu"/*/"lib${shim}_noop_drm_shim.so" 2>/dev/null | head -n 1)
export VK_DRIVER_FILES="$icd" VK_LAYER_PATH="$here/share/vulkan/explicit_layer.d" MESA_SHADER_CACHE_DISABLE=true
exec "$lib/ld-linux-x86-64.so.2" --argv0 "$1" --preload "$preload" --library-path "$lib" "$@"
RUN
chmod 755 "$tmp" "$tmp/run"
[ -n "$(find "$tmp/debian" -name 'libamdgpu_noop_drm_shim.so')" ] || die "the packages hold no card to play: they have changed"
trap - EXIT
mv -T "$tmp" "$cache" 2>/dev/null || { rm -rf "$tmp"; [ -x "$cache/run" ]; } || die "cannot write $cache"
echo "$cache/run"
