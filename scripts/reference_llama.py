"""Llama (Touvron et al. 2023, arXiv:2302.13971; Grattafiori et al. 2024, arXiv:2407.21783), for reference.py.

The settings are those of Hugging Face's config.json, and what they mean is what Transformers 5 makes of them
(models/llama, modeling_rope_utils.py). Matrices are [out, in]. With --tied there is no lm_head.weight.

  RMSNorm      x / sqrt(mean(x^2) + rms_norm_eps) * weight (arXiv:1910.07467)
  attention    num_key_value_heads divides num_attention_heads; query head h looks at key/value head
               h // (heads / kv heads) (arXiv:2305.13245); scores are divided by sqrt(head_dim)
  positions    elements i and i + head_dim/2 of a head are a pair, turned by position * f[i],
               f[i] = theta^(-2i/head_dim) (arXiv:2104.09864)
  linear       f[i] / factor
  llama3       with wavelength l = 2 pi / f[i] and context o = original_max_position_embeddings: f[i] where
               l < o / high_freq_factor, f[i] / factor where l > o / low_freq_factor, and between these
               ((1 - s) / factor + s) * f[i] with s = (o / l - low_freq_factor) / (high_freq_factor - low_freq_factor)
  MLP          down(silu(gate(x)) * up(x)) (arXiv:2002.05202)

config.json tells the positions in one of two forms: --rope new is rope_parameters, which has rope_theta in it, and
--rope old is rope_theta beside rope_scaling, of which the oldest files call rope_type "type" (--rope oldest).
"""
import math
import torch
import torch.nn.functional as F


def flags(p):
    p.add_argument("--kv-heads", type=int, help="key/value heads; as many as heads, and no key in config.json, if left out")
    p.add_argument("--head-size", type=int, help="width/heads, and no key in config.json, if left out")
    p.add_argument("--inner", type=int, default=96)
    p.add_argument("--tied", action="store_true")
    p.add_argument("--attention-bias", action="store_true")
    p.add_argument("--mlp-bias", action="store_true")
    p.add_argument("--epsilon", type=float, default=1e-5)
    p.add_argument("--rope", choices=["new", "old", "oldest"], default="new")
    p.add_argument("--theta", type=float, help="10000, and no key in config.json, if left out")
    p.add_argument("--scaling", choices=["linear", "llama3"])
    p.add_argument("--factor", type=float, default=4.0)
    p.add_argument("--low", type=float, default=1.0, help="low_freq_factor")
    p.add_argument("--high", type=float, default=4.0, help="high_freq_factor")
    p.add_argument("--original", type=int, help="original_max_position_embeddings")


def sizes(a):
    return a.kv_heads or a.heads, a.head_size or a.width // a.heads


def linears(a):
    """of a block: name, outputs, inputs, whether there is a bias"""
    kv, size = sizes(a)
    return [("self_attn.q_proj", a.heads * size, a.width, a.attention_bias),
            ("self_attn.k_proj", kv * size, a.width, a.attention_bias),
            ("self_attn.v_proj", kv * size, a.width, a.attention_bias),
            ("self_attn.o_proj", a.width, a.heads * size, a.attention_bias),
            ("mlp.gate_proj", a.inner, a.width, a.mlp_bias),
            ("mlp.up_proj", a.inner, a.width, a.mlp_bias),
            ("mlp.down_proj", a.width, a.inner, a.mlp_bias)]


def weights(a, r):
    w = {"model.embed_tokens.weight": r(a.vocab, a.width)}
    for i in range(a.layers):
        h = f"model.layers.{i}."
        for name, outputs, inputs, bias in linears(a):
            w[h + name + ".weight"] = r(outputs, inputs)
            if bias:
                w[h + name + ".bias"] = r(outputs)
        w[h + "input_layernorm.weight"] = 1 + r(a.width)
        w[h + "post_attention_layernorm.weight"] = 1 + r(a.width)
    w["model.norm.weight"] = 1 + r(a.width)
    if not a.tied:
        w["lm_head.weight"] = r(a.vocab, a.width)
    return w


def frequencies(a):
    """by how much each pair of a head turns from one position to the next"""
    _, size = sizes(a)
    f = (a.theta or 10000.0) ** (-torch.arange(0, size, 2) / size)
    if a.scaling == "linear":
        f = f / a.factor
    if a.scaling == "llama3":
        waves = a.original * f / (2 * math.pi)  # in the original context
        smooth = (waves - a.low) / (a.high - a.low)
        f = torch.where(waves > a.high, f, torch.where(waves < a.low, f / a.factor, ((1 - smooth) / a.factor + smooth) * f))
    return f


def norm(a, w, x, name):
    return x / (x.square().mean(-1, keepdim=True) + a.epsilon).sqrt() * w[name + ".weight"]


def forward(a, w, ids, product, name):
    B, T = ids.shape
    kv, size = sizes(a)
    angles = torch.arange(T).double()[:, None] * frequencies(a)
    cos, sin = angles.cos(), angles.sin()  # [time, size/2]

    def linear(x, of):
        return product(x, w[of + ".weight"].T, w.get(of + ".bias", 0))

    def split(x, n):  # [batch, head, time, size]
        return x.view(B, T, n, size).transpose(1, 2)

    def join(x):  # split's inverse
        return x.transpose(1, 2).flatten(2)

    def turn(x):
        first, second = x[..., : size // 2], x[..., size // 2 :]
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

    x = w["model.embed_tokens.weight"][ids]
    for i in range(a.layers):
        h, block = f"model.layers.{i}.", f"blocks.{i}."
        x = name(f"hidden.{i}", x)
        y = norm(a, w, x, h + "input_layernorm")
        q = name(block + "attention.query", join(turn(split(linear(y, h + "self_attn.q_proj"), a.heads))))
        k = name(block + "attention.key", join(turn(split(linear(y, h + "self_attn.k_proj"), kv))))
        v = name(block + "attention.value", linear(y, h + "self_attn.v_proj"))
        q, k, v = split(q, a.heads), *(split(x, kv).repeat_interleave(a.heads // kv, 1) for x in (k, v))
        att = q @ k.transpose(-1, -2) / math.sqrt(size)
        att = att.masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf).softmax(-1)
        y = name(block + "attention.heads", join(name(block + "attention.probs", att) @ v))
        x = name(block + "middle", x + name(block + "attention.output", linear(y, h + "self_attn.o_proj")))
        y = norm(a, w, x, h + "post_attention_layernorm")
        y = name(block + "mlp.hidden", F.silu(linear(y, h + "mlp.gate_proj")) * linear(y, h + "mlp.up_proj"))
        x = x + name(block + "mlp.output", linear(y, h + "mlp.down_proj"))
    x = name(f"hidden.{a.layers}", x)
    return product(name("hidden.final", final(a, w, x)), w[unembedding(a)].T)


def final(a, w, x):
    return norm(a, w, x, "model.norm")


def unembedding(a):
    return "model.embed_tokens.weight" if a.tied else "lm_head.weight"


def parts(a, w):
    layers = [f"model.layers.{i}." for i in range(a.layers)]
    blocks = [dict(out=w[h + "self_attn.o_proj.weight"].T, out_bias=w.get(h + "self_attn.o_proj.bias"),
                   down=w[h + "mlp.down_proj.weight"].T, down_bias=w.get(h + "mlp.down_proj.bias")) for h in layers]
    return dict(embedding=w["model.embed_tokens.weight"], position=None, unembedding=w[unembedding(a)], kv_heads=sizes(a)[0],
                gain=w["model.norm.weight"], shift=None, centred=False, epsilon=a.epsilon, blocks=blocks)


def config(a):
    c = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", hidden_size=a.width,
             intermediate_size=a.inner, num_hidden_layers=a.layers, num_attention_heads=a.heads,
             max_position_embeddings=a.context, vocab_size=a.vocab, rms_norm_eps=a.epsilon, initializer_range=0.02,
             attention_bias=a.attention_bias, attention_dropout=0.0, mlp_bias=a.mlp_bias, pretraining_tp=1, use_cache=True,
             tie_word_embeddings=a.tied, bos_token_id=a.vocab - 2, eos_token_id=a.vocab - 1)
    if a.kv_heads:
        c["num_key_value_heads"] = a.kv_heads
    if a.head_size:
        c["head_dim"] = a.head_size
    rope = {}
    if a.scaling:
        rope = dict(factor=a.factor, **{"type" if a.rope == "oldest" else "rope_type": a.scaling})
    if a.scaling == "llama3":
        rope.update(low_freq_factor=a.low, high_freq_factor=a.high, original_max_position_embeddings=a.original)
    theta = dict(rope_theta=a.theta) if a.theta else {}
    dtype = dict(f32="float32", f16="float16", bf16="bfloat16")[a.dtype]
    if a.rope == "new":
        c.update(rope_parameters=dict(dict(rope_type="default"), **rope, **theta), dtype=dtype)
    else:
        c.update(rope_scaling=rope or None, torch_dtype=dtype, **theta)
    return c
