"""Writes test/fixtures/intervals.json: Student t quantiles, mean intervals and sign-test coverages from SciPy."""

import json
import pathlib
import platform

import numpy as np
import scipy
from scipy import stats

SEED = 20261

CONFIDENCES = [0.5, 0.8, 0.9, 0.95, 0.99, 0.999]
DEGREES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 24, 29, 60, 121, 1000, 20001]

rng = np.random.default_rng(SEED)

quantiles = [
    {"degrees": d, "confidence": c, "t": float(stats.t.ppf(0.5 + c / 2, d))} for d in DEGREES for c in CONFIDENCES
]

means = []
for n, scale, shift in [(2, 1.0, 0.0), (3, 0.01, 0.95), (5, 40.0, 120.0), (10, 1e-8, 1.0), (30, 1e6, -3e6)]:
    values = rng.normal(shift, scale, n)
    for confidence in (0.9, 0.95, 0.99):
        interval = stats.ttest_1samp(values, 0).confidence_interval(confidence)
        means.append(
            {
                "values": values.tolist(),
                "confidence": confidence,
                "mean": float(values.mean()),
                "low": float(interval.low),
                "high": float(interval.high),
            }
        )

# The order statistics [rank, n + 1 - rank] (1-based) cover the median of a continuous distribution with this
# probability; SciPy's quantile_test gives the same interval by inverting the binomial test on each side.
coverages = []
for n in [2, 3, 4, 5, 6, 8, 9, 12, 17, 25, 40]:
    candidates = [(r, float(1 - 2 * stats.binom.cdf(r - 1, n, 0.5))) for r in range(1, n // 2 + 1)]
    kept = [c for c in candidates if c[1] >= 0.95] or candidates[:1]
    rank, coverage = kept[-1]
    coverages.append({"n": n, "rank": rank, "coverage": coverage})

out = {
    "script": "tools/oracles/intervals.py",
    "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
    "seed": SEED,
    "quantiles": quantiles,
    "means": means,
    "coverages": coverages,
}
path = pathlib.Path(__file__).parents[2] / "test" / "fixtures" / "intervals.json"
path.write_text(json.dumps(out, indent=1) + "\n")
print(path.name, path.stat().st_size, "bytes")
