"""Writes test/fixtures/survival.json: Kaplan-Meier curves with log-log intervals from scipy.stats.ecdf."""

import json
import pathlib
import platform

import numpy as np
import scipy
from scipy import stats

SEED = 20264
rng = np.random.default_rng(SEED)

cases = []
for n, share in [(6, 0.0), (6, 0.3), (10, 0.5), (25, 0.2), (5, 1.0), (12, 0.8)]:
    times = np.round(np.exp(rng.normal(3, 1, n)), 3)
    censored = rng.random(n) < share
    if share < 1 and censored.all():
        censored[0] = False
    sample = stats.CensoredData.right_censored(times, censored)
    survival = stats.ecdf(sample).sf
    with np.errstate(all="ignore"):
        interval = survival.confidence_interval(0.95, method="log-log")
    cases.append(
        {
            "times": times.tolist(),
            "censored": censored.tolist(),
            "at": survival.quantiles.tolist(),
            "survival": survival.probabilities.tolist(),
            "low": [None if np.isnan(v) else float(v) for v in interval.low.probabilities],
            "high": [None if np.isnan(v) else float(v) for v in interval.high.probabilities],
        }
    )

out = {
    "script": "tools/oracles/survival.py",
    "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
    "seed": SEED,
    "cases": cases,
}
path = pathlib.Path(__file__).parents[2] / "test" / "fixtures" / "survival.json"
path.write_text(json.dumps(out, indent=1) + "\n")
print(path.name, path.stat().st_size, "bytes")
