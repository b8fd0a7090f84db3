"""Write RESULTS.md from the committed results: all numbers beside the paper's.

    python examples/paper/report.py

Every number comes with the command, the versions and the git revision that made it. What is said
about the numbers by hand is in ``remarks/*.md``, one file per section, and is copied; nothing in
RESULTS.md itself is to be edited.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Callable, Dict, List, Optional, Sequence

sys.path.insert(0, str(Path(__file__).parents[1]))

import figure4
import figure5
from common import comparison_report
from core.answers import answers
from core.command import RESULTS
from core.markdown import Sources, listed, markdown_table, spread
from core.results_file import read_results
from core.table_report import table_report
from search import gamma_of, schedule_of
from table1 import TABLE as TABLE1
from table2 import TABLE as TABLE2

REMARKS = Path(__file__).parent / "remarks"
HEAD = """# Results

Written by `python examples/paper/report.py` from [results](results); do not edit it, the remarks
are in [remarks](remarks). This page has the answers. The sections below it have every run.
"""
READING = """## How to read the sections

Accuracies are those on the MNIST test images in percent, mean and standard deviation over the
seeds, beside the paper's mean of three seeds: after the last epoch, the mean of the last ten epochs
of each run, its best epoch, and after the last epoch with the slow array W alone
(`at_slow_weights`). Settings that are not named are the paper's. aihwkit's pulses are seeded by the
clock: a repetition agrees within the spread, not digit by digit.
"""


def search_report(results: Sequence[Dict[str, Any]], sources: Sources) -> str:
    """Return the validation accuracies, best first within each method."""
    head = [
        "method",
        "lr",
        "halved after epochs",
        "largest array",
        "gamma",
        "omega",
        "epochs",
        "seeds",
    ]
    head += ["validation accuracy [%]", "last ten", "W alone", "made by"]
    rows = []
    for result in sorted(results, key=lambda r: (r["run"]["method"], -r["accuracy"][-1])):
        run = result["run"]
        rows.append(
            [
                *(
                    run["method"],
                    f"{run['lr']:g}",
                    schedule_of(run["lr_steps"]),
                    str(run["max_input_size"] or "not cut"),
                    gamma_of(run),
                    f"{run['weight_scaling_omega']:g}",
                    str(run["epochs"]),
                    str(run["seed"]),
                ),
                f"{result['accuracy'][-1]:.2f}",
                f"{mean(result['accuracy'][-10:]):.2f}",
                f"{slow[-1]:.2f}" if (slow := result.get("slow_accuracy")) else "-",
                sources.refer([result]),
            ]
        )
    return markdown_table(head, rows) + "\n"


def figure4_report(results: Sequence[Dict[str, Any]], sources: Sources) -> str:
    """Return the pulses to the target, and E-RIDER's share of the cheapest calibrated run."""
    head = ["states", "method", "seed", "pulses", "epochs", "last loss", "made by"]
    rows: List[List[str]] = []
    cheapest: Dict[int, Dict[bool, int]] = {}
    for states, name, result in figure4.rows(results):
        pulses = figure4.pulses_of(result)
        text = f"not reached in {len(result['loss'])} epochs" if pulses is None else f"{pulses:,}"
        rows.append(
            [
                *(str(states), name, str(result["run"]["seed"]), text),
                *(str(len(result["loss"])), f"{result['loss'][-1]:.4f}", sources.refer([result])),
            ]
        )
        if pulses is not None:
            own = cheapest.setdefault(states, {})
            tracked = name.startswith("E-RIDER")
            own[tracked] = min(pulses, own.get(tracked, pulses))
    ratios = [
        f"{states} states: {own[True] / own[False]:.2f}"
        for states, own in cheapest.items()
        if len(own) == 2
    ]
    text = markdown_table(head, rows) + "\n"
    if ratios:
        text += f"\nE-RIDER's pulses over those of the cheapest ZS + TT-v2: {'; '.join(ratios)}.\n"
    return text + (
        "\nThe paper draws a curve and prints no numbers: E-RIDER is cheaper at every number of "
        "states, and at 2000 states ZS(4000) + TT-v2 never reaches the target.\n"
    )


def figure5_report(results: Sequence[Dict[str, Any]], sources: Sources) -> str:
    """Return accuracy and gain over the best RIDER, for each number of epochs."""
    head = [
        *("epochs", "p", "method", "eta", "fields", "seeds", "accuracy [%]", "over p = 0"),
        "made by",
    ]
    rows = []
    for epochs in sorted({result["run"]["epochs"] for result in results}):
        same = [result for result in results if result["run"]["epochs"] == epochs]
        values = figure5.by_point(same)
        baseline = figure5.without_chopper(values)
        for (p, eta), own in values.items():
            mine = [
                result
                for result in same
                if (figure5.probability_of(result), figure5.eta_used(result)) == (p, eta)
            ]
            gain = mean(own) - baseline if p > 0.0 and baseline is not None else None
            gamma = mine[0]["run"]["settings"].get("gamma", 0.1)
            rows.append(
                [
                    *(str(epochs), f"{p:g}", mine[0]["run"]["method"], f"{eta:.3g}"),
                    f"gamma {gamma}, lr {mine[0]['run']['lr']:g}",
                    *(listed(result["run"]["seed"] for result in mine), spread(own)),
                    *("-" if gain is None else f"{gain:+.2f}", sources.refer(mine)),
                ]
            )
    return markdown_table(head, rows) + (
        "\n\nThe paper draws a curve (50 epochs): a small p > 0 clearly beats p = 0.\n"
    )


@dataclass(frozen=True)
class Section:
    """One part of the report, with the results of one script."""

    name: str
    """Name of script, results file and remarks."""

    title: str
    """Heading."""

    body: Callable[[Sequence[Dict[str, Any]], Sources], str]
    """Function that makes the Markdown of the results."""

    def text(self, folder: Path) -> str:
        """Return the Markdown, ``not run`` where there are no results."""
        command = f"python examples/paper/{self.name}.py --data-root mnist"
        path = folder / f"{self.name}.jsonl"
        everything = list(read_results(path).values())
        results = [result for result in everything if result["data"].startswith("MNIST")]
        if not results:
            return f"not run (`{command}`)\n"
        sources = Sources(command)
        body = self.body(results, sources)
        parts = [body, f"Made by:\n\n{sources.text()}\n"]
        if (picture := path.with_suffix(".png")).exists():
            parts.insert(1, f"![{self.title}](results/{picture.name})\n")
        left = len(everything) - len(results)
        if left:
            parts.append(f"{left} runs on other data than MNIST are not shown.\n")
        return "\n".join([f"[Curves of all runs](results/{path.name}).\n", *parts])


@dataclass(frozen=True)
class Linked:
    """One part of the report whose numbers are in a JSON of their own."""

    name: str
    """Name of results file and remarks, and of the script if that is not given."""

    title: str
    """Heading."""

    script: str = ""
    """Path of the script below the examples."""

    def text(self, folder: Path) -> str:
        """Return links to numbers and picture, with what made them."""
        path = folder / f"{self.name}.json"
        if not path.exists():
            script = self.script or f"paper/{self.name}.py"
            return f"not run (`python examples/{script}`)\n"
        content = json.loads(path.read_text())
        versions = ", ".join(f"{name} {value}" for name, value in content["versions"].items())
        text = f"[Numbers](results/{path.name}) by `{content['command']}`; {versions}.\n"
        if path.with_suffix(".png").exists():
            text += f"\n![{self.title}](results/{self.name}.png)\n"
        return text


@dataclass(frozen=True)
class Compared(Linked):
    """One part of the report with methods side by side on a model."""

    def text(self, folder: Path) -> str:
        """Return the table of the best runs, with links as of other parts."""
        path, text = folder / f"{self.name}.json", super().text(folder)
        if not path.exists():
            return text
        results = list(json.loads(path.read_text())["results"].values())
        revisions = listed(result["revision"] for result in results)
        return f"{comparison_report.table(results)}\n\n{text}\nRevisions: {revisions}.\n"


SECTIONS: Sequence[Any] = (
    Section("table2", TABLE2.title, lambda r, s: table_report(r, TABLE2, s)),
    Section("table1", TABLE1.title, lambda r, s: table_report(r, TABLE1, s)),
    Section("figure4", "Figure 4, left: pulses to a training loss of 0.2", figure4_report),
    Section("figure5", "Figure 5: accuracy against the chopper probability", figure5_report),
    Section("search", "Search of what the paper does not print", search_report),
    Linked("figure1", "Figure 1: the cost of zero-shifting"),
    Linked("figure2", "Figure 2: a wrong symmetric point and the training"),
    Linked("many_arrays", "Beyond the paper: more than two arrays, on digits", "08_many_arrays.py"),
    Linked("estimators", "Beyond the paper: estimators on the same reads"),
    Linked("moving_points", "Beyond the paper: symmetric points that move"),
    Compared("cifar_resnet", "Real models: ResNet-18 on CIFAR-10", "11_cifar_resnet.py"),
    Compared("char_gpt", "Real models: a GPT that writes characters", "10_char_gpt.py"),
    Compared("finetune", "Real models: a GPT that is adapted", "12_finetune.py"),
)


BESIDE = """### Beside the paper

Test accuracies after the last epoch in percent. A `±` is the standard deviation over three seeds; a
number without one is from one seed. The lead is E-RIDER's over AGAD, in points; in Table 2 also
over AGAD with a larger learning rate.
"""


def first_page(results: Path, remarks: Path) -> List[str]:
    """Return what is answered by hand, the tables with one row for each cell, what differs."""
    tables = []
    for table in (TABLE2, TABLE1):
        everything = read_results(results / table.results).values()
        found = [result for result in everything if result["data"].startswith("MNIST")]
        if rows := answers(found, table):
            tables.append(f"**{table.title}**\n\n{rows}")
    parts = [*_noted(remarks, "answers"), *([BESIDE, *tables] if tables else [])]
    return ["## The answers\n", *parts, *_noted(remarks, "differences")] if parts else []


def _noted(remarks: Path, name: str) -> List[str]:
    path = remarks / f"{name}.md"
    return [path.read_text().strip() + "\n"] if path.exists() else []


def report(results: Path = RESULTS, remarks: Path = REMARKS) -> str:
    """Return the whole report.

    Args:
        results: folder of the results.
        remarks: folder of the remarks, ``<section>.md``.
    """
    parts = [HEAD, *first_page(results, remarks), READING]
    for section in SECTIONS:
        parts.append(f"## {section.title}\n")
        parts += _noted(remarks, section.name)
        parts.append(section.text(results))
    return "\n".join(parts)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--remarks", type=Path, default=REMARKS, help="folder of the remarks")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "RESULTS.md")
    args = parser.parse_args(arguments)
    args.out.write_text(report(args.results, args.remarks))
    print(f"written: {args.out}")


if __name__ == "__main__":
    main()
