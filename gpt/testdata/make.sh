#!/bin/sh
# make.sh makes the reference checkpoints beside it again. It needs PyTorch: apt-get install python3-torch (which runs
# under /usr/bin/python3). make.sh table makes those of README's table of families alone.
set -eu
cd "$(dirname "$0")"
reference() {
  "${PYTHON:-/usr/bin/python3}" -B ../../scripts/reference.py "$@"
}
table() {
  out=$1
  shift
  "${PYTHON:-/usr/bin/python3}" -B ../../scripts/reference_table.py "$caldera" "table/$out" "$@"
}
programs=$(mktemp -d)
trap 'rm -rf "$programs"' EXIT
caldera=$programs/caldera
(cd ../.. && go build -o "$caldera" ./cmd/caldera)
# Rows of 288 and 96 numbers are no whole blocks of 256: such matrices get the types that replace Q4_K and Q6_K.
table gpt2 gpt2
table llama llama --kv-heads 2 --inner 288 --tied --scaling llama3 --factor 8 --original 16
table mistral mistral --kv-heads 2 --inner 512 --window 9
table smollm3 smollm3 --layers 5 --kv-heads 2 --inner 256 --tied --types --theta 5000
table qwen2 qwen2 --kv-heads 2 --inner 512 --tied --theta 1000000
table qwen2-yarn qwen2 --kv-heads 1 --inner 288 --scaling yarn --factor 3 --original 16 --rope new
table qwen3 qwen3 --heads 3 --kv-heads 1 --head-size 96 --inner 512 --tied --epsilon 1e-6 --theta 1000000
table gemma2 gemma2 --layers 3 --kv-heads 2 --head-size 64 --inner 288 --tied --window 8 --query-scalar 64
table gemma3 gemma3_text --layers 7 --kv-heads 1 --head-size 64 --inner 256 --tied --window 8 --query-scalar 64 --theta 100000 --local 300 \
  --scaling linear --factor 8
table olmo2 olmo2 --kv-heads 4 --inner 512 --epsilon 1e-6
table olmo3 olmo3 --layers 5 --kv-heads 2 --inner 288 --window 9 --types --scaling yarn --factor 4 --original 12
table phi3 phi3 --kv-heads 2 --inner 512 --window 9
table gpt-oss gpt_oss --kv-heads 2 --head-size 64 --inner 288 --window 9 --experts 5 --chosen 2 --scaling yarn --factor 4 --original 16
table phi3-longrope phi3 --kv-heads 2 --inner 288 --tied --partial 0.75 --scaling longrope --original 16
table neox gpt_neox --inner 512 --partial 0.25
table neox-sequential gpt_neox --inner 288 --partial 0.5 --sequential
[ "${1-}" != table ] || exit 0

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
reference gpt-oss gpt_oss --brief --dtype bf16 --layers 3 --heads 6 --kv-heads 2 --head-size 10 --width 44 --inner 28 --vocab 61 --context 48 \
  --batch 2 --time 31 --seed 24 --window 7 --types --experts 7 --chosen 3 --scaling yarn --factor 4 --original 24 --theta 50
reference gpt-oss-mxfp4 gpt_oss --brief --dtype bf16 --layers 2 --heads 4 --kv-heads 1 --head-size 8 --width 64 --inner 96 --vocab 47 --context 40 \
  --batch 1 --time 23 --seed 25 --window 5 --experts 5 --chosen 2 --blocks --scaling yarn --factor 3 --original 16 --theta 20 --rope new
lora() {
  "${PYTHON:-/usr/bin/python3}" -B ../../scripts/reference_lora.py "$@"
}
lora lora-gpt2 gpt2-tiny gpt2 --targets c_attn c_proj c_fc --seed 31
lora lora-llama llama-grouped llama --layers 2 --heads 6 --kv-heads 2 --head-size 8 --width 48 --inner 80 --vocab 101 --context 40 --tied \
  --targets q_proj k_proj v_proj o_proj gate_proj up_proj down_proj --rank-of q_proj=3 --alpha-of layers.1.mlp.down_proj=12 --seed 32
lora lora-llama-some llama-three llama --layers 2 --heads 3 --kv-heads 3 --head-size 16 --width 36 --inner 68 --vocab 50 --context 96 \
  --tied --theta 1000 --scaling llama3 --factor 8 --original 48 --targets q_proj v_proj --rank 8 --alpha 16 --seed 33
lora lora-phi3 phi3 phi3 --layers 3 --heads 4 --kv-heads 2 --head-size 10 --width 36 --inner 44 --vocab 61 --context 40 --window 9 \
  --targets qkv_proj o_proj gate_up_proj down_proj --rslora --rank 2 --alpha 3 --seed 34
lora lora-neox neox gpt_neox --layers 3 --heads 4 --width 48 --inner 100 --vocab 61 --context 40 --partial 0.35 \
  --targets query_key_value dense dense_h_to_4h dense_4h_to_h --rank 3 --seed 35
