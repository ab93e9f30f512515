#!/usr/bin/env bash
# testenv.sh prints, for a shell to eval, the variables that the tests read: where the two Vulkan drivers are that
# they must run on, and that a missing one is a failure. make test uses it; by hand: eval "$(scripts/testenv.sh)".
set -euo pipefail

lavapipe=${CALDERA_LAVAPIPE_ICD:-}
if [ -z "$lavapipe" ]; then
  # The name carries the machine's architecture in some versions of Mesa: lvp_icd.x86_64.json, lvp_icd.json.
  for f in /etc/vulkan/icd.d/lvp_icd*.json /usr/local/share/vulkan/icd.d/lvp_icd*.json \
    "/usr/share/vulkan/icd.d/lvp_icd.$(uname -m).json" /usr/share/vulkan/icd.d/lvp_icd*.json; do
    if [ -r "$f" ]; then lavapipe=$f && break; fi
  done
fi
[ -r "$lavapipe" ] || {
  echo "testenv.sh: lavapipe's manifest (lvp_icd*.json) ${lavapipe:+named by CALDERA_LAVAPIPE_ICD, $lavapipe, }is missing: run scripts/setup.sh test" >&2
  exit 1
}
swiftshader=$("$(dirname "$0")/swiftshader.sh")

# One shader is compiled, and checked, with a newer compiler. Without it that is left out: the tests say so, and still
# hold the code to the hashes of its source.
"$(dirname "$0")/glslc.sh" >/dev/null || echo "testenv.sh: without the newer glslc shaders with cooperative matrices are not recompiled" >&2

# Real drivers on GPUs that are not there. They are Debian's.
lab=$("$(dirname "$0")/gpulab.sh" trixie) || { lab= && echo "testenv.sh: without the drivers of GPUs TestGPUs is left out" >&2; }

# Mesa keeps compiled shaders here. Compiling one takes up to 0.3 s, reading it back a millisecond.
mesa=${MESA_SHADER_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/caldera/mesa}
mkdir -p "$mesa"

printf 'export %s=%q\n' CALDERA_REQUIRE_DRIVERS 1 CALDERA_LAVAPIPE_ICD "$lavapipe" CALDERA_SWIFTSHADER_ICD "$swiftshader" CALDERA_GPULAB_TRIXIE "$lab" MESA_SHADER_CACHE_DIR "$mesa"
