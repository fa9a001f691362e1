"""Writes test/fixtures/flops.json: what torch.utils.flop_counter counts for products and convolutions."""

import json
import pathlib
import platform

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode


def counted(run):
    with FlopCounterMode(display=False) as mode:
        run()
    return mode.get_total_flops()


products = []
for a, b in [([3, 4], [4, 5]), ([1, 7], [7, 1]), ([2, 3, 4, 5], [2, 3, 5, 6]), ([6, 4, 5], [6, 5, 2])]:
    x, y = torch.ones(a), torch.ones(b)
    products.append({"a": a, "b": b, "flops": counted(lambda: x @ y)})

convolutions = []
for x, out, kernel, options in [
    ([2, 3, 8, 8], 5, [3, 3], {}),
    ([2, 4, 9, 7], 6, [3, 2], {"stride": 2, "padding": 1}),
    ([1, 4, 11, 11], 8, [3, 3], {"dilation": 2, "groups": 4}),
    ([3, 6, 12], 4, [5], {"stride": 3, "groups": 2}),
]:
    groups = options.get("groups", 1)
    image, weight = torch.ones(x), torch.ones([out, x[1] // groups, *kernel])
    convolve = F.conv2d if len(kernel) == 2 else F.conv1d
    convolutions.append({"x": x, "w": list(weight.shape), "options": options, "flops": counted(lambda: convolve(image, weight, **options))})

transposed = []
for x, out, kernel, options in [([2, 3, 5, 5], 4, [3, 3], {}), ([1, 4, 6, 6], 6, [2, 3], {"stride": 2, "groups": 2})]:
    groups = options.get("groups", 1)
    image, weight = torch.ones(x), torch.ones([x[1], out // groups, *kernel])
    transposed.append(
        {"x": x, "w": list(weight.shape), "options": options, "flops": counted(lambda: F.conv_transpose2d(image, weight, **options))}
    )

# A step: forward, and the gradients of all weights, of a linear network without biases (the counter has none of them).
steps = []
for batch, widths in [(16, [10, 8, 4]), (3, [7, 20, 9, 2])]:
    weights = [torch.ones(m, n, requires_grad=True) for n, m in zip(widths, widths[1:])]

    def step():
        hidden = torch.ones(batch, widths[0])
        for weight in weights:
            hidden = hidden @ weight.T
        hidden.sum().backward()

    steps.append({"batch": batch, "widths": widths, "flops": counted(step)})

out = {
    "script": "tools/oracles/flops.py",
    "versions": {"python": platform.python_version(), "torch": torch.__version__},
    "products": products,
    "convolutions": convolutions,
    "transposed": transposed,
    "steps": steps,
}
path = pathlib.Path(__file__).parents[2] / "test" / "fixtures" / "flops.json"
path.write_text(json.dumps(out, indent=1) + "\n")
print(path.name, path.stat().st_size, "bytes")
