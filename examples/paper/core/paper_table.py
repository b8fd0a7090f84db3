"""A table of the paper as a list of runs: methods in cells of reference mean and deviation."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Collection, Dict, List, Optional, Sequence, Tuple

from core.command import make_parser, results_of
from core.methods import METHODS
from core.paper_numbers import MEANS, STDS, Cell
from core.run import Run, scaled_steps
from core.table import picture, text

ALL_CELLS: Tuple[Cell, ...] = tuple(product(MEANS, STDS))


@dataclass(frozen=True)
class PaperTable:
    """What is run for a table, and what the paper has."""

    title: str
    """Title of the picture."""

    results: str
    """Name of the results file."""

    paper: Dict[str, Dict[Cell, float]]
    """Method -> cell -> accuracy that the paper prints."""

    network: str
    """Network of all runs."""

    batch_size: int
    """Images per update."""

    epochs: int
    """Passes over the training images, if nothing else is asked for."""

    lr: float
    """Learning rate of the methods without one of their own."""

    methods: Dict[str, Dict[str, Any]]
    """Methods that are run by default -> fields that differ from the paper's settings."""

    cells: Tuple[Cell, ...]
    """Cells that are run by default."""

    weight_scaling_omega: float = 0.3
    """Output scaling of all runs; see :class:`Run`."""

    own_lr: Dict[str, float] = field(default_factory=dict)
    """Method -> its own learning rate."""

    lr_steps: Dict[str, float] = field(default_factory=dict)
    """Finished epochs (of :attr:`epochs`) -> factor on the learning rate from then on."""

    three_seeds: Collection[Cell] = ()
    """Cells that are run with three seeds by default, but for TT-v2; the others with one."""

    def runs(
        self,
        epochs: Optional[int] = None,
        cells: Optional[Sequence[Cell]] = None,
        methods: Optional[Sequence[str]] = None,
        seeds: Optional[Sequence[int]] = None,
        omega: Optional[float] = None,
        lr: Optional[float] = None,
    ) -> List[Run]:
        """Return the runs, first one seed for every cell and method.

        Args:
            epochs: instead of :attr:`epochs`; the learning rate steps move along.
            cells: instead of :attr:`cells`.
            methods: instead of those of :attr:`methods`.
            seeds: for every cell and method, instead of one or three.
            omega: instead of :attr:`weight_scaling_omega`.
            lr: instead of :attr:`lr` and :attr:`own_lr`.
        """
        return [
            self._run(method, cell, seed, epochs or self.epochs, omega, lr)
            for seed in seeds or (1, 2, 3)
            for cell in cells or self.cells
            for method in methods or self.methods
            if seeds or seed == 1 or (cell in self.three_seeds and method != "TT-v2")
        ]

    def _run(
        self,
        method: str,
        cell: Cell,
        seed: int,
        epochs: int,
        omega: Optional[float],
        lr: Optional[float],
    ) -> Run:
        return Run(
            method,
            self.network,
            *cell,
            seed,
            epochs,
            self.own_lr.get(method, self.lr) if lr is None else lr,
            scaled_steps(self.lr_steps, epochs, self.epochs),
            batch_size=self.batch_size,
            weight_scaling_omega=self.weight_scaling_omega if omega is None else omega,
            settings=self.methods.get(method, {}),
        )

    def main(self, description: Optional[str]) -> None:
        """Run what is missing, print the table and draw the figure.

        Args:
            description: docstring of the script.
        """
        parser = make_parser(description, self.results)
        parser.add_argument(
            "--cells",
            type=_cell,
            nargs="+",
            metavar="MEAN,STD",
            help="instead of those of the script; 'all' for the 24 cells of the paper",
        )
        parser.add_argument("--methods", nargs="+", choices=METHODS, help="instead of its three")
        parser.add_argument(
            "--omega",
            type=float,
            help=f"weight_scaling_omega, instead of {self.weight_scaling_omega}",
        )
        parser.add_argument("--lr", type=float, help="learning rate, instead of the script's")
        args = parser.parse_args()
        cells = [cell for group in args.cells or () for cell in group]
        runs = self.runs(args.epochs, cells, args.methods, args.seeds, args.omega, args.lr)
        results = results_of(runs, args)
        print(text(results, self.paper))
        if results:
            picture(results, self.title, args.results.with_suffix(".png"))


def _cell(argument: str) -> Sequence[Cell]:
    """Return the cells that one word of the command line stands for."""
    if argument == "all":
        return ALL_CELLS
    try:
        mean, std = map(float, argument.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{argument!r} is not a cell: pass MEAN,STD of the reference, e.g. 0.4,0.4, or 'all'"
        ) from error
    return [(mean, std)]
