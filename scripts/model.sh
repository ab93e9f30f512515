#!/usr/bin/env bash
# model.sh makes the embedded model anew: fetches the novels, learns a tokenizer and the weights, and replaces
# models/austen with what validated best. On two CPU cores that takes about an hour; run again after an interruption, it goes
# on where it was. ARGS are more flags for train: --backend=vulkan.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-bin/model}
mkdir -p "$out"
[ -s "$out/austen.txt" ] || scripts/austen.sh "$out/austen.txt"
if [ -e "$out/run/newest" ]; then
  bin/train --init=resume --out_dir="$out/run" --plot="$out/loss.png" "$@"
else
  bin/train --data="$out/austen.txt" --out_dir="$out/run" --vocab_size=2048 --val_fraction=0.05 \
    --n_layer=6 --n_head=6 --n_embd=192 --block_size=256 --batch_size=8 --max_iters=5000 \
    --learning_rate=2e-3 --min_lr=1e-4 --warmup_iters=200 --beta2=0.99 --dropout=0.1 \
    --eval_interval=250 --plot="$out/loss.png" --prompt="It is a truth universally acknowledged" "$@"
fi
bin/convert -m "$out/run/best" --to=safetensors --dtype=f16 --force -o "$out/austen"
for file in config.json model.safetensors vocab.json merges.txt; do
  cp "$out/austen/$file" models/austen/
done
cp "$out/loss.png" models/austen.png
