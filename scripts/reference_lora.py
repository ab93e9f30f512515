#!/usr/bin/env python3
"""Reference figures for a LoRA adapter (Hu et al. 2021, arXiv:2106.09685), computed in float64 by PyTorch.

Usage: reference_lora.py OUT_DIR BASE_DIR FAMILY [--rank 4 --alpha 8 --rslora --rank-of END=N ... --alpha-of END=X ...
       --targets END ... --seed 1] [the flags with which reference.py made BASE_DIR]

BASE_DIR is a checkpoint of reference.py. OUT_DIR gets an adapter of it with random A and B, as PEFT's save_pretrained lays
one out (adapter_config.json, adapter_model.safetensors; see "Checkpoint format" in its guides for developers), and
expected.safetensors, of the same batch of ids as BASE_DIR has:
  logits                        with the adapter: each target's W is W + s B A, with s = alpha / r, or alpha / sqrt(r) with
                                --rslora [batch, time, vocab]
  loss                          mean cross entropy over all positions, nats  [1]
  grad.NAME                     d loss / d NAME for every A and B, W being frozen
  losses                        before each of three AdamW steps on A and B alone, and after the last  [4]
  step3.NAME                    A and B after these (lr 1e-3, betas 0.9 0.95, eps 1e-8, weight decay 0.1, the global
                                gradient norm clipped to 1.0)
  merged.NAME                   W + s B A, as BASE_DIR stores W, of two matrices
  greedy                        int64 [time + 16]: input_ids[0] and 16 greedy continuations of it
NAME is PEFT's. --rank-of and --alpha-of are rank_pattern and alpha_pattern: modules whose name ends so have others.
All floats are stored as float32.
"""
import argparse
import importlib
import json
import math
import os
import struct

import numpy as np
import torch
import torch.nn.functional as F

import reference_families

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("out")
p.add_argument("base")
p.add_argument("family", choices=["gpt2", "llama", *reference_families.FAMILIES])
for k, d in dict(layers=3, heads=4, width=64, context=64, vocab=257, seed=1, rank=4).items():
    p.add_argument("--" + k, type=int, default=d)
p.add_argument("--alpha", type=float, default=8)
p.add_argument("--rslora", action="store_true")
p.add_argument("--targets", nargs="+", default=[])
p.add_argument("--rank-of", nargs="*", default=[])
p.add_argument("--alpha-of", nargs="*", default=[])
name = p.parse_known_args()[0].family
family = reference_families if name in reference_families.FAMILIES else importlib.import_module("reference_" + name)
family.flags(p)
a = p.parse_args()
torch.manual_seed(a.seed)
torch.set_default_dtype(torch.float64)


def load(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    tensors = {}
    for k, h in header.items():
        if k == "__metadata__":
            continue
        b = np.frombuffer(data[slice(*h["data_offsets"])], dict(F32="<f4", F16="<f2", BF16="<u2", I64="<i8")[h["dtype"]])
        if h["dtype"] == "BF16":
            b = (b.astype("<u4") << 16).view("<f4")
        t = torch.from_numpy(b.astype("<i8" if h["dtype"] == "I64" else "<f8")).reshape(h["shape"])
        tensors[k] = t
    return tensors


def save(path, tensors):
    header, blobs, at = {}, [], 0
    for k in sorted(tensors):
        t = tensors[k].detach()
        kind = "F32" if t.is_floating_point() else "I64"
        b = np.ascontiguousarray((t.float() if kind == "F32" else t).numpy()).tobytes()
        header[k] = dict(dtype=kind, shape=list(t.shape), data_offsets=[at, at + len(b)])
        at += len(b)
        blobs.append(b)
    h = json.dumps(dict(__metadata__=dict(format="pt"), **header)).encode()
    h += b" " * (-len(h) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h + b"".join(blobs))


pairs = lambda texts: [(k, float(v)) for k, v in (text.split("=") for text in texts)]
turned = a.family == "gpt2"  # its Conv1D stores [in, out]
body = "transformer." if turned else ""
w = load(a.base + "/model.safetensors")
given = load(a.base + "/expected.safetensors")
ids, targets = given["input_ids"], given["targets"]

modules, scales, ab = {}, {}, {}
for k, v in w.items():
    module = body + k[: -len(".weight")]
    if v.ndim != 2 or not any(module.endswith("." + end) for end in a.targets):
        continue
    pick = lambda of, usual: next((x for end, x in pairs(of) if module.endswith("." + end)), usual)
    r, alpha = int(pick(a.rank_of, a.rank)), pick(a.alpha_of, a.alpha)
    out, inputs = (v.shape[1], v.shape[0]) if turned else v.shape
    modules[k], scales[k] = "base_model.model." + module, alpha / (math.sqrt(r) if a.rslora else r)
    for letter, shape in (("A", (r, inputs)), ("B", (out, r))):
        x = (torch.randn(*shape) * 0.2).float().double()
        ab[f"{modules[k]}.lora_{letter}.weight"] = x.requires_grad_()


def adapted():
    all = dict(w)
    for k, module in modules.items():
        delta = scales[k] * ab[module + ".lora_B.weight"] @ ab[module + ".lora_A.weight"]
        all[k] = w[k] + (delta.T if turned else delta)
    return all


def forward(ids):
    return family.forward(a, adapted(), ids, lambda x, w, bias=0: x @ w + bias, lambda name, x: x)


loss_of = lambda: F.cross_entropy(forward(ids).flatten(0, 1), targets.flatten())
out = {}
os.makedirs(a.out, exist_ok=True)
save(f"{a.out}/adapter_model.safetensors", ab)
out["logits"] = forward(ids)
loss = loss_of()
out["loss"] = loss[None]
loss.backward()
out.update({f"grad.{k}": v.grad.clone() for k, v in ab.items()})
both = adapted()
for k in (min(modules), max(modules)):
    out["merged." + k] = both[k]
with torch.no_grad():
    seq = ids[:1]
    for _ in range(16):
        seq = torch.cat([seq, forward(seq[:, -a.context:])[:, -1].argmax(-1, keepdim=True)], 1)
out["greedy"] = seq[0]
opt = torch.optim.AdamW(list(ab.values()), lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
losses = []
for _ in range(3):
    opt.zero_grad()
    step = loss_of()
    losses.append(step.detach())
    step.backward()
    torch.nn.utils.clip_grad_norm_(list(ab.values()), 1.0)
    opt.step()
out["losses"] = torch.stack(losses + [loss_of().detach()])
out.update({f"step3.{k}": v for k, v in ab.items()})
save(f"{a.out}/expected.safetensors", out)
config = dict(
    alpha_pattern=dict(pairs(a.alpha_of)), auto_mapping=None, base_model_name_or_path="../" + os.path.basename(a.base), bias="none",
    corda_config=None, eva_config=None, exclude_modules=None, fan_in_fan_out=turned, inference_mode=True, init_lora_weights=True,
    layer_replication=None, layers_pattern=None, layers_to_transform=None, loftq_config={}, lora_alpha=a.alpha, lora_bias=False,
    lora_dropout=0.0, megatron_config=None, megatron_core="megatron.core", modules_to_save=None, peft_type="LORA", qalora_group_size=16, r=a.rank,
    rank_pattern={k: int(v) for k, v in pairs(a.rank_of)}, revision=None, target_modules=a.targets, target_parameters=None,
    task_type="CAUSAL_LM", trainable_token_indices=None, use_dora=False, use_qalora=False, use_rslora=a.rslora)
json.dump(config, open(f"{a.out}/adapter_config.json", "w"), indent=2)
print(a.out, "losses", [round(float(x), 5) for x in out["losses"]], "base", float(given["loss"]))
