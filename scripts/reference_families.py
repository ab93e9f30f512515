"""Families beside GPT-2 and Llama, for reference.py: mistral, smollm3, qwen2, qwen3, gemma2, gemma3_text, olmo2, olmo3,
phi3, gpt_neox and gpt_oss, each by its model_type.

What they compute is what Transformers computes of their config.json (models/FAMILY/modeling_FAMILY.py and
modeling_rope_utils.py of releases 4.57 and 5), with float64 everywhere. Matrices are [out, in].

  RMSNorm      x / sqrt(mean(x^2) + rms_norm_eps) * weight (arXiv:1910.07467); of Gemma * (1 + weight)
  LayerNorm    of GPT-NeoX, with a bias
  attention    num_key_value_heads divides num_attention_heads; query head h looks at key/value head
               h // (heads / kv heads); scores are divided by sqrt(head_dim), those of Gemma by
               sqrt(query_pre_attn_scalar); of Gemma 2 they become cap * tanh(score / cap)
  window       query i of a layer of type sliding_attention sees keys j with i - j < sliding_window. Of Qwen 2, Qwen 3 and
               SmolLM3 only with use_sliding_window; these are the layers from max_window_layers on of Qwen, and those
               without positions of SmolLM3, unless layer_types says others
  QK-norm      Qwen 3 and Gemma 3: RMSNorm of each head; OLMo 2 and 3: of all heads together; before positions
  positions    elements i and i + n/2 of the first n = int(head_dim * partial_rotary_factor) of a head are a pair,
               turned by position * f[i], f[i] = theta^(-2i/n)
  linear       f[i] / factor
  yarn         arXiv:2309.00071. Pair d(r) = n ln(original / (2 pi r)) / (2 ln theta) turns r times in the original
               context. With low = max(floor(d(beta_fast)), 0), high = min(ceil(d(beta_slow)), n - 1) and
               ramp = clamp((i - low) / (high - low), 0, 1): f[i] * (1 - ramp) + f[i] / factor * ramp; cosines and sines
               times attention_factor, or else 0.1 ln(factor) + 1. OLMo 3 has it in layers of full attention alone (so
               OLMo-core and Transformers 4.57; release 5 forgot it)
  longrope     arXiv:2402.13753. f[i] / long_factor[i] where the text is longer than original_max_position_embeddings,
               else f[i] / short_factor[i]; cosines and sines times sqrt(1 + ln(s) / ln(original)) with
               s = max_position_embeddings / original
  Gemma 3      layers of sliding_attention have rope_local_base_freq for theta, and no scaling
  SmolLM3      layers whose no_rope_layers is 0 have no positions
  block        Llama's: x += attention(norm(x)), x += mlp(norm(x)). OLMo: x += norm(attention(x)), x += norm(mlp(x)).
               Gemma: x += norm(attention(norm(x))), x += norm(mlp(norm(x))). GPT-NeoX with use_parallel_residual:
               x += attention(norm(x)) + mlp(norm'(x)), else as Llama's
  MLP          down(act(gate(x)) * up(x)); of GPT-NeoX down(gelu(up(x))), with biases
  Gemma        embeddings are multiplied by sqrt(hidden_size); final scores of Gemma 2 become cap * tanh(score / cap)
  Phi-3        qkv_proj has the rows of q, k and v one below the other, gate_up_proj those of gate and up
  gpt-oss      the MLP is experts: of the scores router(x) those of the num_experts_per_tok largest become their softmax,
               by which down(h) of these experts is weighted and added up, with gate = min(gate(x), 7), up = clamp(up(x), -7, 7)
               and h = (up + 1) * gate * sigmoid(1.702 gate). gate_up_proj, [experts, width, 2 inner], has gate in its even
               columns and up in the odd ones. Each head's sink is a score more in the denominator of its softmax. YaRN in all
               layers, with truncate false: low and high are not rounded. With --blocks weights of experts are mxfp4: bytes of
               two numbers, the first of which has the low bits, of the table 0 .5 1 1.5 2 3 4 6 and its negatives, times
               2^(scale - 127)
  GPT-NeoX     query_key_value has the rows of each head's q, k and v one below the other
"""
import math
import torch
import torch.nn.functional as F

MISTRAL, SMOLLM3, QWEN2, QWEN3, GEMMA2, GEMMA3, OLMO2, OLMO3, PHI3, NEOX, OSS = FAMILIES = [
    "mistral", "smollm3", "qwen2", "qwen3", "gemma2", "gemma3_text", "olmo2", "olmo3", "phi3", "gpt_neox", "gpt_oss"]
CLASSES = dict(zip(FAMILIES, ["Mistral", "SmolLM3", "Qwen2", "Qwen3", "Gemma2", "Gemma3", "Olmo2", "Olmo3", "Phi3", "GPTNeoX", "GptOss"]))


def flags(p):
    p.add_argument("--kv-heads", type=int)
    p.add_argument("--head-size", type=int, help="width/heads, and no key in config.json, if left out")
    p.add_argument("--inner", type=int, default=52)
    p.add_argument("--tied", action="store_true")
    p.add_argument("--epsilon", type=float, default=1e-5)
    p.add_argument("--theta", type=float, default=10000.0)
    p.add_argument("--window", type=int)
    p.add_argument("--full", type=int, default=0, help="max_window_layers of qwen2 and qwen3 with a window")
    p.add_argument("--local", type=float, default=1000.0, help="rope_local_base_freq")
    p.add_argument("--scaling", choices=["linear", "yarn", "longrope"])
    p.add_argument("--factor", type=float, default=4.0)
    p.add_argument("--original", type=int)
    p.add_argument("--partial", type=float, default=1.0)
    p.add_argument("--attention-factor", type=float)
    p.add_argument("--query-scalar", type=float)
    p.add_argument("--sequential", action="store_true", help="use_parallel_residual is false")
    p.add_argument("--experts", type=int)
    p.add_argument("--chosen", type=int)
    p.add_argument("--blocks", action="store_true", help="weights of experts are mxfp4")
    p.add_argument("--types", action="store_true", help="config.json has layer_types, or no_rope_layers")
    p.add_argument("--rope", choices=["old", "new"], default="old")


def sizes(a):
    return a.kv_heads or a.heads, a.head_size or a.width // a.heads


def rotary(a):
    return int(sizes(a)[1] * a.partial)


gemma = lambda a: a.family in (GEMMA2, GEMMA3)
olmo = lambda a: a.family in (OLMO2, OLMO3)


def sliding(a, i):
    """whether layer i has the window"""
    if a.family in (MISTRAL, PHI3):
        return a.window is not None
    if a.family in (QWEN2, QWEN3, SMOLLM3):
        return a.window is not None and (not positions(a, i) if a.family == SMOLLM3 else i % 2 == 0 if a.types else i >= a.full)
    every = {GEMMA2: 2, GEMMA3: 6, OLMO3: 4, OSS: 2}.get(a.family)
    return every is not None and (i + 1) % every != 0


def positions(a, i):
    """whether layer i has positions"""
    return a.family != SMOLLM3 or (i + 1) % 4 != 0


def weights(a, r):
    kv, size = sizes(a)
    w, d = {}, a.width
    scale = lambda n: r(n) if gemma(a) else 1 + r(n)
    if a.family == NEOX:
        w["gpt_neox.embed_in.weight"] = r(a.vocab, d)
        for i in range(a.layers):
            h = f"gpt_neox.layers.{i}."
            for name, out, inputs in [("attention.query_key_value", 3 * d, d), ("attention.dense", d, d),
                                      ("mlp.dense_h_to_4h", a.inner, d), ("mlp.dense_4h_to_h", d, a.inner)]:
                w[h + name + ".weight"], w[h + name + ".bias"] = r(out, inputs), r(out)
            for name in ("input_layernorm", "post_attention_layernorm"):
                w[h + name + ".weight"], w[h + name + ".bias"] = 1 + r(d), r(d)
        w["gpt_neox.final_layer_norm.weight"], w["gpt_neox.final_layer_norm.bias"] = 1 + r(d), r(d)
        w["embed_out.weight"] = r(a.vocab, d)
        return w
    w["model.embed_tokens.weight"] = r(a.vocab, d)
    for i in range(a.layers):
        h = f"model.layers.{i}."
        if a.family == PHI3:
            w[h + "self_attn.qkv_proj.weight"] = r((a.heads + 2 * kv) * size, d)
            w[h + "mlp.gate_up_proj.weight"] = r(2 * a.inner, d)
        else:
            for name, n in [("q", a.heads), ("k", kv), ("v", kv)]:
                w[h + f"self_attn.{name}_proj.weight"] = r(n * size, d)
                if a.family in (QWEN2, OSS):
                    w[h + f"self_attn.{name}_proj.bias"] = r(n * size)
            if a.family != OSS:
                w[h + "mlp.gate_proj.weight"], w[h + "mlp.up_proj.weight"] = r(a.inner, d), r(a.inner, d)
        w[h + "self_attn.o_proj.weight"] = r(d, a.heads * size)
        if a.family == OSS:
            w[h + "self_attn.o_proj.bias"], w[h + "self_attn.sinks"] = r(d), 4 * r(a.heads)
            w[h + "mlp.router.weight"], w[h + "mlp.router.bias"] = r(a.experts, d), r(a.experts)
            # larger ones than others, so that numbers are clamped
            w[h + "mlp.experts.gate_up_proj"], w[h + "mlp.experts.gate_up_proj_bias"] = 5 * r(a.experts, d, 2 * a.inner), r(a.experts, 2 * a.inner)
            w[h + "mlp.experts.down_proj"], w[h + "mlp.experts.down_proj_bias"] = r(a.experts, a.inner, d), r(a.experts, d)
            if a.blocks:
                for name in ("gate_up_proj", "down_proj"):
                    w[h + f"mlp.experts.{name}"] = fp4(w[h + f"mlp.experts.{name}"])
        else:
            w[h + "mlp.down_proj.weight"] = r(d, a.inner)
        if a.family in (QWEN3, GEMMA3):
            w[h + "self_attn.q_norm.weight"], w[h + "self_attn.k_norm.weight"] = scale(size), scale(size)
        if olmo(a):
            w[h + "self_attn.q_norm.weight"], w[h + "self_attn.k_norm.weight"] = scale(a.heads * size), scale(kv * size)
        names = ["input_layernorm", "post_attention_layernorm"]
        if olmo(a):
            names = ["post_attention_layernorm", "post_feedforward_layernorm"]
        if gemma(a):
            names += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        for name in names:
            w[h + name + ".weight"] = scale(d)
    w["model.norm.weight"] = scale(d)
    if not a.tied:
        w["lm_head.weight"] = r(a.vocab, d)
    return w


FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def exponents(w):
    """of blocks of 32 inputs of w, [experts, in, out]: [experts, out, in / 32], so that the largest is 4 or 6"""
    x = w.transpose(1, 2).unflatten(-1, (-1, 32))
    return torch.floor(torch.log2(x.abs().amax(-1))).long() - 2


def fp4(w):
    """w rounded to mxfp4"""
    x, scale = w.transpose(1, 2).unflatten(-1, (-1, 32)), 2.0 ** exponents(w)[..., None]
    nearest = (x.abs()[..., None] / scale[..., None] - FP4.double()).abs().argmin(-1)
    return (FP4.double()[nearest] * x.sign() * scale).flatten(2).transpose(1, 2)


def stored(a, w):
    """w as the file has it"""
    if not a.blocks:
        return w
    all = {}
    for name, x in w.items():
        if not name.endswith(("gate_up_proj", "down_proj")):
            all[name] = x
            continue
        x, e = x.detach(), exponents(x.detach())
        blocks = x.transpose(1, 2).unflatten(-1, (-1, 32)) / 2.0 ** e[..., None]
        codes = (blocks.abs()[..., None] - FP4.double()).abs().argmin(-1) + 8 * (blocks < 0)
        all[name + "_blocks"] = (codes[..., 0::2] + 16 * codes[..., 1::2]).to(torch.uint8)
        all[name + "_scales"] = (e + 127).to(torch.uint8)
    return all


def factors(a):
    """short_factor and long_factor, as config.json has them"""
    n = rotary(a) // 2
    return [round(1 + 0.05 * i, 4) for i in range(n)], [round(1 + 0.7 * i, 4) for i in range(n)]


def angles(a, T, i):
    """cosines and sines of the positions 0 to T-1 in layer i, [T, pairs]"""
    n, times = rotary(a), 1.0
    plain = a.family in (GEMMA3, OLMO3) and sliding(a, i)
    theta = a.local if a.family == GEMMA3 and plain else a.theta
    f = theta ** (-torch.arange(0, n, 2).double() / n)
    if a.scaling == "linear" and not plain:
        f = f / a.factor
    if a.scaling == "yarn" and not plain:
        pair = lambda turns: n * math.log(a.original / (turns * 2 * math.pi)) / (2 * math.log(theta))
        low, high = pair(32), pair(1)
        if a.family != OSS:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, n - 1)
        ramp = ((torch.arange(n // 2).double() - low) / (high - low if high != low else 0.001)).clamp(0, 1)
        f = f * (1 - ramp) + f / a.factor * ramp
        times = a.attention_factor or 0.1 * math.log(a.factor) + 1
    if a.scaling == "longrope":
        short, long = factors(a)
        f = f / torch.tensor(long if T > a.original else short).double()
        times = math.sqrt(1 + math.log(a.context / a.original) / math.log(a.original))
    turn = torch.arange(T).double()[:, None] * f
    return turn.cos() * times, turn.sin() * times


def forward(a, w, ids, product, name):
    B, T = ids.shape
    kv, size = sizes(a)
    neox = a.family == NEOX

    def linear(x, of):
        return product(x, w[of + ".weight"].T, w.get(of + ".bias", 0))

    def norm(x, of):
        if neox:
            return F.layer_norm(x, (a.width,), w[of + ".weight"], w[of + ".bias"], a.epsilon)
        scale = w[of + ".weight"]
        return x / (x.square().mean(-1, keepdim=True) + a.epsilon).sqrt() * (1 + scale if gemma(a) else scale)

    def split(x, n):  # [batch, head, time, size]
        return x.view(B, T, n, size).transpose(1, 2)

    def join(x):  # split's inverse
        return x.transpose(1, 2).flatten(2)

    def attention(i, x, h, block):
        if a.family == PHI3:
            q, k, v = linear(x, h + "self_attn.qkv_proj").split([a.heads * size, kv * size, kv * size], -1)
        elif neox:
            q, k, v = linear(x, h + "attention.query_key_value").view(B, T, a.heads, 3 * size).split(size, -1)
            q, k, v = q.flatten(2), k.flatten(2), v.flatten(2)
        else:
            q, k, v = (linear(x, h + f"self_attn.{p}_proj") for p in "qkv")
        if olmo(a):
            q, k = norm(q, h + "self_attn.q_norm"), norm(k, h + "self_attn.k_norm")
        q, k, v = split(q, a.heads), split(k, kv), split(v, kv)
        if a.family in (QWEN3, GEMMA3):
            q, k = norm(q, h + "self_attn.q_norm"), norm(k, h + "self_attn.k_norm")
        if positions(a, i):
            n = rotary(a)
            cos, sin = angles(a, T, i)

            def turn(x):
                first, second, rest = x[..., : n // 2], x[..., n // 2 : n], x[..., n:]
                return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], -1)

            q, k = turn(q), turn(k)
        name(block + "attention.query", join(q)), name(block + "attention.key", join(k)), name(block + "attention.value", join(v))
        k, v = (x.repeat_interleave(a.heads // kv, 1) for x in (k, v))
        att = q @ k.transpose(-1, -2) / math.sqrt(a.query_scalar if gemma(a) else size)
        if a.family == GEMMA2:
            att = 50 * torch.tanh(att / 50)
        apart = torch.arange(T)[:, None] - torch.arange(T)
        hidden = (apart < 0) | ((apart >= a.window) if sliding(a, i) else torch.zeros(T, T).bool())
        att = att.masked_fill(hidden, -math.inf)
        if a.family == OSS:
            sink = w[h + "self_attn.sinks"].view(1, -1, 1, 1).expand(B, -1, T, 1)
            att = torch.cat([att, sink], -1).softmax(-1)[..., :-1]
        else:
            att = att.softmax(-1)
        y = name(block + "attention.heads", join(name(block + "attention.probs", att) @ v))
        return linear(y, h + ("attention.dense" if neox else "self_attn.o_proj"))

    def mlp(x, h, block):
        if a.family == OSS:
            scores, ids = linear(x, h + "mlp.router").topk(a.chosen, -1)
            e = h + "mlp.experts."
            y = 0
            for c in range(a.chosen):
                of = lambda name: w[e + name][ids[..., c]]
                both = (x.unsqueeze(-2) @ of("gate_up_proj")).squeeze(-2) + of("gate_up_proj_bias")
                gate, up = both[..., 0::2].clamp(max=7), both[..., 1::2].clamp(-7, 7)
                inner = (up + 1) * gate * torch.sigmoid(1.702 * gate)
                y = y + scores.softmax(-1)[..., c : c + 1] * ((inner.unsqueeze(-2) @ of("down_proj")).squeeze(-2) + of("down_proj_bias"))
            return y
        if neox:
            return linear(name(block + "mlp.hidden", F.gelu(linear(x, h + "mlp.dense_h_to_4h"))), h + "mlp.dense_4h_to_h")
        if a.family == PHI3:
            gate, up = linear(x, h + "mlp.gate_up_proj").chunk(2, -1)
        else:
            gate, up = linear(x, h + "mlp.gate_proj"), linear(x, h + "mlp.up_proj")
        if gemma(a):
            gate = 0.5 * gate * (1 + torch.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)))
        else:
            gate = F.silu(gate)
        return linear(name(block + "mlp.hidden", gate * up), h + "mlp.down_proj")

    x = w["gpt_neox.embed_in.weight" if neox else "model.embed_tokens.weight"][ids]
    if gemma(a):
        x = x * math.sqrt(a.width)
    for i in range(a.layers):
        h, block = ("gpt_neox" if neox else "model") + f".layers.{i}.", f"blocks.{i}."
        x = name(f"hidden.{i}", x)
        if olmo(a):
            added = norm(attention(i, x, h, block), h + "post_attention_layernorm")
            x = name(block + "middle", x + name(block + "attention.output", added))
            x = x + name(block + "mlp.output", norm(mlp(x, h, block), h + "post_feedforward_layernorm"))
            continue
        added = attention(i, norm(x, h + "input_layernorm"), h, block)
        if gemma(a):
            added = norm(added, h + "post_attention_layernorm")
            x = name(block + "middle", x + name(block + "attention.output", added))
            added = norm(mlp(norm(x, h + "pre_feedforward_layernorm"), h, block), h + "post_feedforward_layernorm")
            x = x + name(block + "mlp.output", added)
            continue
        middle = name(block + "middle", x + name(block + "attention.output", added))
        read = x if neox and not a.sequential else middle
        x = middle + name(block + "mlp.output", mlp(norm(read, h + "post_attention_layernorm"), h, block))
    x = name(f"hidden.{a.layers}", x)
    x = name("hidden.final", norm(x, "gpt_neox.final_layer_norm" if neox else "model.norm"))
    head = "embed_out.weight" if neox else "model.embed_tokens.weight" if a.tied else "lm_head.weight"
    logits = product(x, w[head].T)
    return 30 * torch.tanh(logits / 30) if a.family == GEMMA2 else logits


def config(a):
    kv, size = sizes(a)
    c = dict(architectures=[CLASSES[a.family] + "ForCausalLM"], model_type=a.family, hidden_size=a.width, intermediate_size=a.inner,
             num_hidden_layers=a.layers, num_attention_heads=a.heads, max_position_embeddings=a.context, vocab_size=a.vocab,
             initializer_range=0.02, attention_dropout=0.0, use_cache=True, tie_word_embeddings=a.tied,
             bos_token_id=a.vocab - 2, eos_token_id=[a.vocab - 1, a.vocab - 3], torch_dtype="float32")
    if a.family == NEOX:
        c.update(hidden_act="gelu", layer_norm_eps=a.epsilon, rotary_pct=a.partial, rotary_emb_base=a.theta, use_parallel_residual=not a.sequential,
                 attention_bias=True, hidden_dropout=0.0, rope_scaling=None)
        return c
    c.update(num_key_value_heads=kv, rms_norm_eps=a.epsilon)
    c["hidden_activation" if gemma(a) else "hidden_act"] = "gelu_pytorch_tanh" if gemma(a) else "silu"
    if a.head_size:
        c["head_dim"] = size
    if a.window or a.family in (MISTRAL, PHI3):
        c["sliding_window"] = a.window
    if a.family in (QWEN2, QWEN3):
        c.update(use_sliding_window=a.window is not None, sliding_window=a.window, max_window_layers=a.full if a.window else a.layers)
    elif a.family == SMOLLM3 and a.window:
        c["use_sliding_window"] = True
    if a.family == OSS:
        c.update(num_local_experts=a.experts, num_experts_per_tok=a.chosen, experts_per_token=a.chosen, attention_bias=True, swiglu_limit=7.0,
                 initial_context_length=a.original, output_router_logits=False, router_aux_loss_coef=0.9)
        if a.blocks:
            c["quantization_config"] = dict(quant_method="mxfp4", modules_to_not_convert=["model.layers.*.self_attn", "lm_head"])
    if a.types and a.family == SMOLLM3:
        c["no_rope_layers"] = [int(positions(a, i)) for i in range(a.layers)]
    elif a.types:
        c["layer_types"] = [("sliding" if sliding(a, i) else "full") + "_attention" for i in range(a.layers)]
    if gemma(a):
        c["query_pre_attn_scalar"] = a.query_scalar
        c.update(attn_logit_softcapping=50.0 if a.family == GEMMA2 else None, final_logit_softcapping=30.0 if a.family == GEMMA2 else None)
    if a.partial != 1:
        c["partial_rotary_factor"] = a.partial
    rope = {}
    if a.scaling == "longrope":
        rope = dict(type="longrope", short_factor=factors(a)[0], long_factor=factors(a)[1])
        c["original_max_position_embeddings"] = a.original
    elif a.scaling:
        rope = dict(rope_type=a.scaling, factor=a.factor)
        if a.scaling == "yarn":
            rope.update(original_max_position_embeddings=a.original, beta_fast=32.0, beta_slow=1.0)
        if a.family == OSS and a.scaling:
            rope["truncate"] = False
        if a.attention_factor:
            rope["attention_factor"] = a.attention_factor
    if a.rope == "new":
        rope = dict(dict(rope_type="default"), rope_theta=a.theta, **{k: v for k, v in rope.items() if k != "rope_type"}) | (
            {"rope_type": rope["rope_type"]} if "rope_type" in rope else {})
        if a.family in (GEMMA3, OLMO3):
            local = a.local if a.family == GEMMA3 else a.theta
            rope = dict(full_attention=rope, sliding_attention=dict(rope_type="default", rope_theta=local))
        c["rope_parameters"] = rope
        return c
    c["rope_theta"], c["rope_scaling"] = a.theta, rope or None
    if a.family == GEMMA3:
        c["rope_local_base_freq"] = a.local
    return c
