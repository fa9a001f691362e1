"""Loads model directories that write_cards.mjs wrote as their users do, with nothing but their path: transformers'
AutoImageProcessor and AutoModelForImageClassification, timm's create_model and its transform. Compares class names, the
prepared image and the logits.

    python tools/oracles/check_cards.py FOLDER
"""

import json
import pathlib
import sys

import numpy as np
import timm
import torch
import transformers
from PIL import Image

root = pathlib.Path(sys.argv[1])


def compare(what, prepared, logits, names, expected):
    wanted = torch.tensor(expected["input"]).reshape(1, *expected["shape"])
    assert prepared.shape == wanted.shape, (what, prepared.shape, wanted.shape)
    # Pillow and torchvision may round a resized byte differently: one grey level of 255, over the deviation.
    image = (prepared - wanted).abs().max().item()
    output = (logits - torch.tensor(expected["logits"])).abs().max().item()
    print(f"{what}: image differs by {image:.4f} at most, logits by {output:.1e}, classes {names}")
    assert list(names) == expected["classes"], (what, names, expected["classes"])
    assert image <= 1.01 / 255 / 0.3 and output < 1e-4, what


with torch.no_grad():
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        expected = json.loads((folder / "expected.json").read_text())
        pixels = np.array(expected["pixels"], dtype=np.uint8).reshape(28, 28)
        exact = torch.tensor(expected["input"]).reshape(1, *expected["shape"])
        image = Image.fromarray(pixels, mode="L")
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
        # TimmWrapperImageProcessor makes no colour of grey.
        shown = image.convert("RGB") if expected["shape"][0] == 3 and "Timm" in type(processor).__name__ else image
        prepared = processor(shown, return_tensors="pt")["pixel_values"]
        if folder.name.startswith("own"):
            print(f"{folder.name}: {type(processor).__name__} prepares it as weightlock does", torch.allclose(prepared, exact, atol=1e-5))
            assert torch.allclose(prepared, exact, atol=1e-5)
            continue
        model, info = transformers.AutoModelForImageClassification.from_pretrained(folder, output_loading_info=True)
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
        names = [model.config.id2label[label] for label in range(model.config.num_labels)]
        compare(f"{folder.name}: transformers, {type(processor).__name__}", prepared, model.eval()(exact).logits[0], names, expected)
        if folder.name.startswith("timm"):
            model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
            transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
            shown = image.convert("RGB") if expected["shape"][0] == 3 else image
            compare(f"{folder.name}: timm", transform(shown)[None], model(exact)[0], model.pretrained_cfg["label_names"], expected)
