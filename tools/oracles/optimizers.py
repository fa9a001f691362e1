"""Writes test/fixtures/optimizers.json: parameters and state of torch.optim after 1 and 10 steps.

Run: python tools/oracles/optimizers.py. Arrays are base64 of little-endian float32, so that infinities survive.

Tiny gradients with an L2 penalty grow by lr * weight_decay / eps, 1e6 and more, at each step and take PyTorch's own
rounding errors along, up to 2e-6. Where float32 PyTorch is further than 5e-7 from float64 PyTorch (and nothing
overflows), the float64 result is the oracle, and the entry says so.
"""

import base64
import json
import pathlib

import numpy as np
import torch

SEED = 20250611
STEPS = 10
torch.set_num_threads(1)
rng = np.random.default_rng(SEED)


def pack(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def tensor(shape, size, start=1.0, missing=(), zero=()):
    """Starting values of scale `start` and a gradient of scale `size` for each step, None where missing."""
    init = np.asarray(rng.standard_normal(shape) * start, dtype=np.float32)
    grads = []
    for step in range(STEPS):
        grad = np.asarray(rng.standard_normal(shape) * size, dtype=np.float32)
        grads.append(None if step in missing else np.zeros_like(grad) if step in zero else grad)
    return {"shape": list(shape), "init": init, "grads": grads}


TENSORS = {
    "matrix": tensor((5, 3), 1.0),
    "vector": tensor((17,), 0.05),
    "scalar": tensor((), 1.0),
    "empty": tensor((0, 4), 1.0),
    "kernel": tensor((2, 3, 2, 2), 0.3, zero=(0, 5, 6)),
    "zeros": tensor((6,), 0.0),
    # Starts at zero: beside values of 1 a tiny step would be invisible.
    "tiny": tensor((8,), 1e-30, start=0.0),
    "large": tensor((8,), 1e18),
    "huge": tensor((8,), 1e30),
    "sometimes": tensor((4, 4), 0.5, missing=(0, 3, 4, 8)),
    "never": tensor((3,), 1.0, missing=range(STEPS)),
}

# (name, options of weightlock, class of torch, options of torch, learning rate, factor of the rate at each step)
CASES = [
    ("sgd", {}, torch.optim.SGD, {}, 0.1, 1.0),
    ("sgd", {"weightDecay": 0.3}, torch.optim.SGD, {"weight_decay": 0.3}, 0.1, 0.8),
    ("sgd", {"momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}, 0.1, 1.0),
    ("sgd", {"momentum": 0.8, "dampening": 0.4, "weightDecay": 0.1}, torch.optim.SGD,
     {"momentum": 0.8, "dampening": 0.4, "weight_decay": 0.1}, 0.05, 0.9),
    ("sgd", {"momentum": 0.9, "nesterov": True}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, 0.1, 1.0),
    ("sgd", {"momentum": 0.7, "nesterov": True, "weightDecay": 0.2}, torch.optim.SGD,
     {"momentum": 0.7, "nesterov": True, "weight_decay": 0.2}, 0.1, 0.7),
    ("adam", {}, torch.optim.Adam, {}, 0.1, 1.0),
    ("adam", {"weightDecay": 0.1}, torch.optim.Adam, {"weight_decay": 0.1}, 0.1, 0.9),
    ("adam", {"betas": [0.5, 0.9], "eps": 1e-3}, torch.optim.Adam, {"betas": (0.5, 0.9), "eps": 1e-3}, 0.1, 1.0),
    ("adam", {"betas": [0.0, 0.9], "amsgrad": True, "weightDecay": 0.1}, torch.optim.Adam,
     {"betas": (0.0, 0.9), "amsgrad": True, "weight_decay": 0.1}, 0.1, 1.0),
    ("adamw", {}, torch.optim.AdamW, {}, 0.1, 1.0),
    ("adamw", {"weightDecay": 0}, torch.optim.AdamW, {"weight_decay": 0}, 0.1, 0.9),
    ("adamw", {"betas": [0.8, 0.95], "weightDecay": 0.5, "eps": 1e-3}, torch.optim.AdamW,
     {"betas": (0.8, 0.95), "weight_decay": 0.5, "eps": 1e-3}, 0.1, 0.8),
    ("adamw", {"betas": [0.9, 0.5], "amsgrad": True, "weightDecay": 0.2}, torch.optim.AdamW,
     {"betas": (0.9, 0.5), "amsgrad": True, "weight_decay": 0.2}, 0.1, 1.0),
    ("adadelta", {}, torch.optim.Adadelta, {}, 1.0, 1.0),
    ("adadelta", {"rho": 0.5, "eps": 1e-2}, torch.optim.Adadelta, {"rho": 0.5, "eps": 1e-2}, 1.0, 0.7),
    ("adadelta", {"rho": 0.8, "eps": 1e-3, "weightDecay": 0.2}, torch.optim.Adadelta,
     {"rho": 0.8, "eps": 1e-3, "weight_decay": 0.2}, 1.0, 1.0),
    ("adagrad", {}, torch.optim.Adagrad, {}, 0.1, 1.0),
    ("adagrad", {"initialAccumulatorValue": 0.5, "eps": 1e-4}, torch.optim.Adagrad,
     {"initial_accumulator_value": 0.5, "eps": 1e-4}, 0.1, 1.0),
    ("adagrad", {"learningRateDecay": 0.2, "weightDecay": 0.1}, torch.optim.Adagrad,
     {"lr_decay": 0.2, "weight_decay": 0.1}, 0.1, 0.9),
]


def run(make, options, rates, dtype):
    """After 1 and all steps: tensor name -> slot name (or param) -> values."""
    params = {name: torch.from_numpy(t["init"].astype(dtype)).requires_grad_() for name, t in TENSORS.items()}
    optimizer = make(params.values(), foreach=False, **options)
    after = {}
    for step, rate in enumerate(rates):
        optimizer.param_groups[0]["lr"] = rate
        for name, t in TENSORS.items():
            grad = t["grads"][step]
            params[name].grad = None if grad is None else torch.from_numpy(grad.astype(dtype))
        optimizer.step()
        if step + 1 in (1, STEPS):
            after[step + 1] = {
                name: {
                    "param": param.detach().numpy().copy(),
                    # None is SGD's buffer without momentum.
                    **{
                        slot: torch.as_tensor(value).numpy().copy()
                        for slot, value in optimizer.state[param].items()
                        if value is not None
                    },
                }
                for name, param in params.items()
            }
    return after


def distance(single, double):
    """The largest difference of any slot, relative to its scale; 0 where only an overflow explains it."""
    worst = 0.0
    for slot, values in single.items():
        if values.size and np.isfinite(values).all() and np.abs(double[slot]).max() > 0:
            error = np.abs(values - double[slot]).max() / np.abs(double[slot]).max()
            worst = max(worst, error if error < 1e-4 else 0.0)
    return worst


cases = []
for name, ours, make, theirs, rate, factor in CASES:
    rates = [rate * factor**step for step in range(STEPS)]
    single, double = (run(make, {"lr": rate, **theirs}, rates, dtype) for dtype in ("float32", "float64"))
    after = {}
    for step, tensors in single.items():
        after[step] = {}
        for tensor_name, values in tensors.items():
            inexact = distance(values, double[step][tensor_name]) > 5e-7
            if inexact:
                print("float64 oracle:", name, ours, tensor_name, step)
                assert tensor_name == "tiny", "expected only tiny gradients to need the float64 oracle"
            chosen = double[step][tensor_name] if inexact else values
            after[step][tensor_name] = {
                "precision": "float64" if inexact else "float32",
                "param": pack(chosen["param"]),
                "state": {slot: pack(value) for slot, value in chosen.items() if slot != "param"},
            }
    cases.append({"optimizer": name, "options": ours, "learningRates": rates, "after": after})

fixture = {
    "script": "tools/oracles/optimizers.py",
    "versions": {"torch": torch.__version__, "numpy": np.__version__},
    "seed": SEED,
    "tensors": {
        name: {
            "shape": t["shape"],
            "init": pack(t["init"]),
            "grads": [None if grad is None else pack(grad) for grad in t["grads"]],
        }
        for name, t in TENSORS.items()
    },
    "cases": cases,
}
path = pathlib.Path(__file__).parents[2] / "test/fixtures/optimizers.json"
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(path, path.stat().st_size)
