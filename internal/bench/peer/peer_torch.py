"""PyTorch as a peer of bench: GPT-2 as one would write it with PyTorch for speed.

Requests are lines of JSON on standard input, replies on standard output:
process.go tells which. Keys and values lie in a static cache. On a GPU a
pass is a CUDA graph, which spares the launching of each kernel. Training is in
peer_torch_train.py.
"""
import json
import math
import mmap
import re
import struct
import sys
import time

try:
    import torch
    from torch.nn import functional as F
except ImportError as e:
    torch, missing = None, e


class GPT:
    def __init__(self, path, dtype, device):
        with open(path + "/config.json") as f:
            config = json.load(f)
        self.heads, self.eps = config["n_head"], config["layer_norm_epsilon"]
        self.layers, self.width = config["n_layer"], config["n_embd"]
        self.dtype, self.device = dtype, device
        self.w = read(path, dtype, device)
        self.head = self.w.get("lm_head.weight", self.w["wte.weight"])

    def cache(self, size):  # [layers, key or value, heads, size, head]
        shape = (self.layers, 2, self.heads, size, self.width // self.heads)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    def norm(self, x, name):
        return F.layer_norm(x, (self.width,), self.w[name + ".weight"], self.w[name + ".bias"], self.eps)

    def linear(self, x, name):
        w, bias = self.w[name + ".weight"], self.w[name + ".bias"]
        if len(x) == 1 and not x.is_cuda:  # several times as fast as linear in builds without MKL
            return torch.addmv(bias, w, x[0])[None]
        return F.linear(x, w, bias)

    def forward(self, ids, at, cache, seen):
        """The likeliest token after ids, which stand at places at.

        seen is how many places of the cache are looked at. Where it is more
        than ids have filled, what lies behind the last of them is masked.
        """
        x = self.w["wte.weight"][ids] + self.w["wpe.weight"][at]  # [time, width]
        n = len(ids)
        mask = None
        if n > 1 or x.is_cuda:
            mask = torch.arange(seen, device=x.device) <= at[:, None]  # [time, seen]
        for i in range(self.layers):
            h = "h.%d." % i
            qkv = self.linear(self.norm(x, h + "ln_1"), h + "attn.c_attn")
            q, k, v = qkv.view(n, 3, self.heads, -1).permute(1, 2, 0, 3)  # [heads, time, head] each
            keys, values = cache[i]
            keys.index_copy_(1, at, k)
            values.index_copy_(1, at, v)
            y = attend(q, keys[:, :seen], values[:, :seen], mask)
            x = x + self.linear(y.transpose(0, 1).reshape(n, self.width), h + "attn.c_proj")
            up = F.gelu(self.linear(self.norm(x, h + "ln_2"), h + "mlp.c_fc"), approximate="tanh")
            x = x + self.linear(up, h + "mlp.c_proj")
        return torch.mv(self.head, self.norm(x[-1], "ln_f")).argmax()


def attend(q, k, v, mask):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask)[0]
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1) @ v


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
        x = x.view(t["shape"])
        if name.startswith("h.") and x.dim() > 1:
            x = x.t()  # [out, in], as linear wants it
        tensors[name] = x.to(device, dtype).contiguous()
    return tensors


class Passes:
    """Passes over ids, so many at a time, on a CPU."""

    def __init__(self, model, chunk, total):
        self.model, self.cache = model, model.cache(total)

    def next(self, ids, at):
        places = torch.arange(at, at + len(ids))
        return self.model.forward(torch.tensor(ids), places, self.cache, at + len(ids)).item()


class Graphs:
    """The same on a GPU: one pass, recorded."""

    def __init__(self, model, chunk, total):
        device = model.device
        cache = model.cache(total)
        self.ids = torch.zeros(chunk, dtype=torch.long, device=device)
        self.at = torch.arange(chunk, device=device)
        self.steps = torch.arange(chunk, device=device)
        side = torch.cuda.Stream()  # where libraries make ready what a graph must not record
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                model.forward(self.ids, self.at, cache, total)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.token = model.forward(self.ids, self.at, cache, total)

    def next(self, ids, at):
        self.ids.copy_(torch.tensor(ids))
        torch.add(self.steps, at, out=self.at)
        self.graph.replay()
        return self.token.item()


class Peer:
    def start(self, request):
        if torch is None:
            return {"absent": "%s has no PyTorch: %s" % (sys.executable, missing)}
        self.device, name = torch.device("cpu"), "CPU"
        found = dict(re.findall(r"(CPU capability usage|BLAS_INFO)[:=] ?(\w+)", torch.__config__.show()))
        info = ", ".join("%s %s" % x for x in found.items())
        if request["gpu"]:
            name = request["gpu"]
            names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
            if name not in names:
                return {"absent": "PyTorch finds %s, expected %s" % (", ".join(names) or "no CUDA device", name)}
            self.device = torch.device("cuda", names.index(name))
            torch.cuda.set_device(self.device)
            info = "CUDA %s" % torch.version.cuda
        return {"name": "PyTorch", "version": torch.__version__, "device": name, "info": info}

    def load(self, request):
        torch.set_num_threads(request["threads"])
        dtype = {"f32": torch.float32, "f16": torch.float16}[request["dtype"]]
        with torch.inference_mode():
            self.model, self.passes = GPT(request["model"], dtype, self.device), {}
        info = "static cache, CUDA graphs" if self.device.type == "cuda" else "static cache"
        return {"threads": torch.get_num_threads(), "info": info}

    def run(self, request):
        with torch.inference_mode():
            return self.timed(request["ids"], request["chunk"])

    def timed(self, ids, chunk):
        size = (chunk, len(ids))
        if size not in self.passes:
            self.passes[size] = (Graphs if self.device.type == "cuda" else Passes)(self.model, *size)
        passes = self.passes[size]
        start = time.perf_counter_ns()
        for at in range(0, len(ids), chunk):
            token = passes.next(ids[at : at + chunk], at)
        return {"ns": time.perf_counter_ns() - start, "token": token}

    def train(self, request):
        from peer_torch_train import Trainer

        torch.set_num_threads(request["threads"])
        path = request["model"]
        with open(path + "/config.json") as f:
            config = json.load(f)
        self.trainer = Trainer(config, read(path, torch.float32, self.device), self.device, request)
        return {"threads": torch.get_num_threads(), "info": self.trainer.info}

    def steps(self, request):
        start = time.perf_counter_ns()
        losses = self.trainer.steps(request["ids"], request["targets"], request["steps"])
        ns = time.perf_counter_ns() - start
        host, device = self.trainer.peak()
        return {"ns": ns, "losses": losses, "peak_rss": host, "peak_device": device}


def main():
    peer = Peer()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(peer, request["command"])(request)
        except Exception as e:
            reply = {"error": "%s: %s" % (type(e).__name__, e)}
        print(json.dumps(reply), flush=True)


main()
