"""The picture of the race: E-RIDER against the best of aihwkit's presets, place by place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Sequence

from common.competitors import OURS
from common.device_choice import kind
from common.report import pyplot, save_picture

from bench.race_report import N_BUDGETS, Standing

COLOURS = {"few": "#D55E00", "some": "#0072B2", "many": "#009E73"}
TITLES = ("10 %", "30 %", "100 %")


def draw(results: Sequence[Dict[str, Any]], path: Path) -> None:
    """Write the picture: a row for each network, a column for each budget.

    Points above the diagonal (below it for losses) are those where E-RIDER is ahead.
    """
    standing, plt = Standing(results), pyplot()
    networks = list(standing.is_loss)
    figure, grid = plt.subplots(
        len(networks),
        N_BUDGETS,
        figsize=(8.0, 2.6 * len(networks) + 0.4),
        layout="constrained",
        squeeze=False,
    )
    for place in standing.margins():
        network, device, shift, _ = place
        best, own = standing.best_of_aihwkit(place), standing.places[place][OURS]
        for budget, (x, y) in enumerate(zip(best or [], own)):
            ax = grid[networks.index(network)][budget]
            marker = "^" if shift else "o"
            ax.scatter(x, y, s=22, color=COLOURS[kind(device)], marker=marker, alpha=0.8)
    for network, row in zip(networks, grid):
        for title, ax in zip(TITLES, row):
            what = "loss" if standing.is_loss[network] else "accuracy [%]"
            low = min(ax.get_xlim()[0], ax.get_ylim()[0])
            high = max(ax.get_xlim()[1], ax.get_ylim()[1])
            ax.plot([low, high], [low, high], color="black", linewidth=0.8)
            ax.set_title(f"{network}, {title}, {what}", fontsize=9)
            ax.grid(alpha=0.3)
    for word, colour in COLOURS.items():
        grid[0][0].scatter([], [], color=colour, label=f"{word} states")
    grid[0][0].scatter([], [], color="black", marker="^", label="shifted SPs")
    grid[0][0].legend(fontsize=7)
    figure.supxlabel("best of aihwkit's presets", fontsize=10)
    figure.supylabel(OURS, fontsize=10)
    save_picture(figure, path)
