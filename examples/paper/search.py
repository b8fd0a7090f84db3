"""What the paper does not print: search of learning rate and gamma on a validation split.

    python examples/paper/search.py --data-root mnist --jobs 2

The fully connected network of Table 2 in the cell (0.4, 0.4), trained on 50,000 images and tested
on the other 10,000 training images; the test set is not looked at. All three methods get the same
effort: eight runs each. For TT-v2 and AGAD, whose transfers scale with the learning rate, these
are eight learning rates; E-RIDER's transfers do not, so four values of ``gamma`` at two learning
rates. The last epochs are trained with smaller learning rates as in Table 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.command import make_parser, results_of
from core.run import Run

EPOCHS = 10
LR_STEPS = {"6": 0.3, "9": 0.1}
RATES = (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
GAMMAS = (0.1, 0.05, 0.02, 0.01)
GAMMA_RATES = (0.05, 0.1)


def runs(epochs: int = EPOCHS) -> List[Run]:
    """Return the runs of the search."""
    trials = [("E-RIDER", lr, {"gamma": gamma}) for lr in GAMMA_RATES for gamma in GAMMAS]
    # The middle of the range first, so that a search that is cut short is of use.
    rates = sorted(RATES, key=lambda rate: abs(rate - 0.12))
    trials += [(method, lr, {}) for lr in rates for method in ("AGAD", "TT-v2")]
    steps = {str(int(at) * epochs // EPOCHS): factor for at, factor in LR_STEPS.items()}
    return [
        Run(method, "fcn", 0.4, 0.4, 1, epochs, lr, steps, settings=settings, validation=True)
        for method, lr, settings in trials
    ]


def table(results: Sequence[Dict[str, Any]]) -> str:
    """Return the results, best first within each method."""
    lines = [f"{'method':<10}{'lr':>8}{'gamma':>8}{'validation accuracy [%]':>26}"]
    key = lambda r: (r["run"]["method"], -r["accuracy"][-1])  # noqa: E731
    for result in sorted(results, key=key):
        run = result["run"]
        gamma = run["settings"].get("gamma", "-")
        lines.append(
            f"{run['method']:<10}{run['lr']:>8g}{gamma!s:>8}{result['accuracy'][-1]:>26.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    args = make_parser(__doc__, "search.jsonl").parse_args()
    chosen = runs(args.epochs or EPOCHS)
    results = results_of(chosen, args)
    print(table(results))


if __name__ == "__main__":
    main()
