"""Markdown tables of step times."""

from __future__ import annotations

from typing import Any, Dict, Iterable

from common.markdown import markdown

from bench.names import BASELINE, OURS


def spread(numbers: Dict[str, Any], name: str) -> str:
    """Return a ratio with its quartiles."""
    low, high = numbers[f"{name}_quartiles"]
    return f"{numbers[name]:.2f} ({low:.2f} to {high:.2f})"


def step_times(cells: Iterable[Dict[str, Any]]) -> str:
    """Return one row for each competitor of each cell; what was refused stays in words."""
    rows = []
    for cell in cells:
        label = [cell["network"], str(cell["batch_size"]), str(cell["threads"])]
        for name, numbers in cell["competitors"].items():
            if "not supported" in numbers:
                rows.append([*label, name, f"not supported: {numbers['not supported']}", *4 * "-"])
                continue
            ours = "1" if name == OURS or OURS not in cell["competitors"] else ""
            rows.append(
                [
                    *label,
                    name,
                    f"{numbers['median_ms']:.3f}",
                    "1" if name == BASELINE else spread(numbers, "ratio"),
                    ours or spread(numbers, "erider_ratio"),
                    f"{numbers['cpu_ratio']:.2f}",
                    f"{numbers['first_step_ms']:.1f}",
                ]
            )
    header = ["network", "batch", "threads", "competitor", "ms per step", f"over {BASELINE}"]
    header += ["E-RIDER over it", "by processor time", "first step, ms"]
    return markdown(header, rows)
