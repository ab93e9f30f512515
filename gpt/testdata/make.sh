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
