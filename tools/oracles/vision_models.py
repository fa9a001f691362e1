"""Writes test/fixtures/vision-models.json: what torchvision and transformers compute with weights made of hashes.

    python tools/oracles/vision_models.py          writes the fixture
    python tools/oracles/vision_models.py DIR ..   loads directories of write_models.mjs into torchvision, timm and
                                                   transformers, as far as they know them, and compares the logits

Weights and inputs are not stored: both sides make them of the same hashes, one seed a name in sorted order. Of each
gradient and running statistic the norm, a fixed projection and four elements are stored, all computed in float64.
"""

import copy
import json
import pathlib
import re
import sys
import tempfile

import numpy as np
import timm
import torch
import torchvision
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

SEED = 20261125
OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "vision-models.json"


def hashed(seed, *shape):
    """Entries in [-1, 1) with 24 bits, exact in float32: a 32-bit integer finalizer over (index, seed)."""
    x = np.arange(int(np.prod(shape)), dtype=np.uint32)
    x = x * np.uint32(0x9E3779B1) + np.uint32(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x = x * np.uint32(factor)
    x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)).astype(np.float64) / 2**23 - 1).reshape(shape)


def value(name, shape, seed):
    """The value of a state dict's entry: kernels scaled by their inputs, norms near 1 and 0, statistics in range."""
    if name.endswith("num_batches_tracked"):
        return np.array(3.0)
    h = hashed(seed, *shape)
    if len(shape) >= 2:
        return h * 2.0 ** (1 - np.ceil(np.log2(np.sqrt(max(np.prod(shape[1:]), 2)))))
    if name.endswith("bn3.weight"):
        # Else 50 layers on a small batch amplify rounding until PyTorch's float32 gradients are 1 % off its float64 ones.
        return (1 + h / 2) / 8
    if name.endswith("running_var") or name.endswith("weight"):
        return 1 + h / 2
    return h / 4


def weights(shapes):
    return {name: torch.tensor(value(name, shapes[name], SEED + i)) for i, name in enumerate(sorted(shapes))}


class Shortcut(nn.Module):
    """Option A of He et al. 2015: every second pixel, zeros for the channels that are new."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        side = x.new_zeros(x.shape[0], self.channels // 4, x.shape[2] // 2, x.shape[3] // 2)
        return torch.cat([side, x[:, :, ::2, ::2], side], 1)


class CifarBlock(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        self.shortcut = Shortcut(channels) if stride == 2 else nn.Identity()

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


class CifarResNet(nn.Module):
    def __init__(self, depth, labels):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        inputs = 16
        for stage, channels in enumerate((16, 32, 64)):
            blocks = []
            for index in range((depth - 2) // 6):
                blocks.append(CifarBlock(inputs, channels, 2 if stage and not index else 1))
                inputs = channels
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, labels)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(h))).mean((2, 3)))


def torchvision_resnet(config):
    model = getattr(torchvision.models, config["architecture"])(num_classes=config["num_classes"])
    if config.get("stem") == "cifar":
        model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    return model


def hub_name(name):
    """The name in a file on the hub of a parameter of transformers' model, whose newer versions rename in memory."""
    for pattern, replacement in (
        (r"^vit\.layers\.(\d+)\.", r"vit.encoder.layer.\1."),
        (r"\.attention\.([qkv])_proj\.", lambda m: f".attention.attention.{dict(q='query', k='key', v='value')[m[1]]}."),
        (r"\.attention\.o_proj\.", ".attention.output.dense."),
        (r"\.mlp\.fc1\.", ".intermediate.dense."),
        (r"\.mlp\.fc2\.", ".output.dense."),
    ):
        name = re.sub(pattern, replacement, name)
    return name


def vit(config):
    return transformers.ViTForImageClassification(transformers.ViTConfig.from_dict({**config, "attn_implementation": "eager"}))


VIT = {
    "architectures": ["ViTForImageClassification"], "model_type": "vit", "hidden_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 3, "intermediate_size": 40, "image_size": 12, "patch_size": 4, "num_channels": 2,
    "id2label": {"0": "cat", "1": "dog", "2": "owl"}, "label2id": {"cat": 0, "dog": 1, "owl": 2}, "problem_type": None,
}
CASES = [
    {"config": {"architecture": "resnet18", "num_classes": 5, "image_size": 64}, "input": [4, 3, 64, 64], "make": torchvision_resnet},
    {"config": {"architecture": "resnet18", "num_classes": 7, "stem": "cifar", "image_size": 16}, "input": [3, 3, 16, 16], "make": torchvision_resnet},
    {"config": {"architecture": "resnet34", "num_classes": 3, "image_size": 40}, "input": [2, 3, 40, 40], "make": torchvision_resnet},
    {"config": {"architecture": "resnet50", "num_classes": 4, "image_size": 48}, "input": [3, 3, 48, 48], "make": torchvision_resnet},
    {"config": {"architecture": "resnet20", "num_labels": 6, "image_size": 12}, "input": [4, 3, 12, 12], "make": lambda config: CifarResNet(20, config["num_labels"])},
    {"config": VIT, "input": [3, 2, 12, 12], "make": vit},
]


def logits_of(model, x):
    found = model(x)
    return found if torch.is_tensor(found) else found.logits


def digest(tensor, seed):
    """Norm, projection on hashes, and four elements: [norm, projection, first, ..]."""
    flat = tensor.detach().double().reshape(-1).numpy()
    picked = [flat[int((i + 0.5) * len(flat) / 4)] for i in range(4)]
    return [float(f"{number:.9g}") for number in (np.linalg.norm(flat), flat @ hashed(seed, len(flat)), *picked)]


def stable_seed(model, shape, labels):
    """The first seed of the inputs at which PyTorch's own gradients in float32 are those in float64: a ReLU whose input is
    zero but for rounding turns a gradient off or on, and then no two computations agree."""

    def gradients(model, x):
        model.train()
        F.cross_entropy(logits_of(model, x), labels).backward()
        return [parameter.grad.double() for parameter in model.parameters()]

    for seed in range(SEED + 5000, SEED + 5012):
        x = torch.tensor(hashed(seed, *shape))
        exact = gradients(copy.deepcopy(model), x)
        single = gradients(copy.deepcopy(model).float(), x.float())
        worst = max(((a - b).norm() / max(a.norm().item(), 1e-3)).item() for a, b in zip(exact, single))
        print(shape, seed, worst)
        if worst < 3e-5:
            return seed
    raise SystemExit(f"no stable inputs for {shape}")


def write_case(case):
    model = case["make"](case["config"]).double()
    entries = {hub_name(name): tensor for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        for name, filled in weights({name: tuple(tensor.shape) for name, tensor in entries.items()}).items():
            entries[name].copy_(filled)
    if case["config"].get("architecture", "").startswith("resnet") and case["make"] is torchvision_resnet and "stem" not in case["config"]:
        other = timm.create_model(case["config"]["architecture"], num_classes=case["config"]["num_classes"]).double().eval()
        other.load_state_dict(model.state_dict())
    else:
        other = None
    labels = torch.arange(case["input"][0]) % 3
    input_seed = stable_seed(model, case["input"], labels)
    x = torch.tensor(hashed(input_seed, *case["input"]))
    model.eval()
    evaluated = logits_of(model, x).detach()
    if other is not None:
        torch.testing.assert_close(other(x), evaluated)
    model.train()
    trained = logits_of(model, x)
    loss = F.cross_entropy(trained, labels)
    loss.backward()
    gradients = {hub_name(name): parameter.grad for name, parameter in model.named_parameters()}
    buffers = {name: tensor for name, tensor in model.named_buffers()}
    summary = lambda tensors: {name: digest(tensors[name], SEED + 9000 + i) for i, name in enumerate(sorted(tensors))}
    return {
        "config": case["config"], "input": case["input"], "inputSeed": input_seed,
        "evaluation": [float(f"{v:.9g}") for v in evaluated.reshape(-1).tolist()],
        "training": [float(f"{v:.9g}") for v in trained.detach().reshape(-1).tolist()],
        "loss": loss.item(), "gradients": summary(gradients), "buffers": summary(buffers),
    }


def check(folder):
    """Compares the logits that weightlock wrote beside a model directory with those of the libraries that know it."""
    config = json.loads((folder / "config.json").read_text())
    expected = json.loads((folder / "logits.json").read_text())
    x = torch.tensor(hashed(expected["inputSeed"], *expected["input"]), dtype=torch.float32)
    wanted = torch.tensor(expected["logits"]).reshape(len(x), -1)
    loaded = {}
    if "architectures" in config:
        model, info = transformers.ViTForImageClassification.from_pretrained(folder, output_loading_info=True)
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
        loaded["transformers"] = model
    elif config["architecture"] in ("resnet18", "resnet34", "resnet50"):
        state = load_file(folder / "model.safetensors")
        assert {v.dtype for k, v in state.items() if k.endswith("num_batches_tracked")} == {torch.int64}
        channels = state["conv1.weight"].shape[1]
        model = torchvision_resnet(config)
        if channels != 3:
            model.conv1 = nn.Conv2d(channels, 64, model.conv1.kernel_size, model.conv1.stride, model.conv1.padding, bias=False)
        print("torchvision", model.load_state_dict(state, strict=True))
        loaded["torchvision"] = model
        if config.get("stem") != "cifar":
            loaded["timm local-dir"] = timm.create_model(f"local-dir:{folder}", pretrained=True)
            loaded["timm checkpoint"] = timm.create_model(
                config["architecture"], num_classes=config["num_classes"], in_chans=channels, checkpoint_path=str(folder / "model.safetensors"))
    else:
        model = CifarResNet(int(config["architecture"][6:]), config["num_labels"])
        print("published ResNet", model.load_state_dict(load_file(folder / "model.safetensors"), strict=False))
        loaded["PyTorch"] = model
    for name, model in loaded.items():
        found = logits_of(model.eval(), x)
        error = (found - wanted).abs().max().item() / wanted.abs().max().item()
        print(f"{folder.name}: {name}: largest error of the logits, relative to the largest: {error:.1e}")
        assert error < 1e-4


if len(sys.argv) > 1:
    with torch.no_grad():
        for path in sys.argv[1:]:
            check(pathlib.Path(path))
else:
    torch.manual_seed(SEED)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "timm": timm.__version__, "transformers": transformers.__version__}
    document = {"script": "tools/oracles/vision_models.py", "versions": versions, "seed": SEED, "cases": [write_case(case) for case in CASES]}
    OUT.write_text(json.dumps(document, separators=(",", ":")).replace('{"config"', '\n{"config"') + "\n")
