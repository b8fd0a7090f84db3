"""Tuning a chain: the number of arrays, their weights and rates for a device, by Optuna.

Each trial trains a small network on scikit-learn's digits for some steps, and is judged by its mean
training loss in the last quarter of them; all trials together take no more than ``--budget`` steps.
Trials that are worse than the median of those before are stopped halfway. What is tried:

* ``n_arrays``: 2 to ``--most-arrays``;
* ``fast_gamma``: the weight of the fast array, 0.01 to 0.2;
* ``gamma``: the weight of each array between, relative to the one before, 0.3 to 0.7;
* ``transfer_lr``: 0.005 to 0.2;
* ``join_share``: the part of the steps after which the last array has joined, 0.2 to 0.8.

The first trials are the defaults of ``build_config`` with each number of arrays, so that what is
found is no worse than they are; the last array joins halfway, as their 10,000 sweeps for each are
more than a short training has. Without optuna the other trials are drawn at random. In the end the
best trial is printed as a call of ``build_config``.

    python examples/09_tune_a_chain.py                          # HfO2, 4.3 states
    python examples/09_tune_a_chain.py --device ReRamES --budget 40000
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from random import Random
from typing import Any, Callable, Dict, List, Optional, Protocol

import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.presets import devices
from common.data import Images, load_images
from common.networks import fcn
from common.report import write_json
from torch import nn

from aihwkit_dspt import DeviceDefaults, build_config
from aihwkit_dspt.configs.chain_defaults import CHAIN_GAMMA

BATCH_SIZE = 10
LR = 0.1
SWEEP_VECTORS = 64
"""Vectors of a sweep over the fast array, by default."""

MISSING = (
    "optuna is not installed: trials are drawn at random instead of by what was found before. "
    "For a search that learns: pip install optuna"
)


class Trial(Protocol):
    """What a trial of Optuna has of what is used here."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Return a whole number."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number."""

    def report(self, value: float, step: int) -> None:
        """Take note of a loss on the way."""

    def should_prune(self) -> bool:
        """Return whether to stop."""


class StoppedError(Exception):
    """A trial that was not worth its steps; Optuna has an exception of its own."""


class RandomTrial:
    """A trial without Optuna: given numbers first, others by chance, and never stopped.

    Args:
        random: source of the numbers.
        given: numbers by name.
    """

    def __init__(self, random: Random, given: Dict[str, Any]) -> None:
        self.random = random
        self.params = dict(given)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``."""
        return int(self.params.setdefault(name, self.random.randint(low, high)))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number between ``low`` and ``high``, with ``log`` uniform in its logarithm."""
        drawn = self.random.random()
        value = low * (high / low) ** drawn if log else low + (high - low) * drawn
        return float(self.params.setdefault(name, value))

    def report(self, value: float, step: int) -> None:
        """Nobody looks at it."""

    def should_prune(self) -> bool:
        """Return ``False``."""
        return False


def settings_of(trial: Trial, most_arrays: int, steps: int) -> Dict[str, Any]:
    """Return the arguments of ``build_config`` that a trial asks for.

    Args:
        trial: the trial.
        most_arrays: largest number of arrays.
        steps: steps of the training.
    """
    n_arrays = trial.suggest_int("n_arrays", 2, most_arrays)
    settings: Dict[str, Any] = {
        "n_arrays": n_arrays,
        "transfer_lr": trial.suggest_float("transfer_lr", 0.005, 0.2, log=True),
    }
    fastest = trial.suggest_float("fast_gamma", 0.01, 0.2, log=True)
    # Suggested for two arrays as well: a search learns more from trials of equal names.
    between = trial.suggest_float("gamma", 0.3, 0.7)
    share = trial.suggest_float("join_share", 0.2, 0.8)
    if n_arrays == 2:
        return {**settings, "gamma": fastest}
    distances = range(n_arrays - 2, 0, -1)
    settings["gamma"] = [fastest, *(between**distance for distance in distances)]
    sweeps = steps * BATCH_SIZE / SWEEP_VECTORS
    settings["join_sweeps"] = max(round(share * sweeps / (n_arrays - 2)), 1)
    return settings


def defaults_of(device: Any, n_arrays: int) -> Dict[str, Any]:
    """Return the numbers of a trial with the defaults of ``build_config``, joined halfway."""
    derived = DeviceDefaults.of(device)
    return {
        "n_arrays": n_arrays,
        "transfer_lr": derived.transfer_lr,
        "fast_gamma": min(derived.gamma, 0.2),
        "gamma": CHAIN_GAMMA,
        "join_share": 0.5,
    }


def loss_of(trial: Trial, device: Any, images: Images, most_arrays: int, steps: int) -> float:
    """Train and return the mean loss in the last quarter of the steps.

    Raises:
        StoppedError: if the trial is not worth the second half.
    """
    torch.manual_seed(1)
    config = build_config("e-rider", device, **settings_of(trial, most_arrays, steps))
    model = convert_to_analog(fcn(images.size, (32, 16)), config)
    optimizer = AnalogSGD(model.parameters(), lr=LR)
    optimizer.regroup_param_groups(model)
    criterion, losses = nn.NLLLoss(), []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR * (1.0 - step / steps)
        index = torch.randint(len(images.train_y), (BATCH_SIZE,))
        optimizer.zero_grad()
        loss = criterion(model(images.train_x[index]), images.train_y[index])
        loss.backward()
        optimizer.step()
        losses.append(float(loss.item()))
        if step + 1 == steps // 2:
            trial.report(sum(losses[-steps // 4 :]) / (steps // 4), step)
            if trial.should_prune():
                raise StoppedError
    last = losses[-max(steps // 4, 1) :]
    return sum(last) / len(last)


Objective = Callable[[Trial], float]


def search_at_random(
    objective: Objective, starts: List[Dict[str, Any]], trials: int
) -> List[Dict[str, Any]]:
    """Return loss and numbers of each trial, the best first, without Optuna."""
    random, found = Random(1), []
    for number in range(trials):
        trial = RandomTrial(random, starts[number] if number < len(starts) else {})
        found.append({"loss": objective(trial), "params": trial.params})
    return sorted(found, key=lambda one: one["loss"])


def search(
    objective: Objective, starts: List[Dict[str, Any]], trials: int, optuna: Optional[Any]
) -> List[Dict[str, Any]]:
    """Return loss and numbers of each finished trial, the best first.

    Args:
        objective: loss of a trial.
        starts: numbers of the first trials.
        trials: number of trials.
        optuna: the module, ``None`` where it is not installed.
    """
    if optuna is None:
        print(MISSING)
        return search_at_random(objective, starts, trials)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=1),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=max(len(starts), 4)),
    )
    for start in starts:
        study.enqueue_trial(start)

    def guarded(trial: Any) -> float:
        try:
            return objective(trial)
        except StoppedError as error:
            raise optuna.TrialPruned from error

    study.optimize(guarded, n_trials=trials)
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    found = [{"loss": trial.value, "params": trial.params} for trial in done]
    return sorted(found, key=lambda one: one["loss"])


def import_optuna() -> Optional[Any]:
    """Return Optuna, ``None`` where it is not installed."""
    try:
        # pylint: disable=import-outside-toplevel
        import optuna
    except ImportError:
        return None
    return optuna


def table(found: List[Dict[str, Any]], n_rows: int = 8) -> str:
    """Return the best trials."""
    names = (
        f"{'loss':>7}{'arrays':>8}{'fast gamma':>12}{'gamma':>8}{'transfer_lr':>13}{'joined':>8}"
    )
    lines = [names]
    for one in found[:n_rows]:
        numbers = one["params"]
        lines.append(
            f"{one['loss']:>7.3f}{numbers['n_arrays']:>8}{numbers['fast_gamma']:>12.3f}"
            f"{numbers['gamma']:>8.2f}{numbers['transfer_lr']:>13.3f}{numbers['join_share']:>8.2f}"
        )
    return "\n".join(lines)


def as_call(numbers: Dict[str, Any], most_arrays: int, steps: int) -> str:
    """Return the call of ``build_config`` that a trial has made."""
    settings = settings_of(RandomTrial(Random(1), numbers), most_arrays, steps)
    return f'build_config("e-rider", device, {", ".join(map(_argument, *zip(*settings.items())))})'


def _argument(name: str, value: Any) -> str:
    several = isinstance(value, list)
    parts = [f"{part:.4g}" for part in (value if several else [value])]
    return f"{name}=[{', '.join(parts)}]" if several else f"{name}={parts[0]}"


def main() -> None:
    """Search and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="ReRamArrayHfO2", help="preset of aihwkit")
    parser.add_argument("--budget", type=int, default=48_000, help="steps of all trials")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--most-arrays", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("tuned_chain"), help="folder")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    device = getattr(devices, f"{args.device}PresetDevice")()
    steps = args.budget // args.trials
    if steps < 4:
        parser.error(
            f"--budget {args.budget} is less than 4 steps for each of {args.trials} trials"
        )
    images = load_images()
    starts = [defaults_of(device, number) for number in range(2, args.most_arrays + 1)]

    def objective(trial: Trial) -> float:
        return loss_of(trial, device, images, args.most_arrays, steps)

    found = search(objective, starts, args.trials, import_optuna())
    stopped = args.trials - len(found)
    print(f"{args.device}, {args.trials} trials of {steps} steps, {stopped} stopped halfway")
    print(table(found))
    print("best:", as_call(found[0]["params"], args.most_arrays, steps))
    write_json(args.out / "tuned_chain.json", {"steps": steps, "trials": found})


if __name__ == "__main__":
    main()
