"""nanoGPT's recipe for a CPU in PyTorch, which `train` is held to.

    OMP_WAIT_POLICY=PASSIVE python3 scripts/nanogpt.py TEXT [SEED [STEPS]]

4 layers, 4 heads, width 128, context 64, batches of 12, a token for each
character, and the rest as nanoGPT's config/train_shakespeare_char.py has it.
The last tenth of the text is for validation; the loss that is printed is the
mean over all of it, in windows of the context. docs/train.md has the command
of ours that does the same.
"""
import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

LAYERS, HEADS, WIDTH, CONTEXT, BATCH = 4, 4, 128, 64, 12
RATE, MIN_RATE, WARM_UP, DECAY, BETAS, CLIP = 1e-3, 1e-4, 100, 0.1, (0.9, 0.99), 1.0


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.register_buffer("future", torch.ones(CONTEXT, CONTEXT).triu(1).bool())

    def forward(self, x):  # [batch, time, width]
        b, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(WIDTH // HEADS)
        p = scores.masked_fill(self.future[:t, :t], -math.inf).softmax(-1)
        x = x + self.out((p @ v).transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if residual else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        scores = self.norm(x) @ self.tokens.weight.T
        return F.cross_entropy(scores.flatten(0, 1), targets.flatten())


def rate(step, steps):
    if step < WARM_UP:
        return RATE * (step + 1) / (WARM_UP + 1)
    return MIN_RATE + (RATE - MIN_RATE) * 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / (steps - WARM_UP)))


@torch.no_grad()
def evaluate(model, data):
    windows = (len(data) - 1) // CONTEXT
    x = data[: windows * CONTEXT].view(windows, CONTEXT)
    y = data[1 : windows * CONTEXT + 1].view(windows, CONTEXT)
    return sum(model(x[i : i + 64], y[i : i + 64]).item() * len(x[i : i + 64]) for i in range(0, windows, 64)) / windows


def main(path, seed=1, steps=2000):
    torch.manual_seed(seed)
    torch.set_num_threads(2)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    ids = {c: i for i, c in enumerate(sorted(set(text)))}
    data = torch.tensor([ids[c] for c in text])
    cut = int(0.9 * len(data))
    training, validation = data[:cut], data[cut:]
    model = GPT(len(ids))
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=RATE, betas=BETAS)
    start = time.time()
    for step in range(steps):
        for g in adamw.param_groups:
            g["lr"] = rate(step, steps)
        at = torch.randint(len(training) - CONTEXT, (BATCH,))
        loss = model(torch.stack([training[i : i + CONTEXT] for i in at]), torch.stack([training[i + 1 : i + 1 + CONTEXT] for i in at]))
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        adamw.step()
        if step % 250 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.4f}, {time.time() - start:.0f} s", flush=True)
    print(f"seed {seed}: {len(ids)} characters, validation loss {evaluate(model, validation):.4f} after {steps} steps")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
