#!/usr/bin/env bash
# peers.sh installs node-llama-cpp, llama.cpp as npm has it, into the user's cache and prints where it is. Its build for
# the CPU alone is 85 MB; all of its builds are 725.
set -euo pipefail
version=3.22.1

say() { echo "peers: $*" >&2; }
die() { say "$*"; exit 1; }

command -v npm >/dev/null && command -v node >/dev/null ||
  die "npm or node is missing, with which llama.cpp is installed and run: install Node.js 20 or newer (nodejs.org, or apt-get install npm)"
major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
[ "$major" -ge 20 ] || die "node $(node --version) is too old, node-llama-cpp needs 20 or newer: nodejs.org has it"

case $(uname -sm) in
  'Linux x86_64') build=linux-x64 ;;
  'Linux aarch64') build=linux-arm64 ;;
  'Darwin arm64') build=mac-arm64-metal ;;
  'Darwin x86_64') build=mac-x64 ;;
  *) die "node-llama-cpp has no build for $(uname -sm) that is known here" ;;
esac

cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set: where is the cache?}/.cache}/caldera
dir=$cache/node-llama-cpp-$version-$build
if [ ! -d "$dir" ]; then
  mkdir -p "$cache"
  new=$(mktemp -d "$dir.XXXXXX") # which takes its name when all is there
  trap 'rm -rf "$new"' EXIT
  say "installing node-llama-cpp $version for $build into $dir"
  # The scripts would fetch or compile what the packages have already.
  npm install --prefix "$new" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error \
    "node-llama-cpp@$version" "@node-llama-cpp/$build@$version" >&2 ||
    die "npm install failed: is the machine on the network? (messages above)"
  mv "$new" "$dir"
fi
echo "$dir/node_modules/node-llama-cpp"
