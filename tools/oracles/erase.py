"""Writes test/fixtures/erase.json: the best rank-r part of a matrix under two metrics, by symmetric roots and numpy's SVD; and a matrix
without what two other metrics need, by the normal equations of the whole problem; and a ridge regression on classes, by least squares
with the ridge as more rows.

For each case: W, the second moments R and S (of its outputs' gradients and of its inputs; one axis: a diagonal), the ridge, the squares
of the singular values of M = R^1/2 W S^1/2, and R^-1/2 M_r S^-1/2 for some r.
Run: python tools/oracles/erase.py
"""

import json
import pathlib

import numpy as np

SEED = 7100
# Of the lock: proxy-needs.ts.
READOUT_RIDGE = 0.01


def root(metric, power):
    values, vectors = np.linalg.eigh(metric)
    return vectors @ np.diag(values**power) @ vectors.T


def regular(metric, ridge):
    return metric + ridge * np.trace(metric) / len(metric) * np.eye(len(metric))


def case(rng, rows, columns, ridge, ranks, diagonal=(False, False), poor=False):
    w = rng.standard_normal((rows, columns)).astype(np.float32)
    moments = []
    for size, flat in ((rows, diagonal[0]), (columns, diagonal[1])):
        seen = rng.standard_normal((3 * size if not poor else max(1, size // 2), size)) * np.logspace(0, -2, size)
        moment = seen.T @ seen / len(seen)
        moments.append(np.diag(np.diag(moment)) if flat else moment)
    left, right = (regular(moment, ridge) for moment in moments)
    m = root(left, 0.5) @ w.astype(np.float64) @ root(right, 0.5)
    u, sigma, vt = np.linalg.svd(m, full_matrices=False)
    kept = {
        str(r): (root(left, -0.5) @ (u[:, :r] * sigma[:r]) @ vt[:r] @ root(right, -0.5)).ravel().tolist()
        for r in ranks
    }
    plain = [np.diag(moment) if flat else moment for moment, flat in zip(moments, diagonal)]
    return {
        "rows": rows,
        "columns": columns,
        "ridge": ridge,
        "w": w.astype(np.float64).ravel().tolist(),
        "left": plain[0].ravel().tolist(),
        "right": plain[1].ravel().tolist(),
        "energies": (sigma**2).tolist(),
        "kept": kept,
    }


def without_needs(rng, rows, columns, ridge, weight, diagonal=(False, False), none=False):
    """The W' that makes |R^1/2 (W - W') S^1/2|^2 + weight |P^1/2 W' Q^1/2|^2 least: (R x S + weight P x Q) vec W' = (R x S) vec W."""
    w = rng.standard_normal((rows, columns)).astype(np.float32)
    sides = []
    for size, flat in ((rows, diagonal[0]), (columns, diagonal[1])):
        both = []
        for count in (3 * size, max(1, size // 2)):
            seen = rng.standard_normal((count, size)) * np.logspace(0, -1, size)
            moment = seen.T @ seen / count
            both.append(np.diag(np.diag(moment)) if flat else moment)
        sides.append(both)
    (r, p), (s, q) = sides
    if none:
        p = np.zeros_like(p)
    own = np.kron(regular(r, ridge), regular(s, ridge))
    found = np.linalg.solve(own + weight * np.kron(p, q), own @ w.astype(np.float64).ravel())
    plain = [np.diag(m) if flat else m for m, flat in ((r, diagonal[0]), (s, diagonal[1]), (p, diagonal[0]), (q, diagonal[1]))]
    return {
        "rows": rows,
        "columns": columns,
        "ridge": ridge,
        "weight": weight,
        "w": w.astype(np.float64).ravel().tolist(),
        **{name: m.ravel().tolist() for name, m in zip(("left", "right", "leftNeeds", "rightNeeds"), plain)},
        "found": found.tolist(),
    }


def readout(rng, size, width, classes, missing=None):
    """Least squares of each class against the others on centred values, the ridge as more rows, each output scaled to a variance of 1."""
    labels = rng.integers(0, classes, size)
    if missing is not None:
        labels[labels == missing] = 0
    x = rng.standard_normal((size, width)) * np.logspace(0, -1, width) + rng.standard_normal((classes, width))[labels]
    x -= x.mean(0)
    one_hot = np.eye(classes)[labels]
    ridge = READOUT_RIDGE * np.trace(x.T @ x) / width
    rows = np.vstack([x, np.sqrt(ridge) * np.eye(width)])
    found = np.linalg.lstsq(rows, np.vstack([one_hot, np.zeros((width, classes))]), rcond=None)[0]
    spread = (x @ found).std(0)
    found = np.divide(found, spread, out=np.zeros_like(found), where=spread > 1e-12)
    return {
        "width": width,
        "classes": classes,
        "x": x.ravel().tolist(),
        "labels": labels.tolist(),
        "found": found.ravel().tolist(),
    }


def main():
    rng = np.random.default_rng(SEED)
    cases = [
        case(rng, 4, 6, 1e-4, [1, 2, 3]),
        case(rng, 7, 3, 1e-4, [1, 2]),
        case(rng, 5, 5, 1e-2, [2, 4], poor=True),
        case(rng, 9, 4, 1e-4, [1, 3], diagonal=(True, False)),
        case(rng, 3, 8, 1e-4, [1, 2], diagonal=(False, True)),
    ]
    needs = [
        without_needs(rng, 4, 6, 1e-4, 1),
        without_needs(rng, 7, 3, 1e-2, 30),
        without_needs(rng, 9, 4, 1e-4, 2, diagonal=(True, False)),
        without_needs(rng, 3, 5, 1e-4, 1, none=True),
    ]
    readouts = [readout(rng, 40, 5, 2), readout(rng, 60, 4, 3), readout(rng, 30, 6, 3, missing=2)]
    fixture = {"script": "tools/oracles/erase.py", "versions": {"numpy": np.__version__}, "seed": SEED, "cases": cases, "needs": needs, "readouts": readouts}
    path = pathlib.Path(__file__).parents[2] / "test" / "fixtures" / "erase.json"
    path.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
