"""What can be seen inside a GPT, for reference.py: the tensors of inspect.safetensors, which its head lists."""
import torch
import torch.nn.functional as F


def look(a, family, w, ids):
    with torch.no_grad():
        return Look(a, family, w, ids).out


class Look:
    """the figures of the batch's first sequence"""

    def __init__(self, a, family, w, ids):
        self.a, self.family, self.w = a, family, w
        self.parts = family.parts(a, w)
        self.ids, self.last = ids[0], ids.shape[1] - 1
        self.seen = self.run(self.ids)
        self.out = {name: x for name, x in self.seen.items() if name.startswith("blocks.") and not name.endswith("probs")}
        for view in (self.lens, self.attribution, self.without, self.weighted, self.next, self.embed, self.context, self.mlp):
            view()

    def run(self, ids, edit=lambda name, x: x):
        """every named value of one sequence, without the batch's axis, and the logits"""
        seen = {}

        def name(name, x):
            seen[name] = edit(name, x)
            return seen[name]

        seen["logits"] = self.family.forward(self.a, self.w, ids[None], lambda x, w, bias=0: x @ w + bias, name)
        return {k: x[0] for k, x in seen.items()}

    def tokens(self, first, n):
        """n different tokens, or all that there are"""
        return [(7 * k + 3) % self.a.vocab for k in range(first, first + min(n, self.a.vocab))]

    def lens(self):
        small = (self.last + 1) * self.a.vocab < 10000
        at = list(range(self.last + 1)) if small else [0, 1, self.last // 2, self.last]
        self.out["lens.positions"] = torch.tensor(at)
        for i in range(self.a.layers + 1):
            x = self.seen[f"hidden.{i}"][at]
            self.out[f"lens.{i}"] = self.family.final(self.a, self.w, x) @ self.parts["unembedding"].T

    def heads_out(self, i, x):
        """of the last axis, each head's slice times its rows of the output matrix: [..., heads, width]"""
        x = x.unflatten(-1, (self.a.heads, -1))
        return torch.einsum("...hs,hsw->...hw", x, self.parts["blocks"][i]["out"].unflatten(0, (self.a.heads, -1)))

    def attribution(self):
        p, seen = self.parts, self.seen
        positions = [self.last, self.last // 2]
        tokens = [int(seen["logits"][self.last].argmax()), int(self.ids[self.last // 2 + 1])]
        zero, results = torch.zeros(self.a.width), []
        for at, token in zip(positions, tokens):
            rows = [p["embedding"][self.ids[at]], zero if p["position"] is None else p["position"][at]]
            for i, block in enumerate(p["blocks"]):
                rows += self.heads_out(i, seen[f"blocks.{i}.attention.heads"][at])
                rows.append(zero if block["out_bias"] is None else block["out_bias"])
                rows.append(seen[f"blocks.{i}.mlp.hidden"][at] @ block["down"])
                rows.append(zero if block["down_bias"] is None else block["down_bias"])
            rows, x = torch.stack(rows), seen[f"hidden.{self.a.layers}"][at]
            assert (rows.sum(0) - x).abs().max() < 1e-9
            if p["centred"]:
                rows, x = (y - y.mean(-1, keepdim=True) for y in (rows, x))
            scale = (x.square().mean() + p["epsilon"]).sqrt()
            row = p["unembedding"][token]
            shift = zero if p["shift"] is None else p["shift"]
            result = torch.cat([rows / scale * p["gain"] @ row, (shift @ row)[None]])
            assert (result.sum() - seen["logits"][at, token]).abs() < 1e-9
            results.append(result)
        self.out["attribution.positions"] = torch.tensor(positions)
        self.out["attribution.tokens"] = torch.tensor(tokens)
        self.out["attribution"] = torch.stack(results)

    def without(self):
        def off(*names):
            return self.run(self.ids, lambda name, x: x * 0 if name in names else x)["logits"][self.last]

        def without_head(i, h):
            def edit(name, x):
                if name != f"blocks.{i}.attention.heads":
                    return x
                x = x.unflatten(-1, (self.a.heads, -1)).clone()
                x[..., h, :] = 0
                return x.flatten(-2)

            return self.run(self.ids, edit)["logits"][self.last]

        for i in range(self.a.layers):
            attention, mlp = f"blocks.{i}.attention.output", f"blocks.{i}.mlp.output"
            for h in {0, self.a.heads - 1}:
                self.out[f"without.{i}.head.{h}"] = without_head(i, h)
            self.out[f"without.{i}.attention"] = off(attention)
            self.out[f"without.{i}.mlp"] = off(mlp)
            self.out[f"without.{i}.block"] = off(attention, mlp)

    def carried(self, seen, i):
        """what each head would write for the value of each position: v[j] @ out[h], [heads, time, width]"""
        v = seen[f"blocks.{i}.attention.value"].unflatten(-1, (self.parts["kv_heads"], -1))
        v = v.repeat_interleave(self.a.heads // self.parts["kv_heads"], -2).flatten(-2)
        return self.heads_out(i, v).transpose(0, 1)

    def contributions(self, seen, i):
        """how long what a head takes from a position is: probs[h, t, j] * |v[j] @ out[h]|, [heads, time, time]"""
        return seen[f"blocks.{i}.attention.probs"] * self.carried(seen, i).norm(dim=-1)[:, None]

    def weighted(self):
        for i in range(self.a.layers):
            self.out[f"weighted.{i}"] = self.contributions(self.seen, i)

    def next(self):
        logits = self.seen["logits"]
        logp = logits.log_softmax(-1)
        came = logp[:-1].gather(-1, self.ids[1:, None])
        self.out["next.entropy"] = -(logp.exp() * logp).sum(-1)
        self.out["next.rank"] = (logp[:-1] > came).sum(-1)
        self.out["next.surprise"] = -came[:, 0]
        temperatures = torch.tensor([0.5, 1.0, 2.0])
        top = (logits / temperatures[:, None, None]).softmax(-1).topk(5)
        self.out["next.temperatures"] = temperatures
        self.out["next.ids"], self.out["next.probabilities"] = top.indices, top.values

    def embed(self):
        e, out = self.parts["embedding"], self.out
        cosines = lambda x: F.cosine_similarity(x[..., None, :], e, dim=-1)
        some = self.tokens(0, 3)
        out["embed.tokens"], out["embed.cosines"] = torch.tensor(some), cosines(e[some])

        plus, minus, to = self.tokens(3, 3)
        direction = e[plus] - e[minus]
        near = cosines(direction + e[to])
        out["embed.direction"] = torch.tensor([plus, minus, to])
        out["embed.direction.cosines"], out["embed.direction.nearest"] = near, near.topk(10).indices
        some = self.tokens(6, 8)
        out["embed.projected"], out["embed.projections"] = torch.tensor(some), e[some] @ direction / direction.norm()

        some = self.tokens(0, 12)
        x = e[some] - e[some].mean(0)
        _, s, components = torch.linalg.svd(x)
        points = x @ components[:2].T
        assert (points[0].abs() > points.abs().amax(0) / 1000).all()
        out["embed.map"], out["embed.map.points"] = torch.tensor(some), points * points[0].sign()
        out["embed.map.share"] = (s.square() / s.square().sum())[:2]

    def context(self):
        first = self.ids
        other = self.ids.flip(0)[:-1].clone()
        at, there = self.last - 1, self.last // 2
        other[there] = first[at]
        seen, others = self.run(first), self.run(other)
        pairs = [(seen[f"hidden.{i}"][at], others[f"hidden.{i}"][there]) for i in range(self.a.layers + 1)]
        out = self.out
        out["context.first"], out["context.second"] = first, other
        out["context.positions"] = torch.tensor([at, there])
        out["context.cosine"] = torch.stack([1 - F.cosine_similarity(x, y, dim=0) for x, y in pairs])
        out["context.euclidean"] = torch.stack([(x - y).norm() for x, y in pairs])
        for name, s, p, t, q in ("first", seen, at, others, there), ("second", others, there, seen, at):
            weights, taken, away = [], [], []
            for i in range(self.a.layers):
                weights.append(self.contributions(s, i)[:, p, : p + 1].sum(0))
                probs = s[f"blocks.{i}.attention.probs"][:, p, : p + 1]
                taken.append(torch.einsum("hj,hjw->jw", probs, self.carried(s, i)[:, : p + 1]))
                apart = s[f"hidden.{i + 1}"][p] - t[f"hidden.{i + 1}"][q]
                away.append(taken[-1] @ apart / apart.norm())
            out[f"context.moved.{name}"] = torch.stack(weights)
            out[f"context.length.{name}"] = torch.stack(taken).norm(dim=-1)
            out[f"context.away.{name}"] = torch.stack(away)

    def mlp(self):
        p, i, at, out = self.parts, self.a.layers // 2, self.last // 2, self.out
        answers = self.seen[f"blocks.{i}.mlp.hidden"][at]
        units = answers.abs().topk(10).indices
        column = p["blocks"][i]["down"][units[0]]
        if p["centred"]:
            column = column - column.mean()
        scores = p["unembedding"] @ (p["gain"] * column)
        out["mlp.layer"], out["mlp.position"] = torch.tensor([i]), torch.tensor([at])
        out["mlp.units"], out["mlp.answers"] = units, answers[units]
        out["mlp.scores"], out["mlp.tokens"] = scores, scores.topk(10).indices
