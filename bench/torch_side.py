"""PyTorch's side of the benchmarks: eager mode, the plain way a PyTorch user writes each step.

Reads lines from stdin: `run N` does N steps and answers with their seconds, `end` answers with the peak resident memory.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F
from torch_cnn import Cnn

threads, case = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(threads)
torch.manual_seed(0)


class Block(nn.Module):
    """A pre-LayerNorm transformer block."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        h = self.norm1(x)
        q, k, v = (f(h).unflatten(2, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


def batches(size, classes, *shape):
    """Shuffled batches of a data set in memory."""
    data, labels, order = torch.randn(1024, *shape), torch.randint(classes, (1024,)), torch.randperm(1024)
    step = 0
    while True:
        positions = order[step * size % 1024 : step * size % 1024 + size]
        yield data[positions], labels[positions]
        step += 1


LANGUAGE = {"minilm", "deberta", "smollm2"}


def prepared(name, keeps=False):
    """A network, a function that computes its loss on the next batch, and its optimizer."""
    if name in LANGUAGE:
        import torch_language

        return torch_language.prepared(name, keeps)
    if name == "cnn":
        net = Cnn(5)
        source, optimizer = batches(64, 5, 1, 28, 28), torch.optim.AdamW(net.parameters(), 1e-3)
    else:
        import torchvision

        net = torchvision.models.resnet18(num_classes=10)
        if name == "resnet18-cifar":
            net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
        source, optimizer = batches(32, 10, 3, 32, 32), torch.optim.SGD(net.parameters(), 1e-3)

    def loss():
        x, labels = next(source)
        return F.cross_entropy(net(x), labels)

    return net, loss, optimizer


def alpha_of(name):
    """Weight of the retain loss of a lock."""
    return 0.99 if name in LANGUAGE else 0.1


def train_step(name):
    _, next_loss, optimizer = prepared(name)

    def step():
        optimizer.zero_grad()
        loss = next_loss()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def transformer_step(kind):
    net = nn.Sequential(*(Block(256, 4, 1024) for _ in range(4)))
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4) if kind == "adamw" else torch.optim.SGD(net.parameters(), 1e-3)
    x, target = torch.randn(16, 64, 256), torch.randn(16, 64, 256)

    def step():
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def restart(net):
    """Locked for thousands of steps on noise, weights overflow: a function that begins again every 100 steps."""
    start, calls = [p.detach().clone() for p in net.parameters()], 0

    def count():
        nonlocal calls
        if calls % 100 == 0:
            with torch.no_grad():
                for p, first in zip(net.parameters(), start):
                    p.copy_(first)
        calls += 1

    return count


def literal_step(name, k=4):
    """Algorithm 1 as written: torch.linalg.svd through autograd."""
    net, next_loss, optimizer = prepared(name, keeps=True)
    matrices, begin, alpha = [p for p in net.parameters() if p.dim() >= 2], restart(net), alpha_of(name)

    def step():
        begin()
        optimizer.zero_grad()
        sigma = torch.cat([torch.linalg.svd(w.flatten(1), full_matrices=False).S[:k] for w in matrices])
        loss = alpha * next_loss() - (1 - alpha) * sigma.mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def subspace_step(name, k=4, guard=4):
    """The same with weightlock's method: one warm block iteration a step, the gradient by hand."""
    net, next_loss, optimizer = prepared(name, keeps=True)
    matrices, begin, alpha = [p for p in net.parameters() if p.dim() >= 2], restart(net), alpha_of(name)
    bases = [torch.randn(w.flatten(1).shape[1], min(k + guard, *w.flatten(1).shape)) for w in matrices]
    count = sum(min(k, *w.flatten(1).shape) for w in matrices)

    def step():
        begin()
        optimizer.zero_grad()
        retain = alpha * next_loss()
        retain.backward()
        total = 0.0
        with torch.no_grad():
            for i, w in enumerate(matrices):
                m = w.flatten(1)
                q, _ = torch.linalg.qr(m @ bases[i])
                p, r = torch.linalg.qr(m.T @ q)
                a, s, b = torch.linalg.svd(r)
                bases[i] = p @ a
                total += s[:k].sum()
                w.grad.view_as(m).addmm_(q @ b.T[:, :k], bases[i][:, :k].T, alpha=-(1 - alpha) / count)
        optimizer.step()
        return retain.item() - float((1 - alpha) * total / count)

    return step


def language_step(kind):
    """A step of torch_language, which needs transformers."""

    def make(name):
        import torch_language

        return {
            "svd": torch_language.svd_step,
            "svdvals": lambda name: torch_language.svd_step(name, values_only=True),
            "generate": torch_language.generate_step,
        }[kind](name)

    return make


kind, _, name = case.partition(":")
step = {
    **{kind: language_step(kind) for kind in ("svd", "svdvals", "generate")},
    "train": train_step,
    "transformer": transformer_step,
    "literal": literal_step,
    "subspace": subspace_step,
}[kind](name)


def peak_bytes():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


print(json.dumps({"version": f"PyTorch {torch.__version__}"}), flush=True)
for line in sys.stdin:
    if line.startswith("end"):
        print(json.dumps({"peakBytes": peak_bytes()}), flush=True)
        break
    count = int(line.split()[1])
    start = time.perf_counter()
    for _ in range(count):
        loss = step()
    print(json.dumps({"seconds": time.perf_counter() - start, "loss": loss}), flush=True)
