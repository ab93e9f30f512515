#!/bin/sh
# run.sh OUT measures the graphics card of this machine, for six minutes at most, and writes what it finds into the folder
# OUT, in seven files. Each step has a limit of its own, and its result is there when it ends: a step that fails, or
# takes too long, costs the others nothing. CALDERA_KIT_SECONDS is the limit for all steps together. CALDERA_KIT_SHAPES is
# the one or two models to measure (gpt2,gpt2-xl), CALDERA_KIT_SIZE the flags of bench that say how much (-p 512 -n 128 -r 3),
# CALDERA_KIT_DEVICE a part of the device's name, which may be a software driver (the best GPU), CALDERA_KIT_RUN a command
# that runs another, as scripts/gpulab.sh prints one, and the card.
#
# It needs a driver, sh and the coreutils. PyTorch is measured beside where python3 has it, on CUDA as graphs;
# llama.cpp where the folder of make gpu-kit-llama lies beside this one, or where node is there and CALDERA_LLAMA names
# node-llama-cpp. CALDERA_KIT_ONLY is a word of the names of those steps that are run (beside, conformance); all otherwise.
set -u
kit=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: run.sh OUT}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
begun=$(date +%s)
to=$out # the folder of what a step prints
total=${CALDERA_KIT_SECONDS:-360}
size=${CALDERA_KIT_SIZE:--p 512 -n 128 -r 3}
run=${CALDERA_KIT_RUN:-}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for p in bench vulkan.test; do gzip -dc "$kit/$p.gz" >"$work/$p" && chmod +x "$work/$p" || exit 1; done
if [ -r "$kit-llama/llama.tar.xz" ] && mkdir "$work/llama" && tar -xJf "$kit-llama/llama.tar.xz" -C "$work/llama"; then
  export PATH="$work/llama/bin:$PATH" CALDERA_LLAMA="$work/llama/node_modules/node-llama-cpp"
fi
export XDG_CACHE_HOME="$work/cache" CALDERA_VULKAN_LOADER="$kit/libvulkan.so.1"

log() { echo "$(($(date +%s) - begun)) s: $*" | tee -a "$out/log.txt"; }

# step NAME SECONDS FILE COMMAND…: standard output goes to the end of FILE, standard error to log.txt. A command that takes
# longer is told so, with the signal of Ctrl-C, upon which bench writes what it has; ten seconds later it is killed.
step() {
  name=$1 limit=$2 file=$3
  shift 3
  case $name in *"${CALDERA_KIT_ONLY:-}"*) ;; *) return 0 ;; esac
  left=$((total - ($(date +%s) - begun) - 10))
  [ "$limit" -le "$left" ] || limit=$left
  if [ "$limit" -lt 5 ]; then
    log "$name: left out, the time is over"
    return 1
  fi
  log "$name: begins, at most $limit s"
  timeout -k 10 -s INT "$limit" "$@" >>"$to/$file" 2>>"$out/log.txt"
  code=$?
  case $code in
  0) log "$name: done" ;;
  124 | 137) log "$name: not done after $limit s" ;;
  *) log "$name: failed with exit code $code; the end of what it printed is above" ;;
  esac
  return $code
}

# hardware: is there a device that is no software driver?
hardware() { $run "$work/bench" --backend=vulkan --list-devices --json 2>>"$out/log.txt" | grep -Eq '"kind": "(discrete|integrated|virtual)'; }

# NVIDIA's driver in a container may lack its manifest for the loader.
if [ -z "${CALDERA_KIT_DEVICE:-}" ] && ! hardware; then
  for lib in libGLX_nvidia.so.0 libEGL_nvidia.so.0; do
    printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.0"}}\n' "$lib" >"$work/nvidia.json"
    if VK_DRIVER_FILES="$work/nvidia.json" hardware; then
      export VK_DRIVER_FILES="$work/nvidia.json"
      log "the loader found no manifest: $lib is named by one of ours"
      break
    fi
  done
fi

device=--backend=vulkan
[ -z "${CALDERA_KIT_DEVICE:-}" ] || device=--device=$CALDERA_KIT_DEVICE
shapes=${CALDERA_KIT_SHAPES:-gpt2,gpt2-xl}
first=${shapes%%,*} # the smaller one
rest=${shapes#"$first"} rest=${rest#,}

facts() {
  $run "$work/bench" --version
  $run "$work/bench" --list-devices
  uname -a
  grep -m 1 'model name' /proc/cpuinfo
  nproc
  nvidia-smi 2>&1 | head -n 30
  ls /etc/vulkan/icd.d /usr/share/vulkan/icd.d /dev/dri 2>&1
  ldconfig -p 2>/dev/null | grep -E 'nvidia|vulkan' | head -n 20
  python3 -c 'import torch; print("PyTorch", torch.__version__, torch.cuda.is_available() and torch.cuda.get_device_name())' 2>&1 | tail -n 1
  node --version 2>&1
}
log "Caldera's kit for $(uname -m), in $out"
facts >"$out/device.txt" 2>&1
log "device: $(grep '^vulkan:' "$out/device.txt" | head -n 1)"

bench() { # bench NAME SECONDS FILE.json COMMAND FLAGS…: results of one command of bench, added to those in the file
  name=$1 limit=$2 list=$3
  shift 3
  rm -f "$work/part"
  to=$work && step "$name" "$limit" part $run "$work/bench" "$@" -o json
  to=$out
  [ -s "$work/part" ] || return 1
  if [ -s "$out/$list" ]; then # both are arrays, of which the brackets stand on lines of their own
    { sed '$d' "$out/$list" && echo , && sed 1d "$work/part"; } >"$work/all" && cat "$work/all" >"$out/$list"
  else
    cat "$work/part" >"$out/$list"
  fi
}
speed() { # speed SHAPE DTYPE SECONDS FLAGS…
  shape=$1 dtype=$2 seconds=$3
  shift 3
  bench "speed of $shape $dtype" "$seconds" speeds.json "$device" --shape="$shape" --dtype="$dtype" $size "$@"
}
beside() { # beside SHAPE SECONDS
  bench "$1 beside PyTorch and llama.cpp" "$2" peers.json peers "$device" --shape="$1" --dtype=f16 $size
}
conformance() { # conformance NAME SECONDS FLAGS…
  name=$1 limit=$2
  shift 2
  step "$name" "$limit" conformance.txt env CALDERA_TEST_DEVICE="${CALDERA_KIT_DEVICE:-best}" \
    $run "$work/vulkan.test" -test.v -test.run '^TestDeviceConforms$' "$@"
}

speed "$first" f16 45 --profile="$out/profile.json"
conformance "conformance, quick" 45 -test.short
speed "$first" q8_0 25
speed "$first" q4_0 25
[ -z "$rest" ] || speed "$rest" f16 60
beside "$first" 40
bench "training of $first in mixed precision" 50 train.json train "$device" --shape="$first" --dtype=f16 --batch=8 --time=512 -r 3 --no-ceilings
for dtype in q8_0 q4_0; do [ -z "$rest" ] || speed "$rest" "$dtype" 60; done
[ -z "$rest" ] || beside "$rest" 60
conformance "conformance, full" 240
rm -f "$out"/*.tmp
log "all: $(ls "$out" | wc -l) files"
