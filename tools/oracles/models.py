"""Writes test/fixtures/models/: model directories as PyTorch writes them, and what PyTorch computes with them.

    python tools/oracles/models.py          writes the fixtures
    python tools/oracles/models.py DIR      loads a model directory that weightlock wrote and prints its logits on zeros
"""

import json
import pathlib
import sys

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

SEED = 20261124
ROOT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "models"


class Cnn(nn.Module):
    """The `cnn` architecture: two convolutions with ReLU and 2x2 max pool, four linear layers."""

    def __init__(self, config):
        super().__init__()
        a, b = config["channels"]
        k = config["kernel_size"]
        self.conv1 = nn.Conv2d(config["num_channels"], a, k)
        self.conv2 = nn.Conv2d(a, b, k)
        side = ((config["image_size"] - k + 1) // 2 - k + 1) // 2
        sizes = [b * side * side, *config["hidden_sizes"], config["num_labels"]]
        for i in range(4):
            setattr(self, f"fc{i + 1}", nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        for i in range(1, 4):
            x = F.relu(getattr(self, f"fc{i}")(x))
        return self.fc4(x)


class Mlp(nn.Module):
    """The `mlp` architecture: linear layers with ReLU between them."""

    def __init__(self, config):
        super().__init__()
        sizes = [int(np.prod(config["input_shape"])), *config["hidden_sizes"], config["num_labels"]]
        self.depth = len(sizes) - 1
        for i in range(self.depth):
            setattr(self, f"fc{i + 1}", nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        x = x.flatten(1)
        for i in range(1, self.depth):
            x = F.relu(getattr(self, f"fc{i}")(x))
        return getattr(self, f"fc{self.depth}")(x)


MODELS = {"cnn": Cnn, "mlp": Mlp}
CONFIGS = {
    "cnn": {"architecture": "cnn", "num_channels": 2, "image_size": 16, "num_labels": 3, "channels": [3, 4], "kernel_size": 3, "hidden_sizes": [8, 7, 6]},
    "mlp": {"architecture": "mlp", "input_shape": [2, 3, 4], "num_labels": 4, "hidden_sizes": [9, 5]},
}


def write(name):
    torch.manual_seed(SEED)
    config = CONFIGS[name]
    model = MODELS[name](config)
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    shape = [2, 16, 16] if name == "cnn" else config["input_shape"]
    batches = [(torch.randn(8, *shape), torch.randint(0, config["num_labels"], (8,))) for _ in range(3)]
    # Gradients in float64: float32 sums in another order already differ by more than the tolerance.
    exact = MODELS[name](config).double()
    exact.load_state_dict({key: value.double() for key, value in model.state_dict().items()})
    x, y = batches[0]
    logits = exact(x.double())
    loss = F.cross_entropy(logits, y)
    loss.backward()
    expected = {f"gradient {key}": parameter.grad.float() for key, parameter in exact.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, foreach=False)
    losses = []
    for step in range(10):
        bx, by = batches[step % 3]
        optimizer.zero_grad()
        value = F.cross_entropy(model(bx), by)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    expected |= {f"after 10 steps {key}": value for key, value in model.state_dict().items()}
    expected |= {f"x {i}": bx for i, (bx, _) in enumerate(batches)} | {f"y {i}": by.int() for i, (_, by) in enumerate(batches)}
    expected |= {"logits": logits.detach().float(), "losses": torch.tensor(losses)}
    metadata = {"script": "tools/oracles/models.py", "torch": torch.__version__, "safetensors": safetensors.__version__, "seed": str(SEED), "loss": repr(loss.item())}
    save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors", metadata=metadata)


if len(sys.argv) > 1:
    path = pathlib.Path(sys.argv[1])
    settings = json.loads((path / "config.json").read_text())
    loaded = MODELS[settings["architecture"]](settings)
    print(loaded.load_state_dict(load_file(path / "model.safetensors"), strict=True))
    inputs = [settings["num_channels"], settings["image_size"], settings["image_size"]] if settings["architecture"] == "cnn" else settings["input_shape"]
    print(loaded(torch.zeros(1, *inputs)).tolist())
else:
    for each in MODELS:
        write(each)
