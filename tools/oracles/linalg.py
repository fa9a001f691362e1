"""Writes test/fixtures/linalg-exact.json, linalg-top.json, linalg-condition.json and linalg-leading.json: singular values by LAPACK (scipy, driver gesvd), QR by numpy, gradients by torch.

Large inputs are named by a hash that the tests evaluate too (integers only, so the bits agree); the rest are stored.
Run: python tools/oracles/linalg.py
"""

import base64
import fractions
import json
import pathlib

import numpy as np
import scipy
import scipy.linalg
import torch

SEED = 20240611
rng = np.random.default_rng(SEED)


def hashed(seed, rows, columns):
    """Entries in [-1, 1) with 24 bits, exact in float32: a 32-bit integer finalizer over (index, seed)."""
    x = np.arange(rows * columns, dtype=np.uint32)
    x = x * np.uint32(0x9E3779B1) + np.uint32(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x = x * np.uint32(factor)
    x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)).astype(np.float64) / 2**23 - 1).reshape(rows, columns)


def values(matrix):
    kind = {"float64": "f64", "float32": "f32"}[matrix.dtype.name]
    return {kind: base64.b64encode(np.ascontiguousarray(matrix).tobytes()).decode()}


def sigma(matrix, count=None):
    scale = 2.0 ** -np.floor(np.log2(np.abs(matrix).max())) if matrix.any() else 1.0
    result = scipy.linalg.svd(matrix.astype(np.float64) * scale, compute_uv=False, lapack_driver="gesvd") / scale
    return result[:count].tolist()


def orthogonal(rows, columns):
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def spectrum(rows, columns, sigmas):
    k = len(sigmas)
    return (orthogonal(rows, k) * np.asarray(sigmas)) @ orthogonal(columns, k).T


exact = []


def add_hashed(name, seed, rows, columns, exponent=0, row_exponent=0, column_exponent=0):
    m = hashed(seed, rows, columns)
    m = np.ldexp(m, exponent + row_exponent * np.arange(rows)[:, None] + column_exponent * np.arange(columns)[None, :])
    source = {"hash": seed, "exponent": exponent, "rowExponent": row_exponent, "columnExponent": column_exponent}
    exact.append({"name": name, "rows": rows, "columns": columns, "source": source, "sigma": sigma(m)})


def add_stored(name, m):
    exact.append({"name": name, "rows": m.shape[0], "columns": m.shape[1], "source": values(m), "sigma": sigma(m)})


for index, (rows, columns) in enumerate(
    [(1, 1), (2, 2), (5, 5), (16, 9), (32, 32), (33, 33), (1, 50), (50, 1), (100, 40), (40, 100), (64, 64), (500, 60), (128, 400), (301, 300)]
):
    add_hashed(f"dense {rows}x{columns}", 100 + index, rows, columns)
for size in (20, 60):
    add_hashed(f"rows graded downwards {size}", 201, size, size, row_exponent=-2)
    add_hashed(f"rows graded upwards {size}", 202, size, size, row_exponent=2, exponent=-2 * size)
    add_hashed(f"columns graded {size}", 203, size, size, column_exponent=-3)
    add_hashed(f"graded both ways {size}", 204, size, size, row_exponent=-2, column_exponent=2)
    add_hashed(f"huge {size}", 205, size, size + 5, exponent=500)
    add_hashed(f"tiny {size}", 206, size + 5, size, exponent=-500)
    add_hashed(f"near overflow {size}", 207, size, size, exponent=1015)
    add_hashed(f"near underflow {size}", 208, size, size, exponent=-1000)
    add_stored(f"zero {size}", np.zeros((size, size + 3)))
    integers = rng.integers(-9, 10, (size, 4)) @ rng.integers(-9, 10, (4, size + 8))
    add_stored(f"rank 4 {size}", integers.astype(np.float64))
    add_stored(f"near equal {size}", spectrum(size, size, 3 + 1e-9 * np.arange(size)))
    add_stored(f"identity {size}", np.eye(size))
    add_stored(f"clusters {size}", spectrum(size, size, np.repeat([5.0, 1.0, 1e-7, 1e-12], size // 4)))
    bidiagonal = np.diag(np.arange(size, dtype=np.float64) % 3) + np.diag(np.ones(size - 1), 1)
    add_stored(f"bidiagonal with zeros on the diagonal {size}", bidiagonal.astype(np.float32))

top = []


def add_top(name, m, source, count=4):
    top.append({"name": name, "rows": m.shape[0], "columns": m.shape[1], "source": source, "sigma": sigma(m, count)})


for index, (rows, columns) in enumerate(
    [(16, 9), (32, 144), (128, 800), (10, 64), (384, 384), (1, 50), (50, 1), (3, 7), (800, 40)]
):
    add_top(f"dense {rows}x{columns}", hashed(300 + index, rows, columns), {"hash": 300 + index})
for name, m in {
    "zero": np.zeros((20, 30)),
    "rank 2": rng.integers(-9, 10, (30, 2)) @ rng.integers(-9, 10, (2, 40)),
    "all ones": np.ones((25, 31)),
    "relative gaps 1e-6": spectrum(40, 60, 2 * (1 - 1e-6 * np.arange(40))),
    "four equal above a gap of 1e-6": spectrum(48, 48, np.concatenate([np.full(4, 3.0), 3.0 * (1 - 1e-6 * np.arange(1, 45))])),
    "power law 1/j": spectrum(60, 50, 7.0 / np.arange(1, 51)),
    "power law 1/j^3": spectrum(50, 60, 7.0 / np.arange(1.0, 51) ** 3),
    "flat with one outlier": spectrum(64, 48, np.concatenate([[100.0], np.ones(47)])),
    "one entry": np.where(np.arange(600).reshape(20, 30) == 417, 3.0, 0.0),
    "tiny": spectrum(20, 24, 1e-30 / np.arange(1, 21)),
    "huge": spectrum(20, 24, 1e30 / np.arange(1, 21)),
}.items():
    single = np.asarray(m).astype(np.float32)
    add_top(name, single, values(single))


def moving(name, rows, columns, seed, walk, growth, iterations=1, steps=50):
    """W(t) = W(t-1) + walk * hashed(seed + t) + growth * c * d^T, every operation rounded to float32."""
    f = np.float32
    w = hashed(seed, rows, columns).astype(f)
    c = hashed(seed + 1000, rows, 1).astype(f)
    d = hashed(seed + 2000, 1, columns).astype(f)
    result = [sigma(w, 4)]
    for t in range(1, steps):
        w = w + f(walk) * hashed(seed + t, rows, columns).astype(f)
        w = w + f(growth) * (c * d)
        result.append(sigma(w, 4))
    return {"name": name, "rows": rows, "columns": columns, "seed": seed, "walk": walk, "growth": growth, "iterations": iterations, "sigma": result}


sequences = [
    moving("random walk", 32, 144, 500, 2**-8, 0.0),
    moving("one direction grows out of a flat spectrum by 0.5 % a step", 64, 96, 600, 2**-9, 2**-9),
    moving("one direction grows out of a flat spectrum by 1 % a step", 64, 96, 600, 2**-9, 2**-8, iterations=2),
    moving("flat and square", 96, 96, 700, 2**-8, 0.0),
]

tall = rng.standard_normal((50, 6))
qr = {"rows": 50, "columns": 6, "source": values(tall), "absoluteR": np.abs(np.linalg.qr(tall)[1]).ravel().tolist()}

weight = torch.tensor(rng.standard_normal((24, 18)).astype(np.float32), dtype=torch.float64, requires_grad=True)
(0.25 * torch.linalg.svd(weight, full_matrices=False)[1][:5].sum()).backward()
gradient = {
    "rows": 24,
    "columns": 18,
    "k": 5,
    "scale": 0.25,
    "source": values(weight.detach().numpy().astype(np.float32)),
    "gradient": values(weight.grad.numpy()),
}

condition = []


def add_condition(name, matrix):
    """A float32 matrix and its condition number; none where an exact elimination finds a rank below full."""
    single = np.asarray(matrix).astype(np.float32)
    full = exact_rank(single) == min(single.shape)
    s = sigma(single)
    condition.append(
        {"name": name, "rows": single.shape[0], "columns": single.shape[1], "source": values(single), "condition": s[0] / s[-1] if full else None}
    )


def exact_rank(single):
    """Rank over the rationals: float32 values are exact fractions."""
    rows = [[fractions.Fraction(float(value)) for value in row] for row in single]
    rank = 0
    for column in range(single.shape[1]):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column] != 0), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for i in range(rank + 1, len(rows)):
            factor = rows[i][column] / rows[rank][column]
            if factor != 0:
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[rank])]
        rank += 1
    return rank


for rows, columns in ((24, 24), (24, 60), (60, 24), (40, 40)):
    for last in (1 / 31137, 1e-6, 1e-8):
        add_condition(f"condition {1 / last:.0f}, {rows}x{columns}", spectrum(rows, columns, np.geomspace(1, last, min(rows, columns))))
# Rounding to float32 lifts the rank of a real matrix: the values themselves then have one, of about 1e7 to 1e9.
add_condition("rank 30 of 40 before it was rounded", spectrum(40, 40, np.ones(30)))
add_condition("last row tiny", np.vstack([hashed(801, 19, 20), 1e-9 * hashed(802, 1, 20)]))
add_condition("tiny throughout", 1e-30 * spectrum(16, 16, np.geomspace(1, 1e-3, 16)))
add_condition("one row", hashed(803, 1, 30))
# Integers, so that float32 holds the low rank exactly.
add_condition("rank 5 of 12", rng.integers(-9, 10, (12, 5)) @ rng.integers(-9, 10, (5, 15)))
add_condition("rank 39 of 40", np.vstack([m := rng.integers(-9, 10, (39, 40)), m.sum(axis=0)]))
add_condition("two equal rows", np.vstack([m := hashed(804, 33, 50), m[:1]]))
add_condition("a row of zeros", np.vstack([hashed(805, 10, 20), np.zeros((1, 20))]))
add_condition("zero", np.zeros((5, 7)))

leading = []


def add_leading(name, rows, columns, hash=None, raised=(), diagonal=()):
    """float32 of hashed(hash) + sum of factor * c * d^T (hashed vectors) + a diagonal scattered over the columns."""
    m = np.zeros((rows, columns)) if hash is None else hashed(hash, rows, columns)
    for seed, factor in raised:
        m = m + factor * (hashed(seed, rows, 1) * hashed(seed + 1, 1, columns))
    for i, value in enumerate(diagonal):
        m[i, (7 * i + 3) % columns] += value
    recipe = {"hash": hash, "raised": list(raised), "diagonal": list(diagonal)}
    leading.append({"name": name, "rows": rows, "columns": columns, **recipe, "sigma": sigma(m.astype(np.float32), 8)})


wide = (520, 561)
steps = np.arange(520)
add_leading("random wide", *wide, hash=901)
add_leading("random tall", 700, 530, hash=902)
add_leading("four raised far", *wide, hash=903, raised=[(910, 4.0), (912, 4.0), (914, 2.0), (916, 256.0)])
add_leading("one raised a millionfold", *wide, hash=904, raised=[(920, 2.0**20)])
add_leading("rank 3", *wide, raised=[(930, 3.0), (932, 1.0), (934, 2.0**-10)])
add_leading("zero", *wide)
add_leading("all equal", *wide, diagonal=[2.5] * 520)
add_leading("four equal, then gaps of 1e-6", *wide, diagonal=np.concatenate([[3.0] * 4, 3 * (1 - 1e-6 * steps[1:517])]).tolist())
add_leading("gaps of 1e-6 throughout", *wide, diagonal=(2 * (1 - 1e-6 * steps)).tolist())
add_leading("gaps of 1e-4 throughout", *wide, diagonal=(2 * (1 - 1e-4 * steps)).tolist())
add_leading("power law", *wide, diagonal=(5.0 / (1 + steps) ** 2).tolist())
add_leading("in pairs", *wide, diagonal=np.repeat(4 * 0.97 ** np.arange(260), 2).tolist())
# Up to a shorter side of 512 the full SVD answers, in blocks where the longer one is long.
add_leading("long and narrow", 40000, 32, hash=905)
add_leading("wide and low", 48, 30000, hash=906, raised=[(940, 64.0)])

head = {
    "script": "tools/oracles/linalg.py",
    "versions": {"numpy": np.__version__, "scipy": scipy.__version__, "torch": torch.__version__},
    "seed": SEED,
}
folder = pathlib.Path(__file__).parents[2] / "test" / "fixtures"
for name, content in {
    "linalg-exact": {"exact": exact, "qr": qr},
    "linalg-condition": {"condition": condition},
    "linalg-leading": {"leading": leading},
    "linalg-top": {"top": top, "sequences": sequences, "gradient": gradient},
}.items():
    path = folder / f"{name}.json"
    path.write_text(json.dumps(head | content) + "\n")
    print(path.name, path.stat().st_size, "bytes")
