#!/usr/bin/env bash
# page.sh installs the npm packages that the inspector's page is made of and tested with (internal/serve/page/package.json,
# 46 MB), at the versions of its lock file, into the user's cache and prints where they are.
set -euo pipefail
page=$(cd "$(dirname "$0")/../internal/serve/page" && pwd)

say() { echo "page: $*" >&2; }
die() { say "$*"; exit 1; }

lock=$page/package-lock.json
cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set: where is the cache?}/.cache}/caldera
dir=$cache/page-$(cksum <"$lock" | tr ' ' -)-$(uname -sm | tr ' ' -)
if [ ! -d "$dir" ]; then
  command -v npm >/dev/null && command -v node >/dev/null ||
    die "npm or node is missing, with which the page's packages are installed: install Node.js 18 or newer (nodejs.org, or apt-get install nodejs npm)"
  major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
  [ "$major" -ge 18 ] || die "node $(node --version) is too old, 18 or newer is needed: nodejs.org has it"
  mkdir -p "$cache"
  new=$(mktemp -d "$dir.XXXXXX") # which takes its name when all is there
  trap 'rm -rf "$new"' EXIT
  cp "$lock" "$page/package.json" "$page/.npmrc" "$new"
  say "installing the page's packages into $dir"
  (cd "$new" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
    die "npm ci failed: is the machine on the network? (messages above)"
  mv -T "$new" "$dir" 2>/dev/null || [ -d "$dir" ] || die "cannot rename $new to $dir"
fi
echo "$dir/node_modules"
