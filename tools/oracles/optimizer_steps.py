"""Writes test/fixtures/optimizer-steps.json: parameters of reference optimizers after each of 24 steps, their state after the last.

Run: python tools/oracles/optimizer_steps.py, with schedulefree 1.4.1 and pytorch-optimizer 4.1.0 installed. The references run in
float64 on the problem of smooth_problem.py. Arrays are base64 of little-endian float32.

Where a reference computes a part in fewer digits, for speed, it is made to take float64: the bfloat16 of torch.optim.Muon's
iterations, the float32 of SOAP's QR decomposition. Sophia's probes are those of weightlock's streams.
"""

import base64
import importlib.metadata
import json
import pathlib

import numpy as np
import pytorch_optimizer
import schedulefree
import torch
from pytorch_optimizer.optimizer import shampoo as shampoo_module

from smooth_problem import SHAPES, WEIGHTS, initial, loss
from streams import RandomStream

STEPS = 24
torch.set_num_threads(1)
FIRST = list(SHAPES)


def pack(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


class Reference:
    """An optimizer on some tensors, with the names that weightlock's state has."""

    def __init__(self, params, make, options, slots=()):
        self.params = params
        self.optimizer = make(list(params.values()), lr=0.0, **options)
        self.slots = dict(slots)

    def step(self, step, rate):
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss(self.params, step).backward()
        self.optimizer.step()

    def values(self):
        return {name: p.detach().numpy().copy() for name, p in self.params.items()}

    def state(self):
        """weightlock's slot -> tensor -> values."""
        found = {}
        for ours, theirs in self.slots.items():
            for name, param in self.params.items():
                value = self.optimizer.state[param].get(theirs)
                if value is not None:
                    found.setdefault(ours, {})[name] = flat(value)
        return found


def flat(value):
    parts = value if isinstance(value, list) else [value]
    parts = [np.asarray(part).reshape(-1) if isinstance(part, list) else part.detach().numpy().reshape(-1) for part in parts]
    return np.concatenate(parts) if parts else np.zeros(0)


class MuonAndAdamW(Reference):
    """Matrices by Muon, the others by AdamW."""

    def __init__(self, params, options, others, longest=10**9):
        self.params = params
        self.slots = {"momentum_buffer": "momentum_buffer", "exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"}
        is_matrix = lambda p: p.ndim == 2 and max(p.shape) <= longest
        self.muon = torch.optim.Muon([p for p in params.values() if is_matrix(p)], lr=0.0, **options)
        self.adamw = torch.optim.AdamW([p for p in params.values() if not is_matrix(p)], lr=0.0, foreach=False, **others["options"])
        self.factor = others.get("factor", 1.0)

    def step(self, step, rate):
        self.muon.param_groups[0]["lr"] = rate
        self.adamw.param_groups[0]["lr"] = rate * self.factor
        for param in self.params.values():
            param.grad = None
        loss(self.params, step).backward()
        low, torch.bfloat16 = torch.bfloat16, torch.float64
        self.muon.step()
        torch.bfloat16 = low
        self.adamw.step()

    @property
    def optimizer(self):
        both = type("Both", (), {})()
        both.state = {**self.muon.state, **self.adamw.state}
        both.state |= {p: {} for p in self.params.values() if p not in both.state}
        return both


class ScheduleFree(Reference):
    """Its parameters are y; what is compared is x, which `eval` gives."""

    def __init__(self, params, options):
        super().__init__(params, schedulefree.AdamWScheduleFree, {"foreach": False, **options}, {"z": "z", "exp_avg_sq": "exp_avg_sq"})

    def step(self, step, rate):
        self.optimizer.train()
        super().step(step, rate)
        self.optimizer.eval()


class Soap(Reference):
    def __init__(self, params, options):
        super().__init__(params, pytorch_optimizer.SOAP, options, {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq", "gg": "GG"})

    def step(self, step, rate):
        low, torch.float32 = torch.float32, torch.float64
        super().step(step, rate)
        torch.float32 = low


class ScalarsAsVectors(pytorch_optimizer.Shampoo):
    """Takes a scalar as a vector of one, as weightlock does; left as they are, scalars would have no preconditioner."""

    def step(self, closure=None):
        if closure is not None:
            closure()
        scalars = [p for group in self.param_groups for p in group["params"] if p.ndim == 0]
        for param in scalars:
            grad, param.grad = param.grad, None
            param.data = param.data.reshape(1)
            param.grad = grad.reshape(1)
        super().step()
        for param in scalars:
            param.grad = None
            param.data = param.data.reshape(())


class Shampoo(Reference):
    """With `longest`, longer dimensions keep the diagonal of their matrix alone; as many roots as lie between two are computed at first."""

    def __init__(self, params, options, every=1, longest=10**9):
        super().__init__(params, ScalarsAsVectors, options)
        self.every, self.longest = every, longest

    def step(self, step, rate):
        self.optimizer.preconditioning_compute_steps = 1 if step < self.every else self.every
        root = shampoo_module.compute_power_svd
        shampoo_module.compute_power_svd = lambda matrix, power: root(
            matrix if len(matrix) <= self.longest else torch.diag(torch.diag(matrix)), power)
        super().step(step, rate)
        shampoo_module.compute_power_svd = root


class Sophia(Reference):
    def __init__(self, params, options, seed=0, gauss_newton=False):
        super().__init__(params, pytorch_optimizer.SophiaH, {"foreach": False, **options},
                         {"momentum": "momentum", "hessian_moment": "hessian_moment"})
        self.period, self.samples = options.get("update_period", 10), options.get("num_samples", 1)
        self.distribution = options.get("hessian_distribution", "gaussian")
        self.seed, self.gauss_newton = seed, gauss_newton

    def step(self, step, rate):
        self.optimizer.param_groups[0]["lr"] = rate
        params = list(self.params.values())
        grads = torch.autograd.grad(loss(self.params, step), params, create_graph=True)
        for param, grad in zip(params, grads):
            param.grad = grad.detach()
        # Gauss-Newton leaves the negative weight and the fourth powers out: the Hessian of what is left.
        curved = grads
        if self.gauss_newton:
            least = loss(self.params, step, [max(w, 0) for w in WEIGHTS])
            quartic = 0.075 * sum((p**4).sum() for p in params)
            curved = torch.autograd.grad(least - quartic, params, create_graph=True)
        hessian = None
        if step % self.period == 0:
            hessian = [torch.zeros_like(p) for p in params]
            for sample in range(self.samples):
                probes = [self.probe(name, step * self.samples + sample) for name in self.params]
                products = torch.autograd.grad(curved, params, grad_outputs=probes, retain_graph=True)
                for total, product, probe in zip(hessian, products, probes):
                    total += product.detach() * probe / self.samples
        else:
            # Its own estimates are not asked for: the period is ours to keep.
            self.optimizer.update_period = 10**9
        self.optimizer.step(hessian=hessian)

    def probe(self, name, index):
        stream = RandomStream(self.seed, f"sophia probe {name}", index)
        size = self.params[name].numel()
        if self.distribution == "gaussian":
            values = [stream.normal() for _ in range(size)]
        else:
            values = [1.0 if stream.uint32() < 2**31 else -1.0 for _ in range(size)]
        return torch.tensor(values, dtype=torch.float32).double().reshape(self.params[name].shape)


def rmsprop(params, options):
    return Reference(params, torch.optim.RMSprop, {"foreach": False, **options},
                     {"square_avg": "square_avg", "momentum_buffer": "momentum_buffer", "grad_avg": "grad_avg"})


def lion(params, options):
    return Reference(params, pytorch_optimizer.Lion, {"foreach": False, **options}, {"exp_avg": "exp_avg"})


def nesterov(params, options):
    return Reference(params, torch.optim.SGD, {"foreach": False, **options}, {"momentum_buffer": "momentum_buffer"})


# Tensors along whose dimensions (of up to 5) the eigenvalues of SOAP's matrices differ, so that there is one basis.
FULL_RANK = ["square", "vector", "tall", "scalar", "cube"]

# (name, options of weightlock, params -> reference, learning rate, factor of the rate at each step, tensors)
CASES = [
    ("sgd", {"momentum": 0.9, "nesterov": True, "weightDecay": 0.1},
     lambda p: nesterov(p, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}), 0.002, 0.95, FIRST),
    ("rmsprop", {}, lambda p: rmsprop(p, {}), 0.01, 1.0, FIRST),
    ("rmsprop", {"alpha": 0.9, "eps": 1e-3, "weightDecay": 0.1, "momentum": 0.8, "centered": True},
     lambda p: rmsprop(p, {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.8, "centered": True}), 0.01, 0.95, FIRST),
    ("lion", {}, lambda p: lion(p, {}), 0.01, 1.0, FIRST),
    ("lion", {"betas": [0.7, 0.95], "weightDecay": 0.3},
     lambda p: lion(p, {"betas": (0.7, 0.95), "weight_decay": 0.3}), 0.02, 0.9, FIRST),
    ("muon", {}, lambda p: MuonAndAdamW(p, {}, {"options": {"weight_decay": 0.1}}), 0.02, 1.0, FIRST),
    ("muon", {"momentum": 0.8, "nesterov": False, "nsSteps": 3, "adjustLearningRate": "match-rms-adamw", "weightDecay": 0.3,
              "maxSize": 20, "othersRate": 0.5, "othersBetas": [0.8, 0.95], "othersEps": 1e-3},
     lambda p: MuonAndAdamW(p, {"momentum": 0.8, "nesterov": False, "ns_steps": 3, "adjust_lr_fn": "match_rms_adamw",
                                "weight_decay": 0.3},
                            {"options": {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.3}, "factor": 0.5}, 20),
     0.05, 0.95, FIRST),
    ("muon", {"adjustLearningRate": "spectral-unclamped", "nsCoefficients": [3.0, -3.2, 1.2]},
     lambda p: MuonAndAdamW(p, {"adjust_lr_fn": "spectral_unclamped", "ns_coefficients": (3.0, -3.2, 1.2)},
                            {"options": {"weight_decay": 0.1}}), 0.02, 1.0, FIRST),
    ("schedule-free-adamw", {}, lambda p: ScheduleFree(p, {}), 0.02, 1.0, FIRST),
    # A rising rate: that of a warm-up.
    ("schedule-free-adamw", {"betas": [0.8, 0.95], "eps": 1e-3, "weightDecay": 0.3, "r": 0.5, "weightLearningRatePower": 1},
     lambda p: ScheduleFree(p, {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.3, "r": 0.5, "weight_lr_power": 1}),
     0.01, 1.1, FIRST),
    ("soap", {"maxPreconditionDim": 5}, lambda p: Soap(p, {"max_precondition_dim": 5}), 0.02, 1.0, FULL_RANK),
    ("soap", {"betas": [0.8, 0.9], "shampooBeta": 0.7, "eps": 1e-4, "weightDecay": 0.3, "preconditionFrequency": 3,
              "maxPreconditionDim": 5, "normalizeGradient": True},
     lambda p: Soap(p, {"betas": (0.8, 0.9), "shampoo_beta": 0.7, "eps": 1e-4, "weight_decay": 0.3,
                        "precondition_frequency": 3, "max_precondition_dim": 5, "normalize_gradient": True}),
     0.02, 0.95, FULL_RANK),
    ("soap", {"maxPreconditionDim": 5, "correctBias": False, "precondition1d": True},
     lambda p: Soap(p, {"max_precondition_dim": 5, "correct_bias": False, "precondition_1d": True}), 0.02, 1.0,
     ["square", "vector", "cube"]),
    # With the default epsilon, 1e-6, rounding to float32 decides what a matrix is in directions that no gradient had.
    ("shampoo", {}, lambda p: Shampoo(p, {}), 0.05, 1.0, ["square", "cube"]),
    ("shampoo", {"matrixEps": 0.1, "weightDecay": 0.1, "preconditioningComputeSteps": 4, "maxPreconditionDim": 6},
     lambda p: Shampoo(p, {"matrix_eps": 0.1, "weight_decay": 0.1}, 4, 6), 0.1, 0.95, FIRST),
    ("sophia", {}, lambda p: Sophia(p, {}), 0.5, 1.0, FIRST),
    ("sophia", {"betas": [0.8, 0.9], "weightDecay": 0.1, "p": 0.05, "eps": 0.01, "updatePeriod": 4, "numSamples": 3,
                "hessianDistribution": "rademacher", "estimator": "gauss-newton", "seed": 5},
     lambda p: Sophia(p, {"betas": (0.8, 0.9), "weight_decay": 0.1, "p": 0.05, "eps": 0.01, "update_period": 4,
                          "num_samples": 3, "hessian_distribution": "rademacher"}, 5, True), 0.2, 0.95, FIRST),
]


def run(make, rates, names):
    params = initial(names)
    reference = make(params)
    after = []
    for step, rate in enumerate(rates):
        reference.step(step, rate)
        after.append(pack(np.concatenate([values.reshape(-1) for values in reference.values().values()])))
    assert all(np.isfinite(values).all() for values in reference.values().values())
    state = {slot: {name: pack(values) for name, values in tensors.items()} for slot, tensors in reference.state().items()}
    return {"after": after, "state": state}


if __name__ == "__main__":
    cases = []
    for name, ours, make, rate, factor, names in CASES:
        rates = [rate * factor**step for step in range(STEPS)]
        cases.append({"optimizer": name, "options": ours, "learningRates": rates, "tensors": names, **run(make, rates, names)})
    fixture = {
        "script": "tools/oracles/optimizer_steps.py",
        "versions": {
            name: importlib.metadata.version(name) for name in ("torch", "pytorch-optimizer", "schedulefree", "numpy")
        },
        "seed": None,
        "cases": cases,
    }
    path = pathlib.Path(__file__).parents[2] / "test/fixtures/optimizer-steps.json"
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)
