#!/usr/bin/env bash
# gpulab.sh RELEASE prints the path of a program that runs another on a real GPU driver without a GPU, as in
# RUN CARD PROGRAM ARGS..., and fetches the drivers first where the machine has none. make test-gpus uses it.
#
# Debian's package mesa-drm-shim plays the kernel's side of a graphics card. Mesa's drivers open it with that card's
# limits, and compile, record and submit as ever; a submit does nothing, memory keeps what it held. So this shows what
# drivers say of our shaders and calls, and what their compilers make of them, never results or speed. For Intel's cards
# the project has a preload of its own (gpulab/i915.c).
#
# RELEASE is trixie, Debian 13, or sid, which has newer drivers and more cards, and moves. Packages with all the
# libraries that they need (100 MB each) are unpacked into the cache (scripts/debian.sh), and run there by their own
# loader.
set -euo pipefail

die() { echo "gpulab.sh: $*" >&2; exit 1; }

release=${1-}
case $release in trixie | sid) ;; *) echo "usage: gpulab.sh trixie|sid" >&2; exit 2 ;; esac
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?gpulab.sh: set HOME or XDG_CACHE_HOME, the drivers are kept there}/.cache}/caldera/gpulab-$release
tmp=
trap '[ -z "$tmp" ] || rm -rf "$tmp"' EXIT

if [ ! -d "$cache/debian" ]; then
  [ "$(uname -m)" = x86_64 ] || die "the drivers are fetched for x86-64 alone, this is $(uname -m)"
  echo "gpulab.sh: downloading the GPU drivers of Debian's $release (100 MB) into $cache; nothing is installed" >&2
  mkdir -p "$(dirname "$cache")"
  tmp=$(mktemp -d "$cache.XXXXXX")
  more=
  [ "$release" = trixie ] || more=libdrm-dev # the kernel's header, for i915.c
  "$here/debian.sh" "$release" "$tmp/debian" mesa-drm-shim mesa-vulkan-drivers libvulkan1 vulkan-validationlayers $more ||
    die "there are no drivers to test with (above)"
  [ -n "$(find "$tmp/debian" -name 'libamdgpu_noop_drm_shim.so')" ] || die "the packages hold no card to play: they have changed"
  chmod 755 "$tmp"
  mv -T "$tmp" "$cache" 2>/dev/null || [ -d "$cache/debian" ] || die "cannot write $cache"
fi

# What is ours may change while the packages stay: its name tells what it was made of.
made=$cache/run-$(cat "$0" "$here/gpulab/i915.c" | sha256sum | cut -c1-16)
if [ ! -x "$made/run" ]; then
  tmp=$(mktemp -d "$cache/new.XXXXXX")
  if [ "$release" = sid ]; then
    gcc -std=gnu11 -O1 -Wall -Werror -shared -fPIC -I "$cache/debian/usr/include/libdrm" -idirafter "$cache/debian/usr/include" -o "$tmp/i915.so" "$here/gpulab/i915.c" -ldl ||
      die "i915.c does not compile with the header of $release"
  fi
  cat >"$tmp/run" <<'RUN'
#!/bin/sh
# run CARD PROGRAM ARGS...: with the driver of that card. AMD: polaris10, navi21, navi31, and of sid gfx1201; NVIDIA:
# turing, ampere, and of sid ada, blackwell, gh100; of sid besides: m1 (Apple), adreno (Qualcomm's 740), dg2 and tgl
# (Intel).
made=$(cd "$(dirname "$0")" && pwd)
usr=$made/../debian/usr
lib=$usr/lib/x86_64-linux-gnu
card=$1 && shift
nouveau() { driver=nouveau shim=nouveau && export NOUVEAU_CHIPSET="$1"; }
preload=
case $card in
turing) nouveau 162 ;;
ampere) nouveau 172 ;;
ada) nouveau 192 ;;
blackwell) nouveau 1b2 ;;
gh100) nouveau 180 && export NVK_I_WANT_A_BROKEN_VULKAN_DRIVER=1 ;;
m1) driver=asahi shim=asahi ;;
adreno) driver=freedreno shim=freedreno && export FD_GPU_ID=740 ;;
dg2 | tgl) driver=intel preload=$made/i915.so && export CALDERA_I915="$card" ;;
*) driver=radeon shim=amdgpu && export AMDGPU_GPU_ID="$card" ;;
esac
icd=$(ls "$usr/share/vulkan/icd.d/${driver}_icd"*.json | head -n 1)
[ "$preload" ] || preload=$(ls "$lib/lib${shim}_noop_drm_shim.so" "$lib"/*/"lib${shim}_noop_drm_shim.so" 2>/dev/null | head -n 1)
[ -r "$icd" ] && [ -r "$preload" ] || { echo "run: these drivers cannot play $card" >&2; exit 2; }
export VK_DRIVER_FILES="$icd" VK_LAYER_PATH="$usr/share/vulkan/explicit_layer.d" MESA_SHADER_CACHE_DISABLE=true
# The layer can tell which bytes of a buffer a shader touches; without that it takes windows of one buffer for hazards.
export VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC=1
exec "$lib/ld-linux-x86-64.so.2" --argv0 "$1" --preload "$preload" --library-path "$lib" "$@"
RUN
  chmod 755 "$tmp" "$tmp/run"
  mv -T "$tmp" "$made" 2>/dev/null || { rm -rf "$tmp"; [ -x "$made/run" ]; } || die "cannot write $made"
fi
echo "$made/run"
