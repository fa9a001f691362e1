"""Oracle for stored dtypes: how numpy and torch widen and round.

Writes test/fixtures/dtypes.json (digests of all patterns, integer casts) and test/fixtures/dtypes-rounding.safetensors
(float32 inputs and their rounded forms).
"""
import hashlib
import json
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch

SEED = 20240717
OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures"
VERSIONS = {"python": sys.version.split()[0], "numpy": np.__version__, "torch": torch.__version__}
rng = np.random.default_rng(SEED)


def digest(values: np.ndarray) -> str:
    """SHA-256 of float32 bits, every NaN as 0x7fc00000."""
    bits = values.astype("<f4").view("<u4").copy()
    bits[np.isnan(values)] = 0x7FC00000
    return hashlib.sha256(bits.tobytes()).hexdigest()


all16 = np.arange(65536, dtype=np.uint16)
all8 = np.arange(256, dtype=np.uint8)
decoded = {
    "F16": all16.view(np.float16).astype(np.float32),
    "BF16": torch.from_numpy(all16.view(np.int16)).view(torch.bfloat16).float().numpy(),
    "F8_E4M3": torch.from_numpy(all8).view(torch.float8_e4m3fn).float().numpy(),
    "F8_E5M2": torch.from_numpy(all8).view(torch.float8_e5m2).float().numpy(),
}

# Inputs: random bit patterns, values around each dtype's range, and every rounding boundary of the small dtypes.
def around(values: np.ndarray) -> np.ndarray:
    values = values[np.isfinite(values)].astype(np.float32)
    return np.concatenate([values, np.nextafter(values, np.float32(np.inf)), np.nextafter(values, np.float32(-np.inf))])


def midpoints(values: np.ndarray) -> np.ndarray:
    finite = np.unique(values[np.isfinite(values)].astype(np.float64))
    return ((finite[1:] + finite[:-1]) / 2).astype(np.float32)


half_edges = midpoints(decoded["F16"])
bf_edges = midpoints(decoded["BF16"])
inputs = np.concatenate([
    rng.integers(0, 2**32, 4000, dtype=np.uint32).view(np.float32),
    (rng.standard_normal(3000) * 10.0 ** rng.uniform(-9, 6, 3000)).astype(np.float32),
    around(midpoints(decoded["F8_E4M3"])),
    around(midpoints(decoded["F8_E5M2"])),
    around(rng.choice(half_edges, 1500)),
    around(rng.choice(half_edges[np.abs(half_edges) < 2.0**-13], 500)),
    around(rng.choice(bf_edges, 1000)),
    around(bf_edges[np.abs(bf_edges) < 2.0**-125][:300]),
    around(np.array([0, 65504, 65519.996, 65520, 65536, 57344, 61440, 448, 464, 480, 3.3895314e38, 3.3961776e38,
                     3.4028235e38, 2.0**-24, 2.0**-25, 2.0**-14, 2.0**-126, 2.0**-133, 2.0**-134, 1e-45], np.float32)),
    -np.array([0, 65520, 65519, 464, 465, 2.0**-25, 2.0**-24 * 1.5, 3.4e38], np.float32),
    np.array([np.inf, -np.inf, np.nan, -np.nan, -0.0], np.float32),
    np.array([0x7F800001, 0xFF800001, 0x7FFFFFFF], np.uint32).view(np.float32),
])
source = torch.from_numpy(inputs)
with np.errstate(over="ignore"):
    half = torch.from_numpy(inputs.astype(np.float16))
safetensors.torch.save_file(
    {
        "input": source,
        "F16": half,
        "BF16": source.bfloat16(),
        "F8_E4M3": source.to(torch.float8_e4m3fn),
        "F8_E5M2": source.to(torch.float8_e5m2),
    },
    OUT / "dtypes-rounding.safetensors",
    metadata={"script": "tools/oracles/dtypes.py", "seed": str(SEED), **VERSIONS},
)

# int64 and uint64 to float32: one rounding (C cast), where going through double would round twice.
wide = np.concatenate([
    rng.integers(-(2**63), 2**63 - 1, 200, dtype=np.int64),
    np.array([0, 1, -1, 2**24 + 1, 2**53 + 1, -(2**63), 2**63 - 1], np.int64),
    # Just above a float32 midpoint, where the double in between lands exactly on it.
    np.array([(2**24 + 1) * 2**38 + 1, (2**24 + 2**1 + 1) * 2**38 - 1, -((2**24 + 1) * 2**38 + 1)], np.int64),
])
unsigned = np.concatenate([
    rng.integers(0, 2**64 - 1, 200, dtype=np.uint64),
    np.array([0, 2**64 - 1, 2**63, (2**24 + 1) * 2**39 + 1], np.uint64),
])
doubles = np.concatenate([
    rng.standard_normal(200) * 10.0 ** rng.uniform(-46, 39, 200),
    np.array([1 + 2.0**-24, 1 + 2.0**-24 + 2.0**-50, 3.4028235677973366e38, 3.4028235677973362e38, 1e300, 2.0**-150, 5e-324,
              -0.0, np.inf]),
])
with np.errstate(over="ignore"):
    casts = {
        "I64": [[str(v), int(np.float32(v).view(np.uint32))] for v in wide],
        "U64": [[str(v), int(np.float32(v).view(np.uint32))] for v in unsigned],
        "F64": [[str(v.view(np.uint64)), int(v.astype(np.float32).view(np.uint32))] for v in doubles],
    }
(OUT / "dtypes.json").write_text(json.dumps({
    "script": "tools/oracles/dtypes.py", "seed": SEED, "versions": VERSIONS,
    "digests": {name: digest(values) for name, values in decoded.items()},
    "casts": casts,
}, separators=(",", ":")) + "\n")
