"""Writes test/fixtures/hessian.json: Hessians and their kin by torch.func, in float64.

Run: python tools/oracles/hessian.py.

- `mlp` and `vit` of the library (transformers' ViTForImageClassification), cross entropy: the whole Hessian, Gauss-Newton
  matrix J^T H_L J and empirical Fisher matrix, each from dense derivatives; upper triangles as float32 (six digits are
  compared).
- the three networks of Figure 2, mean squared error: eigenvalues of the Hessian in float64, and products with vectors.
- `erf`: the error function of Python's math module.

Weights and inputs are float64 rounded to float32, base64 of little-endian float32; float64 results are base64 of doubles.
"""

import base64
import json
import math
import pathlib
import re

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from torch.func import functional_call, hessian, jacrev

SEED = 20261127
torch.set_num_threads(1)
torch.manual_seed(SEED)
torch.set_default_dtype(torch.float64)


def rounded(t):
    return t.float().double()


def single(t):
    return base64.b64encode(np.asarray(t.detach(), dtype="<f4").tobytes()).decode()


def double(t):
    return base64.b64encode(np.asarray(t.detach(), dtype="<f8").tobytes()).decode()


def triangle(matrix):
    return single(matrix[torch.triu_indices(*matrix.shape).unbind()])


def flat(values):
    return torch.cat([value.reshape(-1) for value in values.values()])


def split(theta, shapes):
    parts = torch.split(theta, [math.prod(shape) for shape in shapes.values()])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts)}


def classifier(name, config, shapes, x, labels, logits):
    weights = {
        key: rounded(1 + 0.3 * torch.randn(shape)) if "layernorm" in key and key.endswith("weight") else rounded(torch.randn(shape) * 0.7 / max(1, math.prod(shape[1:])) ** 0.5)
        for key, shape in shapes.items()
    }
    theta = flat(weights)

    def of_logits(z):
        return F.cross_entropy(z, labels)

    def outputs(t):
        return logits(split(t, shapes))

    z = outputs(theta)
    jacobian = jacrev(outputs)(theta).reshape(z.numel(), -1)
    curvature = hessian(of_logits)(z).reshape(z.numel(), z.numel())
    each = jacrev(lambda t: F.cross_entropy(outputs(t), labels, reduction="none"))(theta)
    whole = hessian(lambda t: of_logits(outputs(t)))(theta)
    assert (whole - whole.T).abs().max() < 1e-12
    return {
        "name": name,
        "config": config,
        "weights": {hub_name(key): {"shape": list(value.shape), "values": single(value)} for key, value in weights.items()},
        "x": {"shape": list(x.shape), "values": single(x)},
        "labels": labels.tolist(),
        "loss": of_logits(z).item(),
        "hessian": triangle(whole),
        "eigenvalues": double(torch.linalg.eigvalsh(whole)),
        "gaussNewton": triangle(jacobian.T @ curvature @ jacobian),
        "empiricalFisher": triangle(each.T @ each / len(labels)),
    }


def mlp():
    config = {"input_shape": [1, 2, 2], "num_labels": 3, "hidden_sizes": [6, 5]}
    shapes = {"fc1.weight": (6, 4), "fc1.bias": (6,), "fc2.weight": (5, 6), "fc2.bias": (5,), "fc3.weight": (3, 5), "fc3.bias": (3,)}
    x = rounded(torch.randn(7, 1, 2, 2))

    def logits(p):
        h = F.relu(F.linear(x.flatten(1), p["fc1.weight"], p["fc1.bias"]))
        return F.linear(F.relu(F.linear(h, p["fc2.weight"], p["fc2.bias"])), p["fc3.weight"], p["fc3.bias"])

    return classifier("mlp", config, shapes, x, torch.tensor([0, 1, 2, 1, 0, 2, 2]), logits)


def hub_name(name):
    """The name in model files, which transformers 5 changes in memory."""
    for pattern, replacement in (
        (r"^vit\.layers\.(\d+)\.", r"vit.encoder.layer.\1."),
        (r"attention\.([qkv])_proj", lambda m: "attention.attention." + {"q": "query", "k": "key", "v": "value"}[m[1]]),
        (r"attention\.o_proj", "attention.output.dense"),
        (r"mlp\.fc1", "intermediate.dense"),
        (r"mlp\.fc2", "output.dense"),
    ):
        name = re.sub(pattern, replacement, name)
    return name


softmax = F.softmax


def layer_norm(x, shape, weight, bias, eps):
    """Written out: the second derivative of torch 2.15's own by weight and input is not symmetric (0.2 here)."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * weight + bias


def vit():
    # Attention asks for float32 here, whatever the model is in.
    F.softmax = lambda x, dim=None, dtype=None: softmax(x, dim=dim)
    F.layer_norm = layer_norm
    config = {
        "num_channels": 1, "image_size": 4, "patch_size": 2, "hidden_size": 4, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 6, "num_labels": 3,
    }  # fmt: skip
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**config, hidden_dropout_prob=0.0, attn_implementation="eager")).double().eval()
    shapes = {key: tuple(value.shape) for key, value in model.named_parameters()}
    x = rounded(torch.randn(5, 1, 4, 4))
    return classifier("vit", config, shapes, x, torch.tensor([0, 2, 1, 2, 0]), lambda p: functional_call(model, p, (x,)).logits)


def figure2(name, shapes, input_shape, target_shape, forward, size=16):
    weights = {key: rounded(torch.randn(shape) / max(1, math.prod(shape[1:])) ** 0.5) for key, shape in shapes.items()}
    x, y = rounded(torch.randn(size, *input_shape)), rounded(torch.randn(size, *target_shape))
    theta = flat(weights)
    whole = hessian(lambda t: F.mse_loss(forward(split(t, shapes), x), y))(theta)
    v = rounded(torch.randn(len(theta), 3))
    return {
        "name": name,
        "size": size,
        "weights": {key: single(value) for key, value in weights.items()},
        "x": single(x),
        "y": single(y),
        "loss": F.mse_loss(forward(weights, x), y).item(),
        "eigenvalues": double(torch.linalg.eigvalsh(whole)),
        "vectors": [single(column) for column in v.T],
        "products": [double(whole @ column) for column in v.T],
    }


def figure2_mlp():
    widths = [4, 8, 8, 8, 4]
    shapes = {}
    for i in range(4):
        shapes[f"fc{i + 1}.weight"] = (widths[i + 1], widths[i])
        shapes[f"fc{i + 1}.bias"] = (widths[i + 1],)

    def forward(p, x):
        for i in (1, 2, 3):
            x = F.relu(F.linear(x, p[f"fc{i}.weight"], p[f"fc{i}.bias"]))
        return F.linear(x, p["fc4.weight"], p["fc4.bias"])

    return figure2("mlp", shapes, (4,), (4,), forward)


def figure2_cnn():
    shapes = {
        "conv1.weight": (4, 1, 3, 3), "conv1.bias": (4,), "conv2.weight": (4, 4, 3, 3), "conv2.bias": (4,),
        "fc1.weight": (8, 16), "fc1.bias": (8,), "fc2.weight": (4, 8), "fc2.bias": (4,),
    }  # fmt: skip

    def forward(p, x):
        for name in ("conv1", "conv2"):
            x = torch.tanh(F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1))
        x = torch.tanh(F.linear(x.flatten(1), p["fc1.weight"], p["fc1.bias"]))
        return F.linear(x, p["fc2.weight"], p["fc2.bias"])

    return figure2("cnn", shapes, (1, 2, 2), (4,), forward)


def figure2_transformer():
    shapes = {"W_Q": (4, 4), "W_K": (4, 4), "W_V": (4, 4), "W_O": (4, 4), "W_1": (8, 4), "W_2": (4, 8)}

    def forward(p, z):
        # Equations (1) to (6) for each example, tokens in columns as the paper has them.
        def one(rows):
            Z = rows.T
            A = torch.softmax((p["W_K"] @ Z).T @ (p["W_Q"] @ Z), dim=0)
            Z = Z + 0.5 * p["W_O"] @ p["W_V"] @ Z @ A
            return (Z + 0.5 * p["W_2"] @ torch.relu(p["W_1"] @ Z)).T

        return torch.stack([one(rows) for rows in z])

    return figure2("transformer", shapes, (2, 4), (2, 4), forward)


places = [0.0, -0.0, 1e-300, 1e-9, 0.1, 0.46874, 0.46876, 0.5, 1.0, 1.7, 2.5, 3.9999, 4.0001, 5.0, 5.9, 6.1, 20.0]
places += [-p for p in places] + np.linspace(-6.5, 6.5, 201).tolist()
fixture = {
    "script": "tools/oracles/hessian.py",
    "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__},
    "seed": SEED,
    "classifiers": [mlp(), vit()],
    "figure2": [figure2_mlp(), figure2_cnn(), figure2_transformer()],
    "erf": {"x": double(torch.tensor(places)), "y": double(torch.tensor([math.erf(p) for p in places]))},
}
path = pathlib.Path(__file__).parents[2] / "test/fixtures/hessian.json"
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, [c["loss"] for c in fixture["classifiers"] + fixture["figure2"]])
