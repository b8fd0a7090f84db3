"""An LSTM trained with E-RIDER: which symbol came first?

Sequences of random symbols; at the end the network has to name the first one, so it has to learn
what to keep and what to forget. Every gate is analog, on four-state HfO2 ReRAM devices with shifted
symmetric points. Guessing gives 25 %. Prints a table and writes a picture and the numbers.

    python examples/05_lstm.py
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any, Dict, List

import torch
from aihwkit.optim import AnalogSGD
from common.methods import hfo2, io_parameters
from common.recall import N_SYMBOLS, Recall, sequences
from common.report import pyplot, write_json
from common.tracking import sp_error
from torch import nn

from aihwkit_dspt import build_config

TEST_SIZE = 500


def rpu_config(args: argparse.Namespace) -> Any:
    """Return E-RIDER as it comes."""
    return build_config(
        "e-rider",
        hfo2(args.reference_mean, args.reference_std),
        io_parameters=io_parameters(),
    )


def train(model: Recall, args: argparse.Namespace) -> Dict[str, List[float]]:
    """Train and print a row of the table every so often; return the columns."""
    optimizer = AnalogSGD(model.parameters(), lr=args.lr)
    optimizer.regroup_param_groups(model)
    test_x, test_y = sequences(args.length, TEST_SIZE)
    columns: Dict[str, List[float]] = {"step": [], "loss": [], "accuracy": [], "Q - SP": []}
    print(f"{'step':>8}{'loss':>10}{'accuracy [%]':>15}{'Q - SP, mean':>15}")
    total, every = 0.0, max(args.steps // 16, 1)
    for step in range(1, args.steps + 1):
        x, y = sequences(args.length, args.batch_size)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
        if step % every == 0:
            with torch.no_grad():
                hits = (model.eval()(test_x).argmax(1) == test_y).float().mean().item()
            model.train()
            row = (step, total / every, 100.0 * hits, sp_error(model)[0])
            print("{:>8}{:>10.3f}{:>15.1f}{:>+15.3f}".format(*row), flush=True)
            for column, value in zip(columns.values(), row):
                column.append(value)
            total = 0.0
    return columns


def draw(columns: Dict[str, List[float]], length: int, path: Path) -> None:
    """Write the picture: accuracy and SP error while training."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    left.plot(columns["step"], columns["accuracy"], color="#009E73", marker="o")
    left.axhline(100.0 / N_SYMBOLS, color="black", linewidth=1, linestyle="--", label="guessing")
    left.set(title=f"First of {length} symbols", xlabel="step", ylabel="test accuracy [%]")
    left.legend()
    right.plot(columns["step"], columns["Q - SP"], color="#009E73", marker="o")
    right.axhline(0.0, color="black", linewidth=1)
    right.set(title="Mean of Q - SP", xlabel="step", ylabel="weight units")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train, print the table, write the picture and the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--length", type=int, default=8, help="symbols in a sequence")
    parser.add_argument("--hidden-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate of AnalogSGD")
    parser.add_argument("--reference-mean", type=float, default=0.4)
    parser.add_argument("--reference-std", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the output")
    args = parser.parse_args()

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    start = time.perf_counter()
    columns = train(Recall(args.hidden_size, rpu_config(args)), args)
    path = args.out / "lstm"
    write_json(path.with_suffix(".json"), {"columns": columns})
    draw(columns, args.length, path.with_suffix(".png"))
    print(f"\n{time.perf_counter() - start:.0f} s; written: {path}.png, {path}.json")


if __name__ == "__main__":
    main()
