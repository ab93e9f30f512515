"""PyTorch's training, for peer_torch.py: modules, autograd, AdamW."""
import functools
import inspect
import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Net(nn.Module):
    """A model that learns: embed makes vectors of ids, blocks, norm and lm_head scores
    of these."""

    recompute = False

    def forward(self, ids, targets):  # [batch, time] each
        x = self.embed(ids)  # [batch, time, width]
        for block in self.blocks():
            x = checkpoint(block, x, use_reentrant=False) if self.recompute else block(x)
        scores = self.lm_head(self.norm(x))
        return F.cross_entropy(scores.flatten(0, 1), targets.flatten())


@functools.lru_cache(1)
def future(time, device):
    return torch.ones(time, time, dtype=torch.bool, device=device).triu(1)


def causal(q, k, v):  # [batch, heads, time, size] each
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = (q @ k.transpose(-2, -1)) * (1 / math.sqrt(q.shape[-1]))
    return scores.masked_fill(future(q.shape[-2], q.device), -math.inf).softmax(-1) @ v


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

    def __init__(self, net, device, request):
        self.device, self.clip = device, request["clip"]
        self.shape = (request["accumulate"], request["batch"], request["time"])
        self.model = net.to(device).train()
        net.recompute = request["recompute"]
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
