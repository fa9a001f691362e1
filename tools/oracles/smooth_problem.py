"""A smooth loss on a few tensors, the same one as src/training/optimizers/smooth-problem.ts: formulas, no data.

    f_s(x) = 1/2 * sum_k w_k (c_k . x - t_k)^2 + 3/40 * sum_i x_i^4,   x: all tensors in order, flat
    c_ki = sin(1 + 0.37 (k + 1) (i + 1)),  t_k = cos(k + 0.9 s),  x_i starts at cos(1 + 1.7 i) / 2
"""

import math

import torch

SHAPES = {
    "matrix": (5, 3),
    "vector": (7,),
    "kernel": (2, 3, 2, 2),
    "scalar": (),
    "row": (1, 4),
    "skewed": (24, 2),
}
# On demand: along every dimension of some length their gradients have slices of full rank.
MORE_SHAPES = {"square": (4, 4), "tall": (6, 4), "cube": (3, 3, 3)}
WEIGHTS = [1.0, 0.5, 2.0, -0.3, 0.25, 0.75]


def initial(names):
    """Parameters of the named tensors, float32 values in float64."""
    params, at = {}, 0
    for name in names:
        shape = (SHAPES | MORE_SHAPES)[name]
        size = math.prod(shape)
        values = torch.tensor([math.cos(1 + 1.7 * (at + i)) / 2 for i in range(size)], dtype=torch.float32)
        params[name] = values.double().reshape(shape).requires_grad_()
        at += size
    return params


def loss(params, step, weights=WEIGHTS):
    x = torch.cat([p.reshape(-1) for p in params.values()])
    total = 0.075 * (x**4).sum()
    for k, weight in enumerate(weights):
        c = torch.tensor([math.sin(1 + 0.37 * (k + 1) * (i + 1)) for i in range(len(x))], dtype=torch.float64)
        total = total + 0.5 * weight * ((c * x).sum() - math.cos(k + 0.9 * step)) ** 2
    return total
