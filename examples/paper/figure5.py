r"""Figure 5 of the paper: what the chopper is good for, accuracy against its probability p.

    python examples/paper/figure5.py --data-root mnist --jobs 2
    python examples/paper/figure5.py --data-root mnist --epochs 50 --seeds 1 2 3    # as the paper

Fully connected network on MNIST, HfO2 ReRAM with references of mean 0.4 and standard deviation 0.4,
and the settings of ``table2.py`` but for ``in_chop_prob``, the output scaling (omega 0.3) and the
schedule of the learning rate, which are those that the table had before its search. The paper
trains for 50 epochs.

p = 0 is RIDER: no chopper, and the reference follows every read. The step size of the estimate is
:math:`\eta = 5 / \lceil 1/p \rceil` for p > 0 (``tail_weightening=5``, at most 1); RIDER has no p
to derive it from, and its eta decides whether it learns at all (W and Q move by the same residual,
so W comes only as far as beta/eta times Q; docs/concepts/method.md). It is run with
several, and its best one is what the chopper has to beat.

With few epochs, a p that is too small shows something else: transfers start after the first chopper
period, which is 1/p sweeps over the 392 columns of each half of the first layer, one column per
update. With 6000 updates per epoch that is 1.3 epochs at p = 0.05 and 6.5 epochs at p = 0.01.
"""

from __future__ import annotations

import sys
from itertools import cycle
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Dict, List, Optional, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.report import pyplot, save_picture
from core.command import make_parser, results_of
from core.paper_numbers import Cell
from core.run import Run, scaled_steps
from table2 import LR, METHODS

from aihwkit_dspt.configs.compound import chop_period

EPOCHS = 10
PROBABILITIES = (0.02, 0.05, 0.1, 0.2, 0.5)
ETAS = (0.5, 0.05, 0.005)
"""Of RIDER: that of E-RIDER at p = 0.1, the default of ``build_config``, and a tenth of it."""
TAIL_WEIGHTENING = 5.0
CELL: Cell = (0.4, 0.4)
LR_STEPS = {"20": 0.5, "30": 0.25}
LR_STEPS_OF = 40
"""Finished epochs, of so many, -> factor on the learning rate from then on."""


def eta_of(probability: float) -> float:
    """Return the step size of the estimate that aihwkit's rule gives."""
    return min(TAIL_WEIGHTENING / chop_period(probability), 1.0)


def _run(method: str, settings: Dict[str, Any], seed: int, epochs: int) -> Run:
    steps = scaled_steps(LR_STEPS, epochs, LR_STEPS_OF)
    settings = {**METHODS["E-RIDER"], **settings}
    return Run(method, "fcn", *CELL, seed, epochs, LR, steps, settings=settings)


def runs(
    probabilities: Sequence[float] = PROBABILITIES,
    etas: Sequence[float] = ETAS,
    seeds: Sequence[int] = (1,),
    epochs: int = EPOCHS,
) -> List[Run]:
    """Return E-RIDER for all p and RIDER for all eta, for every seed."""
    return [
        *(
            _run("E-RIDER", {"in_chop_prob": p, "tail_weightening": TAIL_WEIGHTENING}, seed, epochs)
            for seed in seeds
            for p in probabilities
        ),
        *(_run("RIDER", {"eta": eta}, seed, epochs) for seed in seeds for eta in etas),
    ]


def probability_of(result: Dict[str, Any]) -> float:
    """Return p of a result, 0 for RIDER."""
    return float(result["run"]["settings"].get("in_chop_prob", 0.0))


def eta_used(result: Dict[str, Any]) -> float:
    """Return the step size of the estimate of a result."""
    eta = result["run"]["settings"].get("eta")
    return eta_of(probability_of(result)) if eta is None else float(eta)


def by_point(results: Sequence[Dict[str, Any]]) -> Dict[Tuple[float, float], List[float]]:
    """Return the last accuracy of each seed by p (0 for RIDER) and eta."""
    values: Dict[Tuple[float, float], List[float]] = {}
    for result in results:
        point = probability_of(result), eta_used(result)
        values.setdefault(point, []).append(result["accuracy"][-1])
    return dict(sorted(values.items()))


def without_chopper(values: Dict[Tuple[float, float], List[float]]) -> Optional[float]:
    """Return the mean accuracy of RIDER with its best eta, ``None`` without RIDER."""
    return max((mean(own) for (p, _), own in values.items() if p == 0.0), default=None)


def table(results: Sequence[Dict[str, Any]]) -> str:
    """Return accuracy and gain over the best RIDER by p and eta."""
    values = by_point(results)
    baseline = without_chopper(values)
    lines = [f"{'p':>6}{'eta':>8}{'seeds':>7}{'accuracy [%]':>16}{'over p = 0':>12}"]
    for (p, eta), own in values.items():
        spread = f" +- {stdev(own):.2f}" if len(own) > 1 else ""
        line = f"{p:>6g}{eta:>8.3g}{len(own):>7}{mean(own):>9.2f}{spread:<8}"
        if p > 0.0 and baseline is not None:
            line += f"{mean(own) - baseline:>+11.2f}"
        lines.append(line)
    return "\n".join(lines)


def draw(results: Sequence[Dict[str, Any]], path: Path) -> None:
    """Draw accuracy against p, with p = 0 on the same axis."""
    plt = pyplot()
    values = by_point(results)
    positive = {p: own for (p, _), own in values.items() if p > 0.0}
    figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    for p, own in positive.items():
        ax.plot([p] * len(own), own, "o", color="#0072B2", alpha=0.5)
    means = [mean(own) for own in positive.values()]
    ax.plot(list(positive), means, "o-", color="#0072B2", label="E-RIDER, p > 0")
    riders = {eta: own for (p, eta), own in values.items() if p == 0.0}
    for (eta, own), marker in zip(riders.items(), cycle("s^vD<>")):
        label = f"RIDER, p = 0, eta = {eta:g}"
        ax.plot([0.0] * len(own), own, marker, ls="", color="#D55E00", markersize=8, label=label)
    baseline = without_chopper(values)
    if baseline is not None:
        ax.axhline(baseline, color="#D55E00", linestyle="--", lw=1.2)
    ax.set_xscale("symlog", linthresh=min(positive, default=0.01) / 2.0)
    ax.set_xticks([0.0, *positive], ["0", *(f"{p:g}" for p in positive)])
    ax.minorticks_off()
    epochs = results[0]["run"]["epochs"]
    ax.set(
        title=f"Fully connected network, MNIST, reference {CELL[0]:g} ± {CELL[1]:g}",
        xlabel="chopper probability p",
        ylabel=f"test accuracy after {epochs} epochs [%]",
    )
    ax.grid(alpha=0.3)
    ax.legend()
    save_picture(figure, path)


def main() -> None:
    """Run what is missing, print the table and draw the figure."""
    parser = make_parser(__doc__, "figure5.jsonl")
    parser.add_argument("--probabilities", type=float, nargs="+", default=PROBABILITIES)
    parser.add_argument("--etas", type=float, nargs="+", default=ETAS, help="of RIDER")
    args = parser.parse_args()
    chosen = runs(args.probabilities, args.etas, args.seeds or (1,), args.epochs or EPOCHS)
    results = results_of(chosen, args)
    if not results:
        print("nothing is there yet")
        return
    print(table(results))
    draw(results, args.results.with_suffix(".png"))


if __name__ == "__main__":
    main()
