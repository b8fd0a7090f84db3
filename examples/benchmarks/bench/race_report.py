"""Tables of the race: scores of all competitors, and how E-RIDER compares."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean
from typing import Any, Dict, List, Optional, Sequence, Tuple

from common.competitors import AIHWKIT, COMPETITORS, DIGITAL, FROZEN, OURS
from common.device_choice import kind
from common.markdown import markdown

Place = Tuple[str, str, float, float]
"""Network, device, shift and learning rate."""

Scores = Dict[str, List[float]]
"""Competitor -> means over the seeds after each share of the budget."""

AT_W = f"{OURS}, W alone"
N_BUDGETS = 3
FAILED = {True: 20.0, False: 0.0}
"""Score of a run that ended in numbers that are none: loss or accuracy."""

TIE = {True: 0.05, False: 1.0}
FAR = {True: 0.15, False: 3.0}
CLEAR = {True: 0.1, False: 5.0}
"""Losses in nats or accuracies in points: what counts as a tie, as far behind, as clearly ahead."""


class Standing:
    """Scores by place, means over the seeds.

    Args:
        results: what :func:`~bench.race_execute.execute` returned.
    """

    def __init__(self, results: Sequence[Dict[str, Any]]) -> None:
        self.is_loss: Dict[str, bool] = {}
        collected: Dict[Tuple[Any, ...], List[List[float]]] = defaultdict(list)
        for result in results:
            run, is_loss = result["run"], result["is_loss"]
            self.is_loss[run["network"]] = is_loss
            place = run["network"], run["device"], run["shift"], run["lr"]
            changes = "".join(f", {name}={value}" for name, value in run["changes"].items())
            for suffix, values in (("", "scores"), (", W alone", "at_slow_weights")):
                if values in result:
                    numbers = [FAILED[is_loss] if x is None else x for x in result[values]]
                    name = run["competitor"] + changes + suffix
                    collected[(*place, name)].append(numbers)
        means = {key: [mean(x) for x in zip(*seeds)] for key, seeds in collected.items()}
        self.digital = {
            (network, lr): scores
            for (network, _, _, lr, name), scores in means.items()
            if name == DIGITAL
        }
        self.places: Dict[Place, Scores] = defaultdict(dict)
        for (network, device, shift, lr, name), scores in means.items():
            if name != DIGITAL:
                self.places[network, device, shift, lr][name] = scores

    def ahead(self, network: str, scores: Sequence[float], others: Sequence[float]) -> List[float]:
        """Return by how much scores are better than others, positive if they are."""
        sign = -1.0 if self.is_loss[network] else 1.0
        return [sign * (own - other) for own, other in zip(scores, others)]

    def best_of_aihwkit(self, place: Place) -> Optional[List[float]]:
        """Return the best scores of aihwkit's presets at each budget."""
        scores = [self.places[place][name] for name in AIHWKIT if name in self.places[place]]
        choose = min if self.is_loss[place[0]] else max
        return [choose(values) for values in zip(*scores)] or None

    def margins(self, name: str = OURS) -> Dict[Place, List[float]]:
        """Return by how much a competitor is ahead of the best of aihwkit's presets."""
        found = {}
        for place, scores in self.places.items():
            best = self.best_of_aihwkit(place)
            if best is not None and name in scores:
                found[place] = self.ahead(place[0], scores[name], best)
        return found


def _numbers(values: Optional[Sequence[float]], is_loss: bool, sign: str = "") -> str:
    if values is None:
        return "-"
    return " ".join(f"{value:{sign}.{2 if is_loss else 1}f}" for value in values)


def scores_table(standing: Standing) -> str:
    """Return one row for each place: scores after each budget, and E-RIDER's margins."""
    names = [name for name in (OURS, AT_W, *COMPETITORS[1:]) if name != DIGITAL]
    others = {name for scores in standing.places.values() for name in scores} - set(names)
    columns = [*names[:2], *sorted(others), *names[2:]]
    margins, rows = standing.margins(), []
    for place, scores in standing.places.items():
        network, device, shift, lr = place
        is_loss = standing.is_loss[network]
        rows.append(
            [
                *(network, device, f"{shift:g}", f"{lr:g}"),
                *(_numbers(scores.get(name), is_loss) for name in columns),
                _numbers(standing.digital.get((network, lr)), is_loss),
                _numbers(margins.get(place), is_loss, "+"),
            ]
        )
    margin = f"{OURS} ahead of the best of aihwkit's"
    return markdown(["network", "device", "shift", "lr", *columns, DIGITAL, margin], rows)


def _share(values: Sequence[bool]) -> str:
    return f"{sum(values)} of {len(values)}"


def _units(standing: Standing, network: str, limits: Dict[bool, float]) -> float:
    return limits[standing.is_loss[network]]


def summary(standing: Standing) -> str:
    """Return what the race says about E-RIDER, at each budget and by kind of place."""
    margins = standing.margins()
    lrs = sorted({place[3] for place in margins})
    groups = {
        "all": list(margins),
        **{f"lr {lr:g}": [p for p in margins if p[3] == lr] for lr in lrs},
        **{word: [p for p in margins if kind(p[1]) == word] for word in ("few", "some", "many")},
        **{network: [p for p in margins if p[0] == network] for network in standing.is_loss},
    }
    rows = []
    for name, places in groups.items():
        if not places:
            continue
        row = [name]
        for budget in range(N_BUDGETS):
            own = [(place, margins[place][budget]) for place in places]
            tied = [margin >= -_units(standing, p[0], TIE) for p, margin in own]
            far = [margin < -_units(standing, p[0], FAR) for p, margin in own]
            shifted = [margin > 0.0 for p, margin in own if p[2]]
            row.append(f"{_share(tied)}; {sum(far)}; {_share(shifted)}")
        rows.append(row)
    head = ["places", "after 10 %", "after 30 %", "after 100 %"]
    text = (
        "At least as good as the best of aihwkit's presets, minus 1 point (0.05 in loss); worse by "
        "more than 3 points (0.15); ahead with shifted symmetric points:\n\n"
    )
    return text + markdown(head, rows) + "\n\n" + "\n".join(_remarks(standing))


def _remarks(standing: Standing) -> List[str]:
    """Return how far frozen arrays and W alone are from E-RIDER at the full budget."""
    frozen, alone = [], []
    for (network, *_), scores in standing.places.items():
        if OURS not in scores:
            continue
        if FROZEN in scores:
            lead = standing.ahead(network, scores[OURS], scores[FROZEN])[-1]
            frozen.append(lead >= _units(standing, network, CLEAR))
        if AT_W in scores:
            lost = standing.ahead(network, scores[OURS], scores[AT_W])[-1]
            alone.append(lost <= _units(standing, network, TIE))
    return [
        f"Frozen arrays lose by 5 points (0.1) at the full budget: {_share(frozen)}.",
        f"W alone is within 1 point (0.05) of the mixed weight: {_share(alone)}.",
    ]


def report(results: Sequence[Dict[str, Any]]) -> str:
    """Return the tables as markdown, with the data and revisions that they come from."""
    if not results:
        return "no results"
    standing = Standing(results)
    data = {result["run"]["network"]: result["data"] for result in results}
    sources = ", ".join(f"{network}: {name}" for network, name in data.items())
    revisions = ", ".join(sorted({result["revision"] for result in results}))
    parts = [scores_table(standing)]
    if standing.margins():
        parts.append(summary(standing))
    return "\n\n".join([*parts, f"Data: {sources}. Revisions: {revisions}."])
