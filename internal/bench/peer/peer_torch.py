"""PyTorch as a peer of bench: GPTs as one would write them with PyTorch for speed.

Requests are lines of JSON on standard input, replies on standard output:
process.go tells which. Keys and values lie in a static cache. On a GPU a
pass is a CUDA graph, which spares the launching of each kernel. Models are in
peer_torch_model.py, training is in peer_torch_train.py.
"""
import json
import re
import sys
import time

try:
    import torch
    from peer_torch_model import Unsupported, family, read
except ImportError as e:
    torch, missing = None, e


class Passes:
    """Passes over ids, so many at a time, on a CPU."""

    def __init__(self, model, chunk, total):
        self.model, self.chunk, self.cache = model, chunk, model.cache(total)

    def run(self, ids):
        """The likeliest token after all of the ids."""
        for at in range(0, len(ids), self.chunk):
            part = ids[at : at + self.chunk]
            places = torch.arange(at, at + len(part))
            token = self.model.forward(torch.tensor(part), places, self.cache, at + len(part)).item()
        return token


class Graphs:
    """The same on a GPU: one pass, recorded, which reads ids of the device and
    counts on, so that the device never waits for the host between passes."""

    def __init__(self, model, chunk, total):
        device, self.passes = model.head.device, total // chunk
        cache = model.cache(total)
        self.feed = torch.zeros(total, dtype=torch.long, device=device)
        self.begin = torch.arange(chunk, device=device)
        self.at = self.begin.clone()

        def step():
            token = model.forward(self.feed[self.at], self.at, cache, total)
            self.at.add_(chunk)
            return token

        side = torch.cuda.Stream()  # where libraries make ready what a graph must not record
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.at.copy_(self.begin)
                step()
            self.at.copy_(self.begin)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.token = step()

    def run(self, ids):
        self.feed.copy_(torch.tensor(ids))
        self.at.copy_(self.begin)
        for _ in range(self.passes):
            self.graph.replay()
        return self.token.item()


def cuda(gpu):
    """The number of the CUDA device that Vulkan calls gpu. Names differ in what
    drivers add in brackets: AMD Radeon RX 7900 XTX (RADV NAVI31)."""
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    for want in gpu, re.sub(r"\s*\(.*\)$", "", gpu):
        if want in names:
            return names.index(want), names
    return None, names


class Peer:
    def start(self, request):
        if torch is None:
            return {"absent": "%s has no PyTorch: %s" % (sys.executable, missing)}
        self.device, name = torch.device("cpu"), "CPU"
        found = dict(re.findall(r"(CPU capability usage|BLAS_INFO)[:=] ?(\w+)", torch.__config__.show()))
        info = ", ".join("%s %s" % x for x in found.items())
        if request["gpu"]:
            i, names = cuda(request["gpu"])
            if i is None:
                return {"absent": "PyTorch finds %s, expected %s" % (", ".join(names) or "no CUDA device", request["gpu"])}
            name, self.device = names[i], torch.device("cuda", i)
            torch.cuda.set_device(self.device)
            info = "ROCm %s" % torch.version.hip if getattr(torch.version, "hip", None) else "CUDA %s" % torch.version.cuda
        return {"name": "PyTorch", "version": torch.__version__, "device": name, "info": info}

    def load(self, request):
        torch.set_num_threads(request["threads"])
        dtype = {"f32": torch.float32, "f16": torch.float16}[request["dtype"]]
        module, config = family(request["model"])
        with torch.inference_mode():
            weights = read(request["model"], dtype, self.device)
            self.model, self.passes = module.Model(config, weights, request["context"]), {}
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
        token = passes.run(ids)
        return {"ns": time.perf_counter_ns() - start, "token": token}

    def train(self, request):
        from peer_torch_train import Trainer

        torch.set_num_threads(request["threads"])
        module, config = family(request["model"])
        net = module.Net(config, read(request["model"], torch.float32, self.device), request["time"])
        self.trainer = Trainer(net, self.device, request)
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
        except Unsupported as e:
            reply = {"unsupported": str(e)}
        except Exception as e:
            reply = {"error": "%s: %s" % (type(e).__name__, e)}
        print(json.dumps(reply), flush=True)


main()
