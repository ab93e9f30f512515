#!/usr/bin/env bash
# setup.sh GROUP installs what a make target needs on Debian or Ubuntu, and elsewhere says what to install.
#
#   run    build the commands and run them on the CPU or through Vulkan
#   code   run, recompile the shaders and bundle the inspector's page
#   watch  run, and build the window (cmd/watch)
#   test   code and watch, and the drivers, layers, libraries and the browser that the tests hold Caldera against
#   cpus   run the tests of arm64 kernels on another processor, and those with OpenBLAS
#
# A thing counts as there when it works, not when a package of its name is installed; where all is there, nothing is
# asked of the network. To add one: a line `need` in its group below, or `want` where it only makes things faster: without
# such a one all goes on.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

# Tests of what is there. Distributions put libraries and manifests in different places, the loaders' own are asked.
program() { command -v "$1" >/dev/null; }
library() { [[ $(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null) == *"$1 "* ]]; }
manifest() { # manifest FOLDER PATTERN: does the Vulkan loader find such a file?
  local dir
  for dir in /etc/vulkan /usr/local/etc/vulkan /usr/local/share/vulkan /usr/share/vulkan "${XDG_DATA_HOME:-${HOME:-}/.local/share}/vulkan"; do
    compgen -G "$dir/$1/$2" >/dev/null && return
  done
  return 1
}
# A browser that tests can drive: Debian's Chromium, or its part without a window, or Google's build.
browser() { program chromium-headless-shell || program chromium || program google-chrome; }
compiles() { header stdlib.h; }
header() { printf '#include <%s>\n' "$1" | gcc -E - >/dev/null 2>&1; }

missing=() # packages that are needed
wanted=()  # packages that make things faster
again=     # set when what was installed is looked for
# need PACKAGE WHY TEST…
need() {
  if "${@:3}"; then return; fi
  [ "$again" ] || say "$1 is missing: $2"
  missing+=("$1")
}
# want PACKAGE WHY TEST…
want() {
  if "${@:3}"; then return; fi
  [ "$again" ] || say "$1 is missing: $2"
  wanted+=("$1")
}

# A processor for which the CPU backend has kernels as fast as a library's, or a library that it can use.
blas() {
  local name
  [ "$(uname -m)" = x86_64 ] || return 0
  if [[ $(lscpu 2>/dev/null) == *avx2* ]]; then return; fi
  for name in libopenblas.so.0 libopenblas.so libmkl_rt.so.2 libmkl_rt.so libblis.so.4 libblis.so; do
    if library "$name"; then return; fi
  done
  return 1
}

needs_run() {
  need gcc "compiles the Vulkan binding (cgo)" program gcc
  need libc6-dev "C headers for gcc" compiles
  need libvulkan1 "the Vulkan loader, opened at run time" library libvulkan.so.1
  # A driver of the graphics card's maker will do; Mesa's package has those for AMD and Intel, and one for the CPU.
  need mesa-vulkan-drivers "Vulkan drivers" manifest icd.d '*.json'
  want libopenblas0-pthread "matrix products on a processor without AVX2; without it they are slower" blas
}
needs_code() {
  needs_run
  need glslc "compiles the shaders to SPIR-V" program glslc
  need spirv-tools "validates SPIR-V" program spirv-val
  need nodejs "runs npm, and in tests the TypeScript compiler and the browser's driver" program node
  need npm "fetches what the inspector's page is bundled of" program npm
}
# What github.com/go-gl/glfw is built with.
needs_headers() {
  need libx11-dev "windows" header X11/Xlib.h
  need libxcursor-dev "pointers of windows" header X11/Xcursor/Xcursor.h
  need libxrandr-dev "the screen's size and density" header X11/extensions/Xrandr.h
  need libxinerama-dev "several screens" header X11/extensions/Xinerama.h
  need libxi-dev "the mouse in windows" header X11/extensions/XInput2.h
  need libxxf86vm-dev "the screen's colours" header X11/extensions/xf86vmode.h
  need libgl-dev "what the window's library links with" header GL/gl.h
}
needs_watch() {
  needs_run
  needs_headers
}
needs_test() {
  needs_code
  needs_headers
  need xvfb "a display without a screen, for the window's tests" program Xvfb
  if [[ ! " ${missing[*]-} " == *" mesa-vulkan-drivers "* ]]; then
    need mesa-vulkan-drivers "lavapipe, the Vulkan driver on the CPU that the tests run on" manifest icd.d 'lvp_icd*.json'
  fi
  need vulkan-validationlayers "reports wrong use of Vulkan; a message fails the tests" manifest explicit_layer.d 'VkLayer_khronos_validation.json'
  need spirv-cross "translates the shaders to Metal, as on a Mac" program spirv-cross
  wanted=() # of which the tests need
  need libopenblas0-pthread "the BLAS that the CPU backend finds at run time" library libopenblas.so.0
  need chromium-headless-shell "the browser in which the inspector's page is tested" browser
}

needs_cpus() {
  need qemu-user-static "runs programs for arm64" program qemu-aarch64-static
  need libc6-arm64-cross "the C library of these" test -e /usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1
  need libopenblas0-pthread "a BLAS that serves where it is asked for" library libopenblas.so.0
}

check_go() {
  local want have
  program go || die "Go is missing: install Go $(sed -n 's/^go //p' go.mod) or newer from go.dev/dl and put its bin directory on PATH"
  want=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' go.mod)
  # Asked in the module, a Go from 1.21 on that is too old fetches the right one, unless it is told not to.
  have=$(go env GOVERSION 2>&1) || die "this Go cannot build the module, which needs Go $want or newer (go.dev/dl): $have"
  have=${have#go}
  [ "$(printf '%s\n' "$want" "$have" | sort -V | head -1)" = "$want" ] ||
    die "Go $have is too old, Go $want or newer is needed: install it from go.dev/dl and put its bin directory on PATH"
}

updated=
install() { # install PACKAGE…
  local root=() package absent=()
  if ! program apt-get; then
    die "this system has no apt: install what Debian calls $*, and run this again"
  fi
  if [ "$(id -u)" != 0 ]; then
    program sudo || die "not root, and there is no sudo; as root: apt-get install $*"
    root=(sudo)
    [ -t 0 ] || root=(sudo -n) # nobody there to type a password
  fi
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=3600 -o Acquire::Retries=2)

  say "installing with apt: $*"
  [ "$updated" ] || "${apt[@]}" update >&2 || die "apt-get update failed: is the machine on the network, and may this user install packages? (messages above)"
  updated=yes
  for package; do
    [ -n "$(apt-cache show --no-all-versions "$package" 2>/dev/null)" ] || absent+=("$package")
  done
  if [ ${#absent[@]} -gt 0 ]; then
    [[ " ${absent[*]} " != *" glslc "* ]] ||
      say "glslc: Debian has it from 12 on and Ubuntu from 24.04 on; the Vulkan SDK has it too (put it on PATH)"
    [[ " ${absent[*]} " != *" chromium-headless-shell "* ]] || say "Ubuntu gives Chromium as a snap: snap install chromium"
    die "apt offers no ${absent[*]} here (on Ubuntu: is the component universe on?)"
  fi
  # What dpkg unpacks is no news; what goes wrong comes on standard error.
  "${apt[@]}" -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" >/dev/null || die "apt-get install $* failed (messages above)"
}

group=${1-}
case $group in
  run | code | watch | test | cpus) ;;
  *) say "usage: scripts/setup.sh run|code|watch|test|cpus"; exit 2 ;;
esac

check_go
case $(uname -s) in
  Linux)
    "needs_$group"
    if [ $((${#missing[@]} + ${#wanted[@]})) -gt 0 ]; then
      [ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
      # In a shell of its own, which may fail and does not end this one.
      [ ${#wanted[@]} -eq 0 ] || (install "${wanted[@]}") || true
      again=yes missing=() wanted=()
      "needs_$group"
      [ ${#missing[@]} -eq 0 ] || die "apt installed everything, and still this is not found: ${missing[*]}"
      if [ ${#wanted[@]} -gt 0 ]; then say "going on without ${wanted[*]}"; else say "all there"; fi
    fi
    ;;
  Darwin)
    program cc || die "the C compiler is missing: xcode-select --install"
    [[ "$group" = run || "$group" = watch ]] || for name in glslc spirv-val spirv-cross npm; do
      program "$name" || die "$name is missing: brew install shaderc spirv-tools spirv-cross node"
    done
    [ "$group" != test ] || die "the tests need Mesa's lavapipe, which is for Linux: run them in a container, or single packages with go test"
    ;;
  *) die "Linux and macOS are known here, not $(uname -s): 'go build ./cmd/...' needs Go and a C compiler, or CGO_ENABLED=0 for the CPU backend alone" ;;
esac
[ "$group" != test ] || scripts/swiftshader.sh >/dev/null
[ "$group" != test ] || scripts/page.sh >/dev/null
# On other systems, where there may be no mirror of Debian, tests that need its drivers are left out.
[ "$group" != test ] || scripts/gpulab.sh trixie >/dev/null || [ "$(uname -m)" != x86_64 ] || ! grep -qs '^ID=debian$' /etc/os-release
