"""Writes test/fixtures/sobol.json: unscrambled Sobol points of scipy.stats.qmc, as whole numbers of 2^-30."""

import json
import pathlib
import platform

import numpy as np
import scipy
from scipy.stats import qmc

points = (qmc.Sobol(12, scramble=False, bits=30).random(64) * 2**30).astype(np.int64)
out = {
    "script": "tools/oracles/sobol.py",
    "versions": {"python": platform.python_version(), "scipy": scipy.__version__},
    "bits": 30,
    "points": points.tolist(),
}
path = pathlib.Path(__file__).parents[2] / "test" / "fixtures" / "sobol.json"
path.write_text(json.dumps(out) + "\n")
print(path.name, path.stat().st_size, "bytes")
