"""GPT-2 (Radford et al. 2019, Language Models are Unsupervised Multitask Learners), for reference.py.

Weights of Conv1D are [in, out], and the unembedding is the embedding.
"""
import math
import torch
import torch.nn.functional as F


def flags(p):
    pass


def weights(a, r):
    w, d = {}, a.width
    w["wte.weight"] = r(a.vocab, d)
    w["wpe.weight"] = r(a.context, d)
    for i in range(a.layers):
        h = f"h.{i}."
        for ln in ("ln_1", "ln_2"):
            w[h + ln + ".weight"] = 1 + r(d)
            w[h + ln + ".bias"] = r(d)
        w[h + "attn.c_attn.weight"] = r(d, 3 * d)
        w[h + "attn.c_attn.bias"] = r(3 * d)
        w[h + "attn.c_proj.weight"] = r(d, d)
        w[h + "attn.c_proj.bias"] = r(d)
        w[h + "mlp.c_fc.weight"] = r(d, 4 * d)
        w[h + "mlp.c_fc.bias"] = r(4 * d)
        w[h + "mlp.c_proj.weight"] = r(4 * d, d)
        w[h + "mlp.c_proj.bias"] = r(d)
    w["ln_f.weight"] = 1 + r(d)
    w["ln_f.bias"] = r(d)
    return w


def forward(a, w, ids, product, name):
    B, T = ids.shape
    x = w["wte.weight"][ids] + w["wpe.weight"][:T]
    for i in range(a.layers):
        h, block = f"h.{i}.", f"blocks.{i}."
        x = name(f"hidden.{i}", x)
        y = F.layer_norm(x, (a.width,), w[h + "ln_1.weight"], w[h + "ln_1.bias"], 1e-5)
        q, k, v = product(y, w[h + "attn.c_attn.weight"], w[h + "attn.c_attn.bias"]).split(a.width, 2)
        q = name(block + "attention.query", q)
        k = name(block + "attention.key", k)
        v = name(block + "attention.value", v)
        heads = lambda t: t.view(B, T, a.heads, a.width // a.heads).transpose(1, 2)
        att = heads(q) @ heads(k).transpose(-1, -2) / math.sqrt(a.width // a.heads)
        att = att.masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf).softmax(-1)
        att = name(block + "attention.probs", att)
        y = name(block + "attention.heads", (att @ heads(v)).transpose(1, 2).reshape(B, T, a.width))
        y = product(y, w[h + "attn.c_proj.weight"], w[h + "attn.c_proj.bias"])
        x = name(block + "middle", x + name(block + "attention.output", y))
        y = F.layer_norm(x, (a.width,), w[h + "ln_2.weight"], w[h + "ln_2.bias"], 1e-5)
        y = product(y, w[h + "mlp.c_fc.weight"], w[h + "mlp.c_fc.bias"])
        y = 0.5 * y * (1 + torch.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))  # "gelu_new"
        y = product(name(block + "mlp.hidden", y), w[h + "mlp.c_proj.weight"], w[h + "mlp.c_proj.bias"])
        x = x + name(block + "mlp.output", y)
    x = name(f"hidden.{a.layers}", x)
    return product(name("hidden.final", final(a, w, x)), w["wte.weight"].T)


def final(a, w, x):
    return F.layer_norm(x, (a.width,), w["ln_f.weight"], w["ln_f.bias"], 1e-5)


def parts(a, w):
    blocks = [dict(out=w[f"h.{i}.attn.c_proj.weight"], out_bias=w[f"h.{i}.attn.c_proj.bias"],
                   down=w[f"h.{i}.mlp.c_proj.weight"], down_bias=w[f"h.{i}.mlp.c_proj.bias"]) for i in range(a.layers)]
    return dict(embedding=w["wte.weight"], position=w["wpe.weight"], unembedding=w["wte.weight"], kv_heads=a.heads,
                gain=w["ln_f.weight"], shift=w["ln_f.bias"], centred=True, epsilon=1e-5, blocks=blocks)


def config(a):
    return dict(architectures=["GPT2LMHeadModel"], model_type="gpt2", activation_function="gelu_new",
                n_layer=a.layers, n_head=a.heads, n_embd=a.width, n_ctx=a.context, n_positions=a.context,
                vocab_size=a.vocab, layer_norm_epsilon=1e-5, tie_word_embeddings=True,
                bos_token_id=a.vocab - 1, eos_token_id=a.vocab - 1)
