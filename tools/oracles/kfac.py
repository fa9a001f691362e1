"""Writes test/fixtures/kfac.json: steps of K-FAC on a small MLP and a small CNN.

Run: python tools/oracles/kfac.py. In float64 after the formulas of Martens and Grosse (2015) and Grosse and Martens (2016), with
torch.autograd for the gradients at what layers give and unfold for what convolutions read; inverses and Kronecker factors are
dense. Batches and drawn answers are those of weightlock's streams. Arrays are base64 of little-endian float32.
"""

import base64
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

from streams import RandomStream

SEED = 20271127
ORDER_SEED = 4
SIZE, BATCH, CLASSES = 9, 6, 3
torch.set_num_threads(1)
torch.manual_seed(SEED)


def rounded(t):
    return t.float().double()


def pack(t):
    return base64.b64encode(t.detach().numpy().astype("<f4").tobytes()).decode()


def packed(values):
    return {name: pack(value) for name, value in values.items()}


def integer(stream, n):
    limit = 2**32 - 2**32 % n
    value = stream.uint32()
    while value >= limit:
        value = stream.uint32()
    return value % n


def permutation(stream, n):
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = integer(stream, i + 1)
        order[i], order[j] = order[j], order[i]
    return order


def positions(step):
    at = range(step * BATCH, (step + 1) * BATCH)
    return [permutation(RandomStream(ORDER_SEED, "batches", i // SIZE), SIZE)[i % SIZE] for i in at]


def linear(name, p, x, tape):
    s = F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])
    tape.append((name, x, s))
    return s


def conv(name, p, x, tape):
    s = F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"])
    tape.append((name, x, s))
    return s


def mlp(p, x, tape):
    h = x.reshape(len(x), -1)
    h = F.relu(linear("fc1", p, h, tape))
    h = F.relu(linear("fc2", p, h, tape))
    return linear("fc3", p, h, tape)


def cnn(p, x, tape):
    h = F.relu(F.max_pool2d(conv("conv1", p, x, tape), 2))
    h = F.relu(F.max_pool2d(conv("conv2", p, h, tape), 2)).reshape(len(x), -1)
    for i in (1, 2, 3):
        h = F.relu(linear(f"fc{i}", p, h, tape))
    return linear("fc4", p, h, tape)


MODELS = {
    "mlp": {
        "forward": mlp,
        "config": {"input_shape": [7], "num_labels": CLASSES, "hidden_sizes": [6, 5]},
        "input": (7,),
        "shapes": {
            "fc1.weight": (6, 7), "fc1.bias": (6,), "fc2.weight": (5, 6), "fc2.bias": (5,),
            "fc3.weight": (3, 5), "fc3.bias": (3,),
        },
    },
    "cnn": {
        "forward": cnn,
        "config": {"image_size": 16, "num_labels": CLASSES, "channels": [2, 3], "hidden_sizes": [6, 5, 4]},
        "input": (1, 16, 16),
        "shapes": {
            "conv1.weight": (2, 1, 5, 5), "conv1.bias": (2,), "conv2.weight": (3, 2, 5, 5), "conv2.bias": (3,),
            "fc1.weight": (6, 3), "fc1.bias": (6,), "fc2.weight": (5, 6), "fc2.bias": (5,),
            "fc3.weight": (4, 5), "fc3.bias": (4,), "fc4.weight": (3, 4), "fc4.bias": (3,),
        },
    },
}  # fmt: skip


def inputs_of(x, weight):
    """What a layer reads, with the homogeneous coordinate: [examples, places, in + 1]."""
    if weight.dim() == 4:
        rows = F.unfold(x, weight.shape[2:]).transpose(1, 2)
    else:
        rows = x[:, None, :]
    return torch.cat([rows, torch.ones_like(rows[..., :1])], -1)


def outputs_of(g):
    return g.flatten(2).transpose(1, 2) if g.dim() == 4 else g[:, None, :]


def draw(z, step, seed):
    drawn = []
    for row, p in enumerate(torch.softmax(z, -1).tolist()):
        at, left = RandomStream(seed, "answers", step * BATCH + row).uniform(), 0.0
        label = 0
        for label, value in enumerate(p):
            left += value
            if at < left:
                break
        drawn.append(label)
    return torch.tensor(drawn)


def diagonal(matrix, longest, side):
    return matrix if side <= longest else torch.diag(torch.diagonal(matrix))


def run(case, model, start, x, labels, reference):
    o = {"factorDecay": 0.95, "factorPeriod": 1, "inversePeriod": 10, "momentum": 0.9, "klClip": 1e-3, "weightDecay": 0.0}
    o |= {"longest": 2048, "labels": "drawn", "seed": 0} | case["options"]
    task, kl = case["loss"]["task"], case["loss"]["divergence"]
    p = {name: value.clone().requires_grad_() for name, value in start.items()}
    factors, inverses, steps = {}, {}, []
    momentum = {name: torch.zeros_like(value) for name, value in p.items()}
    for step in range(case["steps"]):
        at = positions(step)
        tape = []
        z = model["forward"](p, x[at], tape)

        def loss_at(answers):
            return F.cross_entropy(z, answers)

        loss = task * loss_at(labels[at])
        if kl:
            teacher = F.log_softmax(reference[at], -1)
            loss = loss + kl * F.kl_div(F.log_softmax(z, -1), teacher, reduction="batchmean", log_target=True)
        grads = dict(zip(p, torch.autograd.grad(loss, list(p.values()), retain_graph=True)))
        given = [s for _, _, s in tape]
        answers = draw(z.detach(), step, o["seed"])
        if step % o["factorPeriod"] == 0:
            of = loss if o["labels"] == "given" else loss_at(answers)
            scale = 1.0 if o["labels"] == "given" else task + kl
            slopes = torch.autograd.grad(of, given, retain_graph=True)
            k = step // o["factorPeriod"] + 1
            eps = min(1 - 1 / k, o["factorDecay"])
            for (name, read, _), slope in zip(tape, slopes):
                weight = p[f"{name}.weight"]
                a = inputs_of(read.detach(), weight)
                g = outputs_of(len(at) * slope)
                places = a.shape[1]
                A = torch.einsum("nti,ntj->ij", a, a) / len(at)
                G = scale * torch.einsum("nti,ntj->ij", g, g) / (len(at) * places)
                A = diagonal(A, o["longest"], A.shape[0] - 1)
                G = diagonal(G, o["longest"], G.shape[0])
                if name in factors:
                    A, G = eps * factors[name][0] + (1 - eps) * A, eps * factors[name][1] + (1 - eps) * G
                factors[name] = (A, G)
        if step < 3 or step % o["inversePeriod"] == 0:
            for name, (A, G) in factors.items():
                pi = ((A.trace() / len(A)) / (G.trace() / len(G))).sqrt()
                added = (o["damping"] + o["weightDecay"]) ** 0.5
                inverses[name] = (
                    torch.linalg.inv(A + pi * added * torch.eye(len(A), dtype=A.dtype)),
                    torch.linalg.inv(G + added / pi * torch.eye(len(G), dtype=G.dtype)),
                )
        with torch.no_grad():
            slope = {name: grads[name] + o["weightDecay"] * value for name, value in p.items()}
            directions, length = {}, 0.0
            for name, (A, G) in inverses.items():
                weight, bias = slope[f"{name}.weight"], slope[f"{name}.bias"]
                D = torch.cat([weight.reshape(len(weight), -1), bias[:, None]], 1)
                # vec(G⁻¹ D A⁻¹) by the Kronecker product itself.
                V = (torch.kron(G, A) @ D.reshape(-1)).reshape(D.shape)
                directions[f"{name}.weight"], directions[f"{name}.bias"] = V[:, :-1].reshape(weight.shape), V[:, -1]
                length += (V * D).sum().item()
            bound = min(1.0, (o["klClip"] / (case["learningRate"] ** 2 * length)) ** 0.5) if o["klClip"] else 1.0
            for name, value in p.items():
                momentum[name] = o["momentum"] * momentum[name] + bound * directions[name]
                value -= case["learningRate"] * momentum[name]
        steps.append({"loss": loss.item(), "bound": bound, "params": packed(p)})
    return steps


def case_of(name, learning_rate, options, loss=(1, 0), steps=6):
    model = MODELS[name]
    x = rounded(torch.randn(SIZE, *model["input"]))
    labels = torch.tensor([0, 2, 1, 2, 0, 1, 1, 0, 2])
    reference = rounded(torch.randn(SIZE, CLASSES))
    # Positive biases keep most units alive.
    start = {
        each: rounded(torch.rand(shape) * 0.3 if each.endswith("bias") else torch.randn(shape) * (0.9 / np.prod(shape[1:]) ** 0.5))
        for each, shape in model["shapes"].items()
    }
    case = {
        "architecture": name, "config": model["config"], "options": options, "learningRate": learning_rate, "steps": steps,
        "loss": {"task": loss[0], "divergence": loss[1]},
    }  # fmt: skip
    found = run(case, model, start, x, labels, reference)
    print(name, options, [round(step["loss"], 4) for step in found], [round(step["bound"], 3) for step in found])
    arrays = {"inputs": pack(x), "labels": labels.tolist(), "reference": pack(reference), "params": packed(start)}
    return {**case, **arrays, "steps": found}


cases = [
    case_of("mlp", 0.1, {"damping": 0.05, "klClip": 0}),
    case_of("mlp", 0.5, {"damping": 0.02, "weightDecay": 0.01, "klClip": 0.01, "factorPeriod": 2, "inversePeriod": 2, "seed": 3}),
    case_of("cnn", 0.3, {"damping": 0.05, "momentum": 0.5, "inversePeriod": 3}, loss=(0.7, 0.4)),
    case_of("cnn", 0.3, {"damping": 0.05, "labels": "given", "klClip": 0.02, "factorDecay": 0.5}),
    case_of("cnn", 0.2, {"damping": 0.1, "longest": 10, "klClip": 0.05}),
]
fixture = {
    "script": "tools/oracles/kfac.py",
    "versions": {"torch": torch.__version__, "numpy": np.__version__},
    "seed": SEED,
    "orderSeed": ORDER_SEED,
    "batchSize": BATCH,
    "cases": cases,
}
path = pathlib.Path(__file__).parents[2] / "test/fixtures/kfac.json"
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(path, path.stat().st_size)
