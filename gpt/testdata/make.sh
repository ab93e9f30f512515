#!/bin/sh
# make.sh makes the reference checkpoints beside it again. It needs PyTorch: apt-get install python3-torch (which runs
# under /usr/bin/python3).
set -eu
cd "$(dirname "$0")"
reference() {
  out=$1
  shift
  "${PYTHON:-/usr/bin/python3}" ../../scripts/reference.py "$out" "$@"
}
reference gpt2-tiny
reference gpt2-odd --layers 3 --heads 3 --width 60 --vocab 1003 --context 40 --batch 2 --time 23 --seed 2
reference gpt2-one --layers 1 --heads 1 --width 12 --vocab 11 --context 8 --batch 1 --time 8 --seed 3
reference gpt2-batch --layers 2 --heads 2 --width 34 --vocab 130 --context 33 --batch 3 --time 33 --seed 4
