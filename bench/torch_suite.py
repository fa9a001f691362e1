"""PyTorch's side of the suite's benchmark: each search an Optuna study, the searches shared by some processes of one thread each.

torch_suite.py PLAN.json PROCESSES
"""

import json
import multiprocessing
import sys

import optuna
import torch
from torch.nn import functional as F
from torch_cnn import Cnn

OPTIMIZERS = {"adamw": torch.optim.AdamW, "adadelta": torch.optim.Adadelta}


def run_search(search, tests):
    """One search: a study with the trials of the plan."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(search["examples"], 1, 28, 28, generator=generator)
    labels = torch.randint(5, (search["examples"],), generator=generator)
    test_images = torch.randn(tests, 1, 28, 28, generator=generator)
    test_labels = torch.randint(5, (tests,), generator=generator)
    size = min(search["batchSize"], search["examples"])

    def objective(trial):
        rate, seed = trial.suggest_float("rate", 1e-12, 1e6, log=True), trial.suggest_int("seed", 0, 10**9)
        planned = search["trials"][trial.number]
        torch.manual_seed(seed)
        net = Cnn(5)
        optimizer = OPTIMIZERS[search["optimizer"]](net.parameters(), lr=rate)
        best, order, at = 0.0, torch.randperm(search["examples"]), 0
        measured = set(planned["measured"])
        for step in range(max(measured) + 1):
            if step in measured:
                with torch.no_grad():
                    score = (net(test_images).argmax(1) == test_labels).float().mean().item()
                trial.report(score, step)
                best = max(best, score)
            if step == max(measured):
                break
            if at + size > len(order):
                order, at = torch.randperm(search["examples"]), 0
            rows = order[at : at + size]
            at += size
            optimizer.zero_grad()
            F.cross_entropy(net(images[rows]), labels[rows]).backward()
            optimizer.step()
        return best

    study = optuna.create_study(direction="maximize")
    for planned in search["trials"]:
        study.enqueue_trial({"rate": planned["learningRate"], "seed": planned["seed"]})
    study.optimize(objective, n_trials=len(search["trials"]))
    return study.best_value


def start():
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        plan = json.load(file)
    unknown = {search["optimizer"] for search in plan["searches"]} - OPTIMIZERS.keys()
    if unknown:
        sys.exit(f"torch_suite.py: expected searches with {', '.join(OPTIMIZERS)}, found {', '.join(unknown)}")
    with multiprocessing.get_context("spawn").Pool(int(sys.argv[2]), start) as pool:
        for value in pool.starmap(run_search, [(search, plan["tests"]) for search in plan["searches"]], chunksize=1):
            print(value)
