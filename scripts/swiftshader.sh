#!/usr/bin/env bash
# swiftshader.sh prints the path of SwiftShader's Vulkan manifest (vk_swiftshader_icd.json), and fetches the driver
# first where the machine has none.
#
# SwiftShader is a second, independent Vulkan driver that runs on the CPU. Its limits are those of a small device
# (subgroups of 4, workgroups of 256, offsets aligned to 256, no 16-bit storage), so the tests run on it beside
# lavapipe. It has no package of its own: browsers carry it. Debian's package chromium-common is downloaded and
# two files are unpacked from it; the browser is not installed.
#
# Looked for in this order: $CALDERA_SWIFTSHADER_ICD, an installed browser, the cache, the package.
set -euo pipefail

say() { echo "swiftshader.sh: $*" >&2; }
die() { say "$*"; exit 1; }

cache=${XDG_CACHE_HOME:-${HOME:?swiftshader.sh: set HOME or XDG_CACHE_HOME, the driver is kept there}/.cache}/caldera/swiftshader

# usable MANIFEST: is there a library where the manifest says? The loader reads a path with a slash relative to the
# manifest, as this does.
usable() {
  local lib
  [ -r "$1" ] || return 1
  lib=$(sed -n 's/.*"library_path"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' "$1")
  case $lib in
    "") return 1 ;;
    /*) [ -r "$lib" ] ;;
    */*) [ -r "$(dirname "$1")/$lib" ] ;;
    *) return 1 ;; # a bare name is left to the system's library path, where no browser puts this library
  esac
}

if [ -n "${CALDERA_SWIFTSHADER_ICD:-}" ]; then
  usable "$CALDERA_SWIFTSHADER_ICD" ||
    die "CALDERA_SWIFTSHADER_ICD=$CALDERA_SWIFTSHADER_ICD is no readable Vulkan manifest with its library beside it; correct the variable or unset it"
  echo "$CALDERA_SWIFTSHADER_ICD"
  exit
fi

for dir in /usr/lib/chromium /usr/lib/chromium-browser /usr/lib64/chromium-browser /snap/chromium/current/usr/lib/chromium-browser \
  /opt/google/chrome /opt/microsoft/msedge "$cache"; do
  if usable "$dir/vk_swiftshader_icd.json"; then
    echo "$dir/vk_swiftshader_icd.json"
    exit
  fi
done

elsewhere="install Chromium or Google Chrome, which carry it, or set CALDERA_SWIFTSHADER_ICD to a vk_swiftshader_icd.json"

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
  die "this machine has neither SwiftShader nor apt to fetch it with: $elsewhere"

# Downloading a package needs no root, but it needs the package lists.
root=
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null; then root=sudo; fi
size() { apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Size: //p' | head -1; }
if [ -z "$(size chromium-common)" ]; then
  $root apt-get update -qq >&2 || die "apt-get update failed: is the machine on the network? (messages above)"
fi
if [ -z "$(size chromium-common)" ]; then
  die "apt offers no package chromium-common here (Ubuntu gives Chromium as a snap): sudo snap install chromium, and run this again; or $elsewhere"
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

say "downloading Debian's package chromium-common ($(($(size chromium-common) / 1000000)) MB) to unpack its Vulkan driver, SwiftShader, into $cache; the browser is not installed"
download() { (cd "$tmp" && apt-get download -qq -o APT::Sandbox::User=root chromium-common >&2); }
# A failure mostly means that the lists name a version which the mirror has replaced since.
download || { $root apt-get update -qq >&2 && download; } ||
  die "apt-get download chromium-common failed: is the machine on the network, with room in $tmp? (messages above)"

dpkg-deb --fsys-tarfile "$tmp"/chromium-common_*.deb |
  tar -x -C "$tmp" ./usr/lib/chromium/libvk_swiftshader.so ./usr/lib/chromium/vk_swiftshader_icd.json ||
  die "this version of chromium-common carries no SwiftShader: $elsewhere"

# The manifest is made to name the library beside it, and is moved last, so that a run that was cut off leaves
# nothing usable behind.
mkdir -p "$cache"
mv -f "$tmp/usr/lib/chromium/libvk_swiftshader.so" "$cache/"
sed -i 's|\("library_path"[[:space:]]*:[[:space:]]*\)"[^"]*"|\1"./libvk_swiftshader.so"|' "$tmp/usr/lib/chromium/vk_swiftshader_icd.json"
mv -f "$tmp/usr/lib/chromium/vk_swiftshader_icd.json" "$cache/"
usable "$cache/vk_swiftshader_icd.json" || die "the manifest unpacked to $cache does not name its library: $elsewhere"
echo "$cache/vk_swiftshader_icd.json"
