"""GPT-2 for peer_torch.py."""
import math

import torch
from torch import nn
from torch.nn import functional as F

import peer_torch_model
import peer_torch_train


def activation(config):
    name = config.get("activation_function", "gelu_new")
    return peer_torch_model.known("activation_function", name, peer_torch_model.ACTIVATIONS)


def factors(config):
    """What the scores of each block are multiplied with, beside 1/sqrt(size of a head)."""
    size = config["n_embd"] // config["n_head"]
    factor = 1.0 if config.get("scale_attn_weights", True) else math.sqrt(size)
    by_layer = config.get("scale_attn_by_inverse_layer_idx", False)
    return [factor / (i + 1) if by_layer else factor for i in range(config["n_layer"])]


def upright(weights):
    """Products as [out, in]; config.json's are the transpose."""
    return {name: x.t().contiguous() if name.startswith("h.") and x.dim() > 1 else x for name, x in weights.items()}


class Model(peer_torch_model.Model):
    def __init__(self, config, weights, context):
        self.layers, self.heads, self.width = config["n_layer"], config["n_head"], config["n_embd"]
        self.kv, self.size = self.heads, self.width // self.heads
        self.eps, self.activation, self.factors = config["layer_norm_epsilon"], activation(config), factors(config)
        self.w = upright(weights)
        self.head = self.w.get("lm_head.weight", self.w["wte.weight"])

    def norm(self, x, name):
        return F.layer_norm(x, (self.width,), self.w[name + ".weight"], self.w[name + ".bias"], self.eps)

    def embed(self, ids, at):
        return self.w["wte.weight"][ids] + self.w["wpe.weight"][at]

    def block(self, i, x, at, attend):
        h = "h.%d." % i
        qkv = self.linear(self.norm(x, h + "ln_1"), h + "attn.c_attn")
        q, k, v = qkv.view(len(x), 3, self.heads, self.size).unbind(1)
        if self.factors[i] != 1:
            q = q * self.factors[i]
        x = x + self.linear(attend(i, q, k, v), h + "attn.c_proj")
        return x + self.linear(self.activation(self.linear(self.norm(x, h + "ln_2"), h + "mlp.c_fc")), h + "mlp.c_proj")

    def final(self, x):
        return self.norm(x, "ln_f")


class Block(nn.Module):
    def __init__(self, config, inner, factor):
        super().__init__()
        width, eps = config["n_embd"], config["layer_norm_epsilon"]
        self.heads, self.factor, self.activation = config["n_head"], factor, activation(config)
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.c_attn, self.attn_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_proj = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x):  # [batch, time, width]
        b, t, width = x.shape
        qkv = self.c_attn(self.ln_1(x)).view(b, t, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [batch, heads, time, head] each
        if self.factor != 1:
            q = q * self.factor
        y = peer_torch_train.causal(q, k, v)
        x = x + self.attn_proj(y.transpose(1, 2).reshape(b, t, width))
        return x + self.mlp_proj(self.activation(self.c_fc(self.ln_2(x))))


class Net(peer_torch_train.Net):
    def __init__(self, config, weights, time):
        super().__init__()
        inner = weights["h.0.mlp.c_fc.bias"].numel()
        self.wte = nn.Embedding(*weights["wte.weight"].shape)
        self.wpe = nn.Embedding(*weights["wpe.weight"].shape)
        self.h = nn.ModuleList(Block(config, inner, factor) for factor in factors(config))
        self.norm = nn.LayerNorm(config["n_embd"], config["layer_norm_epsilon"])
        self.lm_head = nn.Linear(*reversed(self.wte.weight.shape), bias=False)
        if "lm_head.weight" not in weights:
            self.lm_head.weight = self.wte.weight
        names = {"attn.c_attn": "c_attn", "attn.c_proj": "attn_proj", "mlp.c_fc": "c_fc", "mlp.c_proj": "mlp_proj"}
        state = {}
        for name, x in upright(weights).items():
            for theirs, ours in names.items():
                name = name.replace("." + theirs + ".", "." + ours + ".")
            state[name.replace("ln_f.", "norm.")] = x
        state.setdefault("lm_head.weight", state["wte.weight"])
        self.load_state_dict(state)

    def blocks(self):
        return self.h

    def embed(self, ids):
        return self.wte(ids) + self.wpe.weight[: ids.shape[1]]
