#!/bin/sh
# make.sh makes the reference checkpoints beside it again. It needs PyTorch: apt-get install python3-torch (which runs
# under /usr/bin/python3).
set -eu
cd "$(dirname "$0")"
reference() {
  "${PYTHON:-/usr/bin/python3}" -B ../../scripts/reference.py "$@"
}
reference gpt2-tiny gpt2
reference gpt2-odd gpt2 --layers 3 --heads 3 --width 60 --vocab 1003 --context 40 --batch 2 --time 23 --seed 2
reference gpt2-one gpt2 --layers 1 --heads 1 --width 12 --vocab 11 --context 8 --batch 1 --time 8 --seed 3
reference gpt2-batch gpt2 --layers 2 --heads 2 --width 34 --vocab 130 --context 33 --batch 3 --time 33 --seed 4
reference llama-grouped llama --layers 2 --heads 6 --kv-heads 2 --head-size 8 --width 48 --inner 80 --vocab 101 --context 40 \
  --batch 2 --time 19 --seed 5 --tied
reference llama-odd llama --layers 2 --heads 4 --kv-heads 1 --head-size 10 --width 44 --inner 58 --vocab 67 --context 36 \
  --batch 2 --time 21 --seed 6 --attention-bias --mlp-bias --rope old --theta 500 --epsilon 0.001
reference llama-three llama --layers 2 --heads 3 --kv-heads 3 --head-size 16 --width 36 --inner 68 --vocab 50 --context 96 \
  --batch 1 --time 50 --seed 7 --dtype bf16 --tied --theta 1000 --scaling llama3 --factor 8 --original 48
reference llama-linear llama --layers 1 --heads 2 --width 20 --inner 33 --vocab 31 --context 24 \
  --batch 3 --time 24 --seed 8 --dtype f16 --rope oldest --scaling linear
reference mistral mistral --brief --dtype f16 --layers 3 --heads 4 --kv-heads 2 --head-size 10 --width 36 --inner 44 --vocab 61 --context 40 \
  --batch 2 --time 23 --seed 11 --window 7
reference smollm3 smollm3 --brief --layers 5 --heads 6 --kv-heads 2 --width 36 --inner 44 --vocab 61 --context 40 \
  --batch 2 --time 19 --seed 12 --tied --types --theta 5000
reference qwen2 qwen2 --brief --layers 3 --heads 6 --kv-heads 2 --width 36 --inner 44 --vocab 61 --context 48 \
  --batch 2 --time 31 --seed 13 --tied --scaling yarn --factor 3 --original 16 --rope new
reference qwen3 qwen3 --brief --dtype bf16 --layers 3 --heads 3 --kv-heads 1 --head-size 16 --width 28 --inner 44 --vocab 61 --context 40 \
  --batch 2 --time 21 --seed 14 --epsilon 1e-6 --theta 1000000
reference qwen2-window qwen2 --brief --layers 3 --heads 4 --kv-heads 2 --head-size 8 --width 28 --inner 36 --vocab 61 --context 48 \
  --batch 2 --time 25 --seed 31 --window 6 --full 1
reference qwen3-window qwen3 --brief --layers 3 --heads 2 --kv-heads 1 --head-size 10 --width 28 --inner 36 --vocab 61 --context 48 \
  --batch 2 --time 25 --seed 32 --window 5 --types
reference smollm3-window smollm3 --brief --layers 5 --heads 4 --kv-heads 2 --head-size 8 --width 28 --inner 36 --vocab 61 --context 48 \
  --batch 2 --time 25 --seed 33 --window 7 --types
reference gemma2 gemma2 --brief --layers 3 --heads 4 --kv-heads 2 --head-size 10 --width 36 --inner 44 --vocab 61 --context 40 \
  --batch 2 --time 23 --seed 15 --tied --window 5 --query-scalar 10
reference gemma3 gemma3_text --brief --dtype bf16 --layers 8 --heads 3 --kv-heads 1 --head-size 12 --width 28 --inner 36 --vocab 61 --context 48 \
  --batch 2 --time 29 --seed 16 --tied --window 6 --query-scalar 12 --theta 100000 --local 300 --scaling linear --factor 8
reference gemma3-layers gemma3_text --brief --layers 7 --heads 2 --kv-heads 2 --head-size 8 --width 20 --inner 28 --vocab 47 --context 36 \
  --batch 1 --time 20 --seed 17 --tied --window 4 --query-scalar 6 --types --rope new
reference olmo2 olmo2 --brief --layers 3 --heads 4 --kv-heads 4 --width 40 --inner 44 --vocab 61 --context 40 \
  --batch 2 --time 21 --seed 18 --epsilon 1e-6
reference olmo3 olmo3 --brief --dtype bf16 --layers 6 --heads 6 --kv-heads 3 --width 48 --inner 36 --vocab 61 --context 48 \
  --batch 2 --time 31 --seed 19 --window 9 --types --scaling yarn --factor 4 --original 12 --attention-factor 1.25 --theta 500
reference phi3 phi3 --brief --layers 3 --heads 4 --kv-heads 2 --head-size 10 --width 36 --inner 44 --vocab 61 --context 40 \
  --batch 2 --time 23 --seed 20 --window 9
reference phi3-short phi3 --brief --layers 2 --heads 3 --kv-heads 1 --width 48 --inner 44 --vocab 61 --context 80 \
  --batch 2 --time 14 --seed 21 --tied --partial 0.75 --scaling longrope --original 32
reference phi3-long phi3 --brief --dtype bf16 --layers 2 --heads 3 --kv-heads 1 --width 48 --inner 44 --vocab 61 --context 80 \
  --batch 2 --time 40 --seed 21 --tied --partial 0.75 --scaling longrope --original 32
reference neox gpt_neox --brief --dtype bf16 --layers 3 --heads 4 --width 48 --inner 100 --vocab 61 --context 40 \
  --batch 2 --time 21 --seed 22 --partial 0.35
reference neox-sequential gpt_neox --brief --layers 2 --heads 2 --width 20 --inner 44 --vocab 61 --context 40 \
  --batch 1 --time 17 --seed 23 --partial 0.6 --sequential
