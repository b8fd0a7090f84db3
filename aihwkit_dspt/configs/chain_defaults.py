"""Defaults of ``build_config`` for more than two arrays."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from aihwkit_dspt.configs.link_settings import CHAIN_GROWTH

CHAIN_GAMMA = 0.5
"""Weight of an array between, relative to the one before: half of a step is what that one leaves.

From Li et al. (AISTATS 2026)."""

JOIN_SWEEPS = 10000.0
"""Sweeps over the fast array until the next array joins.

A residual of half the range takes a cell of an HfO2 array through its range in some 100 sweeps."""

MOST_ARRAYS = 16
"""Longest chain: the weight of one array more would be a rounding error of single precision."""


def chain_settings(
    n_arrays: int, settings: Mapping[str, Any], given: Mapping[str, object]
) -> Dict[str, object]:
    r"""Return the settings in which a chain differs from two arrays.

    ==================  =============================================================
    setting             rule
    ==================  =============================================================
    ``gamma``           :math:`\tfrac12, \tfrac14, \ldots` for the arrays between, the
                        most significant first; that of two arrays for the fast one
    ``join_sweeps``     10000
    ``transfer_lr_vec`` that of two arrays for the fast array, 0 for arrays between
    ==================  =============================================================

    The arrays but the fast one hold information. A chopper and a reference that follows would take
    it away: the reference of an array that stands still becomes its weight. So each is written
    from the fast array alone, whose reference is tracked, until the next one joins, and keeps then
    what it has learned. ``docs/concepts/chains.md`` has what was measured.

    Whoever asks for no warm start (``join_sweeps=0``) gets transfers from each array to the next
    slower one, with periods that grow by 5.

    Args:
        n_arrays: number of arrays.
        settings: fields of the compound so far.
        given: those that the caller gave.
    """
    own: Dict[str, object] = {"join_sweeps": JOIN_SWEEPS}
    if "gamma" not in given:
        own["gamma"] = _scales(n_arrays, settings["gamma"])
    if given.get("join_sweeps", JOIN_SWEEPS) != 0.0:
        own["transfer_lr_vec"] = [settings["transfer_lr"], *[0.0] * (n_arrays - 2)]
    if not settings["sweep_every"]:
        every = settings.get("transfer_every", 1.0)
        own["transfer_every_vec"] = [every * CHAIN_GROWTH**n for n in range(n_arrays - 1)]
    return {name: value for name, value in own.items() if name not in given}


def _scales(n_arrays: int, fastest: float) -> List[float]:
    between = [CHAIN_GAMMA**distance for distance in range(n_arrays - 2, 0, -1)]
    return [min(fastest, CHAIN_GAMMA * between[0]), *between]
