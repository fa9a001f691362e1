"""Oracle for files of torch.save: PyTorch writes them, and says what their tensors are.

Writes test/fixtures/torch/: every .bin with a .safetensors of the same tensors, each with values of its own (so that tied tensors
and views are copies), written by the reference.
"""
import collections
import json
import pathlib
import sys

import safetensors.torch
import torch

SEED = 20261128
OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "torch"
VERSIONS = {"python": sys.version.split()[0], "safetensors": safetensors.__version__, "torch": torch.__version__}
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
          torch.uint8, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.uint32, torch.uint64]


class Net(torch.nn.Module):
    """A model with tied weights, a buffer, and a batch norm's counter."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(6, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.head = torch.nn.Linear(4, 6, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("position_ids", torch.arange(5).expand(1, -1))


def write(name: str, saved, state: dict, **options) -> None:
    torch.save(saved, OUT / f"{name}.bin", **options)
    safetensors.torch.save_file({key: value.detach().clone().contiguous() for key, value in state.items()}, OUT / f"{name}.safetensors")


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    model = Net()
    write("module", model.state_dict(), model.state_dict())
    values = torch.randn(2, 3).abs() * 3
    types = {str(dtype): values.to(dtype) for dtype in DTYPES}
    types |= {f"scalar {dtype}": values.to(dtype)[1, 2].clone() for dtype in DTYPES}
    write("types", types, types)
    base = torch.arange(120, dtype=torch.float32).reshape(4, 5, 6)
    views = {
        "base": base, "transposed": base.permute(2, 0, 1), "slice": base[1:3, 2], "column": base[:, 3, 4], "last": base[3, 4, 5],
        "steps": base[::2, ::3, ::2], "empty": base[:0], "one": base[2:3, :, 1:2].transpose(0, 1),
        "parameter": torch.nn.Parameter(base[0].t()), "Gewicht ä \u91cd\u307f": base[0, 0].half(),
    }
    write("views", collections.OrderedDict(views), views)
    write("wrapped", {"state_dict": model.state_dict(), "epoch": 3, "best": 0.5, "arch": "net", "betas": [0.9, 0.999]}, model.state_dict())
    write("legacy", model.state_dict(), model.state_dict(), _use_new_zipfile_serialization=False)
    (OUT / "legacy.safetensors").unlink()
    torch.save({"x": torch.zeros(1).expand(4)}, OUT / "expanded.bin")
    torch.save({"x": torch.eye(2).to_sparse()}, OUT / "sparse.bin")
    torch.save({"x": torch.ones(2, dtype=torch.complex64)}, OUT / "complex.bin")
    torch.save(model, OUT / "whole-module.bin")
    (OUT / "about.json").write_text(json.dumps({"script": "torch_files.py", "seed": SEED, "versions": VERSIONS}) + "\n")


if __name__ == "__main__":
    main()
