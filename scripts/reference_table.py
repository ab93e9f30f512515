#!/usr/bin/env python3
"""Reference figures for types of weights, computed in float64 by PyTorch: what README's table of families is held to.

Usage: reference_table.py CALDERA OUT_DIR FAMILY [--layers 2 --heads 4 --width 256 --context 64 --vocab 96 --time 24]
       [what the family adds: see reference.py]

CALDERA is our program, which quantises. OUT_DIR gets config.json, and expected.safetensors with

  input_ids            int64 [time]
  scores               the last four positions' logits  [4, vocab], float32
  scores.q8_0, scores.q4_k_m      the same of a model whose weights are what `CALDERA convert` makes of them: quantised
                       into a GGUF file, and widened to float32 again

It gets no weights: a rule says what they are, which tests follow too. Number i of tensor NAME has h = fnv1a(NAME),
h = h XOR i * 0x9e3779b97f4a7c15, h = h XOR (h >> 32), h = h * 0xd6e8feb86659fd93, h = h XOR (h >> 32), all modulo
2^64; it is (h mod 255 - 127) / 1024. Of tensors with one axis whose name ends with .weight, which are scales of norms, it
is 1 + floor((h mod 255 - 127) / 8) / 128. f16 and bf16 hold these numbers exactly. Token t is t * t * 7 + 3 modulo vocab.
"""
import argparse, importlib, json, os, struct, subprocess, sys, tempfile
import numpy as np
import torch
import reference_families

p = argparse.ArgumentParser()
p.add_argument("caldera")
p.add_argument("out")
p.add_argument("family")
for k, d in dict(layers=2, heads=4, width=256, context=64, vocab=96, time=24).items():
    p.add_argument("--" + k, type=int, default=d)
name = p.parse_known_args()[0].family
family = reference_families if name in reference_families.FAMILIES else importlib.import_module("reference_" + name)
family.flags(p)
p.set_defaults(dtype="f32")
a = p.parse_args()
torch.set_default_dtype(torch.float64)


def rule(name, shape):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    h = np.uint64(h) ^ np.arange(int(np.prod(shape)), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    h ^= h >> np.uint64(32)
    h *= np.uint64(0xD6E8FEB86659FD93)
    h ^= h >> np.uint64(32)
    n = (h % np.uint64(255)).astype(np.int64) - 127
    x = 1 + n // 8 / 128 if len(shape) == 1 and name.endswith(".weight") else n / 1024
    return torch.tensor(x.reshape(shape))


def save(path, tensors):
    header, blobs, at = {}, [], 0
    for name, t in tensors.items():
        b = (t.to(torch.float32) if t.is_floating_point() else t).numpy().tobytes()
        header[name] = dict(dtype="F32" if t.is_floating_point() else "I64", shape=list(t.shape), data_offsets=[at, at + len(b)])
        at += len(b)
        blobs.append(b)
    h = json.dumps(header).encode()
    h += b" " * (-len(h) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h + b"".join(blobs))


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + n])
    header.pop("__metadata__", None)
    tensors = {}
    for name, x in header.items():
        assert x["dtype"] == "F32", name
        begin, end = x["data_offsets"]
        tensors[name] = torch.tensor(np.frombuffer(data[8 + n + begin : 8 + n + end], "<f4").reshape(x["shape"])).double()
    return tensors


def scores(w):
    return family.forward(a, w, ids[None], lambda x, w, bias=0: x @ w + bias, lambda name, x: x)[0, -4:]


def convert(model, out, *more):
    done = subprocess.run([a.caldera, "convert", "-m", model, "-o", out, *more], stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)


w = family.weights(a, lambda *shape: torch.zeros(shape))
w = {name: rule(name, x.shape) for name, x in w.items()}
t = torch.arange(a.time)
ids = (t * t * 7 + 3) % a.vocab
out = dict(input_ids=ids, scores=scores(w))
os.makedirs(a.out, exist_ok=True)
with open(f"{a.out}/config.json", "w") as f:
    json.dump(family.config(a), f, indent=2)
with tempfile.TemporaryDirectory() as temp:
    os.mkdir(f"{temp}/model")
    with open(f"{temp}/model/config.json", "w") as f:
        json.dump(family.config(a), f)
    save(f"{temp}/model/model.safetensors", w)
    for d in ["q8_0", "q4_k_m"]:
        convert(f"{temp}/model", f"{temp}/{d}.gguf", "--dtype", d)
        convert(f"{temp}/{d}.gguf", f"{temp}/{d}", "--dtype", "f32")
        rounded = read(f"{temp}/{d}/model.safetensors")
        assert rounded.keys() == w.keys(), (sorted(rounded), sorted(w))
        out[f"scores.{d}"] = scores(rounded)
        print(a.out, d, "changes scores by", float((out[f"scores.{d}"] - out["scores"]).norm() / out["scores"].norm()))
save(f"{a.out}/expected.safetensors", out)
