#!/bin/sh
# run.sh OUT [llama] measures the graphics card of this machine, for six minutes at most, and writes what it finds into the
# folder OUT, in eight files. Each step has a limit of its own, and its result is there when it ends: a step that fails,
# crashes, or takes too long, costs the others nothing. What is in OUT is kept, and added to.
#
# It needs a driver, sh, gzip and the coreutils. PyTorch is measured beside ours where python3 has it, on CUDA as graphs.
# With llama, a call of its own measures ours beside llama.cpp's build for Vulkan, of the folder that make gpu-kit-llama
# builds beside this one, and nothing else.
#
# CALDERA_KIT_SECONDS is the limit for all steps together (360). CALDERA_KIT_SHAPES is the one or two models to measure
# (gpt2,gpt2-xl), CALDERA_KIT_SIZE the flags of bench that say how much (-p 512 -n 128 -r 5), CALDERA_KIT_TRAIN
# those of bench train (--batch=8 --time=512), CALDERA_KIT_DEVICE a part of the device's name, which may be a software
# driver (the best GPU), CALDERA_KIT_ONLY a word of the names of those steps that are run (beside, conformance; all
# otherwise), CALDERA_KIT_RUN a command that runs another, as scripts/gpulab.sh prints one, and the card.
set -u
kit=$(cd "$(dirname "$0")" && pwd)
usage="usage: run.sh OUT [llama]"
out=${1:?$usage}
what=${2:-all}
case $what in all | llama) ;; *) echo "$usage" >&2 && exit 2 ;; esac
begun=$(date +%s)
total=${CALDERA_KIT_SECONDS:-360}
size=${CALDERA_KIT_SIZE:--p 512 -n 128 -r 5}
train=${CALDERA_KIT_TRAIN:---batch=8 --time=512}
run=${CALDERA_KIT_RUN:-}
shapes=${CALDERA_KIT_SHAPES:-gpt2,gpt2-xl}
first=${shapes%%,*} # the smaller one
rest=${shapes#"$first"} rest=${rest#,}
PATH=$PATH:/usr/sbin:/sbin

mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
work=
pid=
# stop ends what runs.
stop() {
  trap '' INT TERM HUP
  [ -z "$work" ] || pid=$(cat "$work/pid" 2>/dev/null)
  [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null
  log "stopped by a signal"
  exit "$1"
}
trap '[ -z "$work" ] || rm -rf "$work" "$out/.part"' EXIT
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP
seconds() { echo $(($(date +%s) - begun)); }
log() { echo "$(seconds) s: $*" | tee -a "$out/log.txt"; }
fail() { log "$*" && exit 1; }
log "Caldera's kit for $(uname -m), in $out, measures $what"

# Programs run in the system's folder for temporary files, or where that has no room or does not let them, in OUT.
for dir in "${TMPDIR:-/tmp}" "$out"; do
  work=$(mktemp -d "$dir/caldera-kit.XXXXXX" 2>>"$out/log.txt") || continue
  for p in caldera vulkan.test; do gzip -dc "$kit/$p.gz" >"$work/$p" 2>>"$out/log.txt" && chmod +x "$work/$p" || continue 2; done
  $run "$work/caldera" --version >/dev/null 2>>"$out/log.txt" && break
  rm -rf "$work" && work=
done
[ -n "$work" ] || fail "the programs of the kit do not run here (above, in log.txt): they need Linux on $(uname -m) with glibc 2.34"
export TMPDIR="$work" XDG_CACHE_HOME="$work/cache" CALDERA_VULKAN_LOADER="$kit/libvulkan.so.1"
export LD_LIBRARY_PATH="$kit${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" # the loader, for llama.cpp

# limited SECONDS COMMAND… runs a command, which gets SIGTERM when its time is over: then bench writes what it has. Ten
# seconds later it is killed. One that even so does not end, because a driver holds it, is left behind.
limited() {
  limit=$1
  shift
  rm -f "$work/code"
  (
    timeout -k 10 "$limit" "$@" &
    echo $! >"$work/pid"
    wait $!
    echo $? >"$work/code.new" && mv "$work/code.new" "$work/code"
  ) &
  late=$(($(seconds) + limit + 12))
  until [ -e "$work/code" ]; do
    [ "$(seconds)" -lt "$late" ] || return 137
    sleep 0.1
  done
  return "$(cat "$work/code")"
}

# step NAME SECONDS FILE COMMAND…: standard output goes to the end of FILE, standard error to log.txt.
step() {
  name=$1 limit=$2 file=$3
  shift 3
  case $name in device* | *"${CALDERA_KIT_ONLY:-}"*) ;; *) return 0 ;; esac
  left=$((total - $(seconds) - 12))
  [ "$limit" -le "$left" ] || limit=$left
  if [ "$limit" -lt 5 ]; then
    log "$name: left out, the time is over"
    return 1
  fi
  log "$name: begins, at most $limit s"
  limited "$limit" "$@" >>"$file" 2>>"$out/log.txt"
  code=$?
  case $code in
  0) log "$name: done" ;;
  124 | 137) log "$name: not done after $limit s" ;;
  *) log "$name: failed with exit code $code; what it printed is above, in log.txt" ;;
  esac
  return $code
}

# hardware: is there a device that is no software driver?
hardware() {
  limited 15 $run "$work/caldera" bench --backend=vulkan --list-devices --json >"$work/devices" 2>>"$out/log.txt"
  grep -Eq '"kind": "(discrete|integrated|virtual)' "$work/devices"
}

# NVIDIA's driver in a container may lack its manifest for the loader. The second library needs none of X11.
there=yes
if [ -z "${CALDERA_KIT_DEVICE:-}" ] && ! hardware; then
  there=
  for lib in libGLX_nvidia.so.0 libEGL_nvidia.so.0; do
    printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.0"}}\n' "$lib" >"$work/nvidia.json"
    if VK_DRIVER_FILES="$work/nvidia.json" hardware; then
      export VK_DRIVER_FILES="$work/nvidia.json"
      log "the loader found no manifest: $lib is named by one of ours"
      there=yes
      break
    fi
  done
fi

cat >"$work/facts" <<'FACTS'
"$@" --version
"$@" bench --list-devices
uname -a
cat /etc/os-release /proc/driver/nvidia/version | grep -E '^(PRETTY_NAME|NVRM)'
grep -m 1 'model name' /proc/cpuinfo
nproc
grep -E '^Mem(Total|Available)' /proc/meminfo
df -k "$TMPDIR"
ls -d /etc/vulkan/icd.d/* /usr/share/vulkan/icd.d/* /dev/dri/* /dev/nvidia*
env | grep -E '^(NVIDIA|VK|CUDA)_'
ldconfig -p | grep -E 'nvidia|vulkan|libX11' | head -n 30
node --version
timeout 10 nvidia-smi | head -n 30
python3 -c 'import torch; print("PyTorch", torch.__version__, torch.cuda.is_available() and torch.cuda.get_device_name())' | tail -n 1
FACTS
part=$out/.part
step "device and driver" 20 "$part" sh -c '. "$0" 2>&1' "$work/facts" $run "$work/caldera"
[ ! -s "$part" ] || mv "$part" "$out/device.txt"
log "device: $(grep '^vulkan:' "$out/device.txt" 2>/dev/null | head -n 1)"
[ -n "$there" ] || fail "no GPU: device.txt has what the machine tells, log.txt what its drivers say. CALDERA_KIT_DEVICE=llvmpipe takes a software driver"

device=--backend=vulkan
[ -z "${CALDERA_KIT_DEVICE:-}" ] || device=--device=$CALDERA_KIT_DEVICE

# bench NAME SECONDS FILE.json FLAGS…: results of one command of bench, added to those in the file
bench() {
  name=$1 limit=$2 list=$3
  shift 3
  rm -f "$work/new"
  step "$name" "$limit" "$work/new" $run "$work/caldera" bench "$@" -o json
  [ -s "$work/new" ] && [ "$(tail -n 1 "$work/new")" = "]" ] || return 1
  if [ -s "$out/$list" ]; then # both are arrays, of which the brackets stand on lines of their own
    { sed '$d' "$out/$list" && echo , && sed 1d "$work/new"; } >"$part"
  else
    cat "$work/new" >"$part"
  fi && mv "$part" "$out/$list"
}
speed() { # speed SHAPE DTYPE SECONDS FLAGS…
  shape=$1 dtype=$2 seconds=$3
  shift 3
  bench "speed of $shape $dtype" "$seconds" speeds.json "$device" --shape="$shape" --dtype="$dtype" $size "$@"
}
beside() { # beside PEER SHAPE DTYPE SECONDS
  bench "$2 $3 beside $1" "$4" peers.json peers "$device" --peer="$1" --shape="$2" --dtype="$3" $size
}
conformance() { # conformance NAME SECONDS FLAGS…
  name=$1 limit=$2
  shift 2
  # The suite ends by itself, and tells what it has left out, before its time is over.
  allowed=$((total - $(seconds) - 12))
  [ "$allowed" -lt "$limit" ] || allowed=$limit
  step "conformance, $name" "$limit" "$out/conformance.txt" env CALDERA_TEST_DEVICE="${CALDERA_KIT_DEVICE:-best}" \
    $run "$work/vulkan.test" -test.v -test.timeout="${allowed}s" -test.run '^TestDeviceConforms$' "$@"
}
profile() { # profile SHAPE SECONDS
  step "profile of a step of $1" "$2" /dev/null $run "$work/caldera" bench "$device" --shape="$1" --dtype=f16 -p 0 -n 16 -r 1 --no-ceilings \
    --profile="$out/profile-$1.json"
}

if [ "$what" = llama ]; then
  llama=$kit-llama
  mkdir "$work/llama" && LD_LIBRARY_PATH="$llama" "$llama/xz" -dc "$llama/llama.tar.xz" 2>>"$out/log.txt" | tar -C "$work/llama" -x 2>>"$out/log.txt" &&
    [ -x "$work/llama/bin/node" ] || fail "$llama has no llama.cpp: make gpu-kit-llama builds that folder beside this one"
  export PATH="$work/llama/bin:$PATH" CALDERA_LLAMA="$work/llama/node_modules/node-llama-cpp"
  beside node-llama-cpp "$first" f16 60
  [ -z "$rest" ] || beside node-llama-cpp "$rest" f16 90
  for dtype in q8_0 q4_0; do beside node-llama-cpp "$first" "$dtype" 45; done
  [ -z "$rest" ] || for dtype in q8_0 q4_0; do beside node-llama-cpp "$rest" "$dtype" 75; done
else
  conformance quick 30 -test.short
  speed "$first" f16 40
  for dtype in q8_0 q4_0; do speed "$first" "$dtype" 20 --no-ceilings; done
  [ -z "$rest" ] || speed "$rest" f16 45
  [ -z "$rest" ] || for dtype in q8_0 q4_0; do speed "$rest" "$dtype" 35 --no-ceilings; done
  beside pytorch "$first" f16 40
  [ -z "$rest" ] || beside pytorch "$rest" f16 60
  bench "training of $first in mixed precision" 40 train.json train "$device" --shape="$first" --dtype=f16 $train -r 3 --peer=none --no-ceilings
  for shape in "$first" $rest; do profile "$shape" 25; done
  conformance full 300
fi
rm -f "$out"/*.tmp
log "all: $(ls "$out" | wc -l) files"
