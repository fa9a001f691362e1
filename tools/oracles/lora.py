"""Writes test/fixtures/lora.json: LoRA and DoRA of peft, trained for some steps on a small CNN, and of transformers' Conv1D.

Run with: python tools/oracles/lora.py  (needs torch, transformers and peft)
"""

import json
from pathlib import Path

import peft
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers.pytorch_utils import Conv1D

SEED, RANK, ALPHA, RATE, STEPS = 5, 2, 3.0, 0.2, 4


class Cnn(nn.Module):
    """The architecture `cnn` of weightlock: image_size 16, kernel_size 3."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 3)
        self.conv2 = nn.Conv2d(2, 3, 3)
        self.fc1 = nn.Linear(12, 6)
        self.fc2 = nn.Linear(6, 5)
        self.fc3 = nn.Linear(5, 4)
        self.fc4 = nn.Linear(4, 3)

    def forward(self, x):
        h = torch.relu(torch.max_pool2d(self.conv1(x), 2))
        h = torch.relu(torch.max_pool2d(self.conv2(h), 2)).flatten(1)
        for layer in (self.fc1, self.fc2, self.fc3):
            h = torch.relu(layer(h))
        return self.fc4(h)


def numbers(tensor):
    """Nine digits say which float32 it is."""
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


def flat(tensors):
    return {name: {"shape": list(t.shape), "data": numbers(t)} for name, t in tensors.items()}


def case(dora):
    torch.manual_seed(SEED)
    model = Cnn()
    for layer in model.children():  # so that few units are dead
        layer.weight.data *= 1.7
    before = {name: value.clone() for name, value in model.state_dict().items()}
    config = LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=["conv1", "conv2", "fc1", "fc2", "fc3"],
        modules_to_save=["fc4"],
        use_dora=dora,
        lora_dropout=0.0,
    )
    wrapped = get_peft_model(model, config)
    x, labels = torch.randn(12, 1, 16, 16), torch.randint(0, 3, (12,))
    short = lambda name: (
        name.replace("base_model.model.", "").replace(".default", "").replace("modules_to_save.", "")
    )
    trained = {short(name): p for name, p in wrapped.named_parameters() if p.requires_grad}
    first = {name: p.detach().clone() for name, p in trained.items()}
    optimizer = torch.optim.SGD(trained.values(), lr=RATE)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(wrapped(x), labels)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    logits = wrapped(x)
    after = {name: p.detach().clone() for name, p in trained.items()}
    merged = wrapped.merge_and_unload()
    return {
        "dora": dora,
        "weights": flat(before),
        "x": numbers(x),
        "labels": labels.tolist(),
        "first": flat(first),
        "losses": losses,
        "after": flat(after),
        "merged": flat(merged.state_dict()),
        "logits": numbers(logits),
    }


def conv1d(dora):
    torch.manual_seed(SEED + 1)
    model = nn.Sequential(Conv1D(5, 4))  # 4 inputs, 5 outputs, weight [4, 5]
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["0"], fan_in_fan_out=True, use_dora=dora)
    before = model[0].weight.detach().clone()
    wrapped = get_peft_model(model, config)
    layer = wrapped.base_model.model[0]
    nn.init.normal_(layer.lora_B["default"].weight)
    x, towards = torch.randn(7, 4), torch.randn(7, 5)
    (wrapped(x) * towards).sum().backward()
    parts = {"lora_A": layer.lora_A["default"].weight, "lora_B": layer.lora_B["default"].weight}
    if dora:
        parts["lora_magnitude_vector"] = layer.lora_magnitude_vector["default"].weight
    # What reaches the weight itself: x' towards, since y = x W.
    return {
        "dora": dora,
        "weight": numbers(before),
        "ofWeight": numbers(x.T @ towards),
        "values": {name: p.detach().flatten().tolist() for name, p in parts.items()},
        "gradients": {name: numbers(p.grad) for name, p in parts.items()},
    }


target = Path(__file__).parents[2] / "test" / "fixtures" / "lora.json"
found = {
    "script": "tools/oracles/lora.py",
    "peft": peft.__version__,
    "torch": torch.__version__,
    "seed": SEED,
    "rank": RANK,
    "alpha": ALPHA,
    "rate": RATE,
    "cases": [case(False), case(True)],
    "conv1d": [conv1d(False), conv1d(True)],
}
target.write_text(json.dumps(found) + "\n")
