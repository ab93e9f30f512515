"""What the models of peer_torch.py share. A family of models is a file,
peer_torch_FAMILY.py, after model_type in config.json. It has

  Model   for reading and generating: embed, block and final, which forward calls
  Net     for training: embed, blocks and norm, as peer_torch_train.Net calls them
"""
import importlib
import json
import math
import mmap
import struct

import torch
from torch.nn import functional as F


class Unsupported(Exception):
    """What a model has and this side does not compute."""


ACTIVATIONS = {
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "gelu": F.gelu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": F.relu,
    "silu": F.silu,
}


def known(key, value, values):
    if value not in values:
        raise Unsupported("%s: found %s, expected %s" % (key, value, " or ".join(map(str, values))))
    return values[value]


def family(path):
    """The module of the model's family, and its config.json."""
    with open(path + "/config.json") as f:
        config = json.load(f)
    name = "peer_torch_" + config["model_type"]
    try:
        return importlib.import_module(name), config
    except ModuleNotFoundError as e:
        if e.name != name:
            raise
        raise Unsupported("models of the family %s are not written for PyTorch here" % config["model_type"])


def read(path, dtype, device):
    """Tensors of a safetensors file by name."""
    types = {"F32": torch.float32, "F16": torch.float16}
    with open(path + "/model.safetensors", "rb") as f:
        data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY)
    (n,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, t in json.loads(data[8 : 8 + n]).items():
        if name == "__metadata__":
            continue
        start = 8 + n + t["data_offsets"][0]
        x = torch.frombuffer(data, dtype=types[t["dtype"]], offset=start, count=math.prod(t["shape"]))
        tensors[name] = x.view(t["shape"]).to(device, dtype)
    return tensors


class Model:
    """A model with static keys and values. Its family sets layers, heads, kv (heads
    that have keys), size (of a head), w (weights by name, products [out, in]) and
    head (the unembedding)."""

    def cache(self, size):  # [layers, key or value, kv heads, size, head]
        return torch.zeros((self.layers, 2, self.kv, size, self.size), dtype=self.head.dtype, device=self.head.device)

    def linear(self, x, name):
        w, bias = self.w[name + ".weight"], self.w.get(name + ".bias")
        if len(x) > 1 or x.is_cuda:
            return F.linear(x, w, bias)
        # Several times as fast as linear in builds without MKL.
        return (torch.mv(w, x[0]) if bias is None else torch.addmv(bias, w, x[0]))[None]

    def forward(self, ids, at, cache, seen):
        """The likeliest token after ids, which stand at places at.

        seen is how many places of the cache are looked at. Where it is more
        than ids have filled, what lies behind the last of them is masked.
        """
        n, group = len(ids), self.heads // self.kv
        whole = n > 1 and n == seen and group == 1 and fused  # a prompt from its first token on
        mask = None
        if (n > 1 or self.head.is_cuda) and not whole:
            mask = torch.arange(seen, device=at.device) <= at[:, None]  # [time, seen]
            if n > 1 and group > 1:
                mask = mask.repeat(group, 1)

        def attend(i, q, k, v):  # [time, head, size] each
            keys, values = cache[i]
            keys.index_copy_(1, at, k.transpose(0, 1))
            values.index_copy_(1, at, v.transpose(0, 1))
            # Heads that share keys are rows of one product.
            q = q.reshape(n, self.kv, group, self.size).permute(1, 2, 0, 3).reshape(self.kv, group * n, self.size)
            y = attention(q, keys[:, :seen], values[:, :seen], mask, whole)
            return y.view(self.kv, group, n, self.size).permute(2, 0, 1, 3).reshape(n, self.heads * self.size)

        x = self.embed(ids, at)  # [time, width]
        for i in range(self.layers):
            x = self.block(i, x, at, attend)
        return torch.mv(self.head, self.final(x[-1])).argmax()


fused = hasattr(F, "scaled_dot_product_attention")


def attention(q, k, v, mask, causal):
    """With causal, as many queries as keys, each of which sees those before it: the
    fastest kernels take no mask."""
    if fused:
        return F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask, is_causal=causal)[0]
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1) @ v
