#!/usr/bin/env bash
# llmc.sh DIR [TURNS [SHAPE]]: training steps by llm.c's CPU trainer and by ours, by turns, and how many times as fast ours
# is: of GPT-2 124M, 4 × 64 tokens, or with nanogpt as SHAPE of nanoGPT's model for a CPU, 12 × 64. DIR is a checkout of
# github.com/karpathy/llm.c, which is compiled outside of it, as its Makefile does for this processor, to go on without
# end and sample no text. Weights and tokens are random: they take as long as others.
set -euo pipefail

llmc=${1:?usage: llmc.sh DIR [TURNS [SHAPE]], DIR a checkout of github.com/karpathy/llm.c}
turns=${2:-5}
shape=${3:-gpt2}
case $shape in # batch, steps a turn, vocabulary, the same padded, layers, heads, width, context
  gpt2) numbers=(4 1 50257 50304 12 12 768 1024) ;;
  nanogpt) numbers=(12 40 65 128 4 4 128 64) ;;
  *) echo "llmc.sh: found shape $shape, expected gpt2 or nanogpt" >&2; exit 2 ;;
esac
[ -r "$llmc/train_gpt2.c" ] || { echo "llmc.sh: $llmc has no train_gpt2.c: expected a checkout of github.com/karpathy/llm.c" >&2; exit 1; }
llmc=$(cd "$llmc" && pwd)
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$dir"' EXIT
go build -o "$dir/bench" ./cmd/bench
sed "s/int B = 4;/int B = ${numbers[0]};/; s/step <= 40;/1;/; s/step > 0 && step % 20 == 0/0/" "$llmc/train_gpt2.c" >"$dir/train_gpt2.c"
gcc -Ofast -march=native -Wno-unused-result -fopenmp -DOMP -I"$llmc" "$dir/train_gpt2.c" -lm -o "$dir/train_gpt2"

cd "$dir"
python3 - "${numbers[@]:2}" <<'PYTHON'
import array, os, random, sys
random.seed(1)
V, P, L, H, C, T = map(int, sys.argv[1:])
block = array.array("f", (random.gauss(0, 0.02) for _ in range(1 << 20)))
def write(f, n, value=None):
    while n > 0:
        part = min(n, len(block))
        (block[:part] if value is None else array.array("f", [value]) * part).tofile(f)
        n -= part
with open("gpt2_124M.bin", "wb") as f:
    array.array("i", [20240326, 3, T, V, L, H, C, P] + [0] * 248).tofile(f)
    for n, value in [(P * C, None), (T * C, None), (L * C, 1), (L * C, 0), (L * 3 * C * C, None), (L * 3 * C, 0), (L * C * C, None),
                     (L * C, 0), (L * C, 1), (L * C, 0), (L * 4 * C * C, None), (L * 4 * C, 0), (L * 4 * C * C, None), (L * C, 0), (C, 1), (C, 0)]:
        write(f, n, value)
os.makedirs("dev/data/tinyshakespeare")
for name in "train", "val":
    with open("dev/data/tinyshakespeare/tiny_shakespeare_%s.bin" % name, "wb") as f:
        n = 64 << 10
        array.array("i", [20240520, 1, n] + [0] * 253).tofile(f)
        array.array("H", (random.randrange(V) for _ in range(n))).tofile(f)
PYTHON

# It is stopped while ours runs.
: >theirs.txt
stdbuf -oL ./train_gpt2 >theirs.txt &
peer=$!
theirs() { grep -c '^step' theirs.txt || true; }
waits() { # until it has done so many steps
  while [ "$(theirs)" -lt "$1" ]; do
    kill -0 $peer 2>/dev/null || { echo "llmc.sh: llm.c ended:" >&2; tail -3 theirs.txt >&2; exit 1; }
    sleep 0.05
  done
}
waits 1
for turn in $(seq "$turns"); do
  kill -STOP $peer
  ./bench train --backend=cpu --shape="$shape" --peer=none --no-ceilings -r 1 -o bench 2>/dev/null >ours.txt
  kill -CONT $peer
  n=$(theirs)
  waits $((n + 1 + numbers[1])) # the first was interrupted
  step=$(grep '^step' theirs.txt | tail -n +$((n + 2)) | awk '{ sub(/.*took /, ""); sum += $1 } END { print sum / NR }')
  awk -v turn="$turn" -v step="$step" '
    /^BenchmarkTrain/ { for (i = 2; i <= NF; i++) if ($i == "ns/op") ms = $(i - 1) / 1e6 }
    END { if (!ms) { print "llmc.sh: bench printed no time" >"/dev/stderr"; exit 1 }
          printf "turn %d: ours %.1f ms, llm.c %.1f ms: %.2f times as fast\n", turn, ms, step, step / ms }' ours.txt
done
