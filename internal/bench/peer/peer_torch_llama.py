"""Llama for peer_torch.py: config.json as Transformers reads it (models/llama, modeling_rope_utils.py)."""
import math

import torch
from torch import nn
from torch.nn import functional as F

import peer_torch_model
import peer_torch_train


def sizes(config):
    heads = config["num_attention_heads"]
    return heads, config.get("num_key_value_heads", heads), config.get("head_dim", config["hidden_size"] // heads)


def activation(config):
    return peer_torch_model.known("hidden_act", config.get("hidden_act", "silu"), peer_torch_model.ACTIVATIONS)


def turns(config, positions, device):
    """Cosines and sines of the angles by which pairs of a head turn, [positions, 1, size/2] each."""
    _, _, size = sizes(config)
    scaling = config.get("rope_scaling") or {"rope_type": "default"}
    f = config.get("rope_theta", 10000.0) ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)

    def llama3():
        factor, low, high = (scaling[key] for key in ("factor", "low_freq_factor", "high_freq_factor"))
        waves = scaling["original_max_position_embeddings"] * f / (2 * math.pi)  # in the original context
        smooth = ((waves - low) / (high - low)).clamp(0, 1)
        return ((1 - smooth) / factor + smooth) * f

    kinds = {"default": lambda: f, "linear": lambda: f / scaling["factor"], "llama3": llama3}
    f = peer_torch_model.known("rope_scaling.rope_type", scaling["rope_type"], kinds)()
    angles = torch.arange(positions, dtype=torch.float64)[:, None, None] * f
    return angles.cos().float().to(device), angles.sin().float().to(device)


def turn(x, cos, sin):  # [..., time, heads, size]; the first half of a head pairs with the second
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


def norm(x, weight, eps):
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype) * weight


class Model(peer_torch_model.Model):
    def __init__(self, config, weights, context):
        self.layers, self.eps, self.activation = config["num_hidden_layers"], config["rms_norm_eps"], activation(config)
        self.heads, self.kv, self.size = sizes(config)
        self.w = weights
        self.head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
        self.turns = [x.to(self.head.dtype) for x in turns(config, context, self.head.device)]
        for i in range(self.layers):  # one product in place of two or three
            h = "model.layers.%d." % i
            self.join(h + "qkv", [h + "self_attn.%s_proj" % x for x in "qkv"])
            self.join(h + "up", [h + "mlp.gate_proj", h + "mlp.up_proj"])

    def join(self, name, parts):
        for kind in (".weight", ".bias"):
            if parts[0] + kind in self.w:
                self.w[name + kind] = torch.cat([self.w.pop(x + kind) for x in parts])

    def norm(self, x, name):
        return norm(x, self.w[name + ".weight"], self.eps)

    def embed(self, ids, at):
        return self.w["model.embed_tokens.weight"][ids]

    def block(self, i, x, at, attend):
        h = "model.layers.%d." % i
        qkv = self.linear(self.norm(x, h + "input_layernorm"), h + "qkv").view(len(x), -1, self.size)
        q, k, v = qkv.split((self.heads, self.kv, self.kv), 1)
        cos, sin = (table[at] for table in self.turns)
        x = x + self.linear(attend(i, turn(q, cos, sin), turn(k, cos, sin), v), h + "self_attn.o_proj")
        gate, up = self.linear(self.norm(x, h + "post_attention_layernorm"), h + "up").chunk(2, -1)
        return x + self.linear(self.activation(gate) * up, h + "mlp.down_proj")

    def final(self, x):
        return self.norm(x, "model.norm")


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return norm(x, self.weight, self.eps)


class Block(nn.Module):
    """The names are those of the checkpoint."""

    def __init__(self, config, cos, sin):
        super().__init__()
        self.heads, self.kv, self.size = sizes(config)
        self.activation = activation(config)
        width, inner, eps = config["hidden_size"], config["intermediate_size"], config["rms_norm_eps"]
        attention_bias, mlp_bias = config.get("attention_bias", False), config.get("mlp_bias", False)
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(width, eps), RMSNorm(width, eps)
        self.self_attn, self.mlp = nn.Module(), nn.Module()
        self.self_attn.q_proj = nn.Linear(width, self.heads * self.size, attention_bias)
        self.self_attn.k_proj = nn.Linear(width, self.kv * self.size, attention_bias)
        self.self_attn.v_proj = nn.Linear(width, self.kv * self.size, attention_bias)
        self.self_attn.o_proj = nn.Linear(self.heads * self.size, width, attention_bias)
        self.mlp.gate_proj, self.mlp.up_proj = nn.Linear(width, inner, mlp_bias), nn.Linear(width, inner, mlp_bias)
        self.mlp.down_proj = nn.Linear(inner, width, mlp_bias)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x):  # [batch, time, width]
        b, t, _ = x.shape
        a, y = self.self_attn, self.input_layernorm(x)
        q = turn(a.q_proj(y).view(b, t, self.heads, self.size), self.cos[:t], self.sin[:t])
        k = turn(a.k_proj(y).view(b, t, self.kv, self.size), self.cos[:t], self.sin[:t])
        v = a.v_proj(y).view(b, t, self.kv, self.size)
        q, k, v = (z.to(v.dtype).transpose(1, 2) for z in (q, k, v))  # [batch, heads, time, head] each
        k, v = (z.repeat_interleave(self.heads // self.kv, 1) for z in (k, v))
        y = peer_torch_train.causal(q, k, v).transpose(1, 2)
        x = x + a.o_proj(y.reshape(b, t, self.heads * self.size))
        m, y = self.mlp, self.post_attention_layernorm(x)
        return x + m.down_proj(self.activation(m.gate_proj(y)) * m.up_proj(y))


class Net(peer_torch_train.Net):
    def __init__(self, config, weights, time):
        super().__init__()
        width, vocab = config["hidden_size"], config["vocab_size"]
        cos, sin = turns(config, time, "cpu")
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(vocab, width)
        self.model.layers = nn.ModuleList(Block(config, cos, sin) for _ in range(config["num_hidden_layers"]))
        self.model.norm = RMSNorm(width, config["rms_norm_eps"])
        self.lm_head = nn.Linear(width, vocab, bias=False)
        if "lm_head.weight" not in weights:
            self.lm_head.weight = self.model.embed_tokens.weight
            weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
        self.load_state_dict(weights)

    def blocks(self):
        return self.model.layers

    def embed(self, ids):
        return self.model.embed_tokens(ids)

    def norm(self, x):
        return self.model.norm(x)
