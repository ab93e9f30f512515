"""PyTorch's training of a GPT-2, for peer_torch.py: modules, autograd, AdamW."""
import inspect
import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    def __init__(self, width, inner, heads, eps):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.c_attn, self.attn_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_proj = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x, future):  # [batch, time, width]
        b, t, width = x.shape
        qkv = self.c_attn(self.ln_1(x)).view(b, t, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [batch, heads, time, head] each
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = (q @ k.transpose(-2, -1)) * (1 / math.sqrt(width // self.heads))
            y = scores.masked_fill(future, -math.inf).softmax(-1) @ v
        x = x + self.attn_proj(y.transpose(1, 2).reshape(b, t, width))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT(nn.Module):
    """A GPT-2 of config.json's shape with the weights of peer_torch.read."""

    def __init__(self, config, weights, time, recompute):
        super().__init__()
        width, self.recompute = config["n_embd"], recompute
        inner, eps = weights["h.0.mlp.c_fc.bias"].numel(), config["layer_norm_epsilon"]
        self.wte = nn.Embedding(*weights["wte.weight"].shape)
        self.wpe = nn.Embedding(*weights["wpe.weight"].shape)
        self.h = nn.ModuleList(Block(width, inner, config["n_head"], eps) for _ in range(config["n_layer"]))
        self.ln_f = nn.LayerNorm(width, eps)
        self.lm_head = nn.Linear(*reversed(self.wte.weight.shape), bias=False)
        if "lm_head.weight" not in weights:
            self.lm_head.weight = self.wte.weight
        self.register_buffer("future", torch.ones(time, time).triu(1).bool())
        names = {"attn.c_attn": "c_attn", "attn.c_proj": "attn_proj", "mlp.c_fc": "c_fc", "mlp.c_proj": "mlp_proj"}
        state = {"future": self.future}
        for name, x in weights.items():
            for theirs, ours in names.items():
                name = name.replace("." + theirs + ".", "." + ours + ".")
            state[name] = x
        state.setdefault("lm_head.weight", state["wte.weight"])
        self.load_state_dict(state)

    def forward(self, ids, targets):  # [batch, time] each
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.h:
            if self.recompute:
                x = checkpoint(block, x, self.future, use_reentrant=False)
            else:
                x = block(x, self.future)
        scores = self.lm_head(self.ln_f(x))
        return F.cross_entropy(scores.flatten(0, 1), targets.flatten())


def adamw(groups, device, **options):
    """AdamW, the fastest that this PyTorch has, and what that is called."""
    if "fused" in inspect.signature(torch.optim.AdamW.__init__).parameters:
        try:
            return torch.optim.AdamW(groups, fused=True, **options), "fused AdamW"
        except RuntimeError:  # not on this device
            pass
    return torch.optim.AdamW(groups, foreach=True, **options), "foreach AdamW"


class Trainer:
    """Steps: forward, backward, clipping and AdamW."""

    def __init__(self, config, weights, device, request):
        self.device, self.clip = device, request["clip"]
        self.shape = (request["accumulate"], request["batch"], request["time"])
        self.model = GPT(config, weights, request["time"], request["recompute"]).to(device).train()
        self.parameters = list(self.model.parameters())
        groups = [
            {"params": [p for p in self.parameters if p.dim() > 1], "weight_decay": request["decay"]},
            {"params": [p for p in self.parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimizer, name = adamw(
            groups, device, lr=request["rate"], betas=(request["beta1"], request["beta2"]), eps=request["epsilon"]
        )
        torch.backends.cuda.matmul.allow_tf32 = False  # as ours: f32, and products of f32
        self.mixed = request["dtype"] == "f16"
        scaler = torch.amp.GradScaler if hasattr(torch.amp, "GradScaler") else torch.cuda.amp.GradScaler
        self.scaler = scaler(enabled=self.mixed)
        attention = "scaled_dot_product_attention" if hasattr(F, "scaled_dot_product_attention") else "explicit attention"
        precision = "autocast to f16, GradScaler" if self.mixed else "f32 without TF32 or AMP"
        self.info = "%s, %s, %s" % (precision, name, attention)
        self.compiled = self.model
        if device.type == "cuda":
            self.compile()

    def compile(self):
        if not hasattr(torch, "compile"):
            self.info += ", not compiled: this PyTorch has no torch.compile"
            return
        try:
            self.compiled = torch.compile(self.model)
            ids = torch.zeros(self.shape[1:], dtype=torch.long, device=self.device)
            self.loss(ids, ids).backward()
            self.info += ", torch.compile"
        except Exception as e:  # it needs a compiler, and Triton
            self.compiled = self.model
            self.info += ", not compiled: torch.compile failed with %s" % type(e).__name__
        self.optimizer.zero_grad(set_to_none=True)

    def loss(self, ids, targets):
        if not self.mixed:
            return self.compiled(ids, targets)
        with torch.autocast(self.device.type, torch.float16):
            return self.compiled(ids, targets)

    def steps(self, ids, targets, n):
        """Learns the same batches n times; the loss before each of the steps."""
        ids = torch.tensor(ids).view(self.shape).to(self.device)
        targets = torch.tensor(targets).view(self.shape).to(self.device)
        losses = []
        for _ in range(n):
            total = 0
            for x, y in zip(ids, targets):
                loss = self.loss(x, y) / len(ids)
                self.scaler.scale(loss).backward()
                total = total + loss.detach()
            if self.mixed:
                self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad(set_to_none=True)
            losses.append(total)
        return torch.stack(losses).tolist()  # waits for the device

    def peak(self):
        """The most memory so far, in bytes: of the process, and of the device."""
        host = 0
        try:
            with open("/proc/self/status") as f:
                host = next(int(line.split()[1]) << 10 for line in f if line.startswith("VmHWM"))
        except (OSError, StopIteration):
            pass  # not Linux
        return host, torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else 0
