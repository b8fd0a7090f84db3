"""Algorithms 2 and 3 of the paper, transcribed literally, against the tile.

With ``transfer_scope=ARRAY``, perfect IO and deterministic pulses nothing is random. Gradients are
multiples of one pulse, so that every pulse is known: the transcription sends the same pulses to
linear devices (paper eq. (103)) one at a time in double precision, and all quantities agree to
accumulated single-precision rounding. A second test lets both follow a quadratic loss on their
own, where they agree within the discretisation error.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import pytest
import torch

from aihwkit_dspt import ReferenceSync, ReferenceType, TrackingTile, TransferScope
from tests.helpers import quiet_device, quiet_tile

Array = np.ndarray
D_SIZE, X_SIZE = 3, 2
GAMMA, ETA, BL = 0.4, 0.15, 31
FAST_STEP, SLOW_STEP = 0.004, 0.002
TAU = 0.6
TRANSFER_LR = 0.9
"""In pulses of the slow array per pulse of the fast one: beta = 0.9 * SLOW_STEP / FAST_STEP."""
UP_DOWN = 0.2

# For continuous updates: small steps, and less than one slow pulse per event.
FINE = {"fast_step": 4e-4, "slow_step": 4e-3, "gradient_bl": 310, "transfer_lr": 0.005}
N_LOOP = 400

RIDER: Dict[str, Any] = {
    "reference": ReferenceType.DYNAMIC,
    "reference_sync": ReferenceSync.EVERY_READ,
    "in_chop_prob": 0.0,
}
E_RIDER: Dict[str, Any] = {"reference": ReferenceType.DYNAMIC, "in_chop_prob": 0.25}


class LinearArray:
    """Eq. (103): ``q_+ = a_p (1 - w/tau)``, ``q_- = a_m (1 + w/tau)``, one pulse at a time."""

    def __init__(self, weights: Array, step: float) -> None:
        self.weights, self.step = weights.copy(), step
        # up_down = r is what aihwkit calls the difference of the slopes, split over both.
        self.up, self.down = quiet_slopes(UP_DOWN)

    def pulse(self, counts: Array) -> None:
        """Send signed pulse counts to the cells."""
        for n in range(int(np.abs(counts).max(initial=0))):
            up = self.step * self.up * (1.0 - self.weights / TAU)
            down = self.step * self.down * (1.0 + self.weights / TAU)
            active = np.abs(counts) > n
            self.weights += np.where(active, np.where(counts > 0, up, -down), 0.0)


def quiet_slopes(up_down: float) -> Tuple[float, float]:
    """Return ``a_p`` and ``a_m`` of aihwkit's asymmetry, read off a device at weight zero."""
    tile = quiet_tile((1, 1), unit_cell_devices=[quiet_device(up_down=up_down)] * 2)
    names = tile.tile.get_hidden_parameter_names()
    hidden = tile.tile.get_hidden_parameters()
    return tuple(hidden[names.index(f"dwmin_{way}_0")].item() / 0.01 for way in ("up", "down"))


class Literal:
    """Algorithm 2 (``chops=False``) and 3 (``chops=True``) with arrays of whole pulses.

    What a pulse cannot express stays in the remainder H: it is the discretisation of the analog
    update, not part of the algorithm.
    """

    def __init__(self, weights: Array, chops: bool) -> None:
        zeros = np.zeros((D_SIZE, X_SIZE))
        self.P, self.W = LinearArray(zeros, FAST_STEP), LinearArray(weights, SLOW_STEP)
        self.Q, self.Q_used, self.H = zeros.copy(), zeros.copy(), zeros.copy()
        self.c = np.ones(X_SIZE)
        self.chops = chops

    @property
    def mixed(self) -> Array:
        """``W_bar = W + gamma*c*(P - Q~)``."""
        return self.W.weights + GAMMA * self.c * (self.P.weights - self.Q_used)

    def step(self, gradient: Array, c_next: Array) -> None:
        """One iteration; ``gradient`` in pulses: alpha*g = gradient * FAST_STEP."""
        self.P.pulse(-(self.c * gradient))  # (11a), (18a)
        P = self.P.weights
        # (11b), (18b) with the reference as it was; beta in pulses of W.
        self.H += TRANSFER_LR * self.c * (P - self.Q_used) / FAST_STEP
        pulses = np.clip(np.trunc(self.H), -1, 1)
        self.H -= pulses
        self.W.pulse(pulses)
        self.Q = (1 - ETA) * self.Q + ETA * P  # (12)
        flipped = c_next != self.c if self.chops else np.ones(X_SIZE, dtype=bool)
        self.c = c_next.copy()  # (17)
        self.Q_used[:, flipped] = self.Q[:, flipped]


def build(
    settings: Dict[str, Any],
    fast_step: float = FAST_STEP,
    slow_step: float = SLOW_STEP,
    gradient_bl: int = BL,
    transfer_lr: float = TRANSFER_LR,
) -> TrackingTile:
    """Return the tile of an algorithm."""
    eta = ETA if settings["reference"] is ReferenceType.DYNAMIC else None
    return quiet_tile(
        (D_SIZE, X_SIZE),
        unit_cell_devices=[
            quiet_device(dw_min=fast_step, up_down=UP_DOWN),
            quiet_device(dw_min=slow_step, up_down=UP_DOWN),
        ],
        transfer_scope=TransferScope.ARRAY,
        units_in_mbatch=True,
        transfer_every=1.0,
        gamma=GAMMA,
        eta=eta,
        gradient_bl=gradient_bl,
        # With this learning rate an input and an error of one make all pulses of a train: aihwkit
        # counts them in the average step of both devices.
        fast_lr=gradient_bl * (fast_step + slow_step) / 2,
        transfer_lr=transfer_lr,
        scale_transfer_lr=False,
        forget_buffer=False,
        momentum=0.0,
        **settings,
    )


def assert_same(tile: TrackingTile, literal: Literal, when: str, tolerance: float) -> None:
    """Compare all five quantities and the mixed weight."""
    pairs = {
        "fast_weights": literal.P.weights,
        "slow_weights": literal.W.weights,
        "sp_estimate": literal.Q,
        "reference": literal.Q_used,
        "chopper": np.broadcast_to(literal.c, (D_SIZE, X_SIZE)),
    }
    for name, expected in pairs.items():
        error = np.abs(getattr(tile, name).numpy() - expected).max()
        assert error <= tolerance, f"{name} differs by {error} {when}"
    used = tile.tile.forward(torch.eye(X_SIZE)).t().numpy()
    error = np.abs(used - literal.mixed).max()
    assert error <= tolerance, f"the mixed weight differs by {error} {when}"


def update(tile: TrackingTile, gradient: Array) -> None:
    """Give the tile a gradient, one column (one-hot input) at a time, as one batch."""
    errors = torch.tensor(gradient.T, dtype=torch.float32)
    tile.update(torch.eye(X_SIZE), errors.contiguous())


@pytest.mark.parametrize(
    "settings",
    [
        RIDER,
        E_RIDER,
        {**E_RIDER, "in_chop_random": True},
        {**E_RIDER, "reference_sync": ReferenceSync.EVERY_READ},
        {"reference": ReferenceType.ZERO, "in_chop_prob": 0.25},
    ],
    ids=["RIDER", "E-RIDER", "E-RIDER-random", "RIDER-chopped", "zero"],
)
def test_pulse_by_pulse(settings: Dict[str, Any]) -> None:
    """Every quantity after every iteration, with given gradients of whole pulses.

    The tolerance is single-precision rounding of some thousand pulses.
    """
    random = np.random.default_rng(3)
    tile = build(settings)
    every_read = settings.get("reference_sync") is ReferenceSync.EVERY_READ
    literal = Literal(tile.slow_weights.double().numpy(), not every_read)
    start = tile.slow_weights
    n_flips, signs = 0, tile.chopper[0].double().numpy()
    bias = random.uniform(-3.0, 3.0, (D_SIZE, X_SIZE))
    for k in range(150):
        gradient = np.round(np.clip(random.normal(bias, 6.0), -BL, BL))
        update(tile, gradient / BL)
        c_next = tile.chopper[0].double().numpy()
        n_flips += int((c_next != signs).sum())
        signs = c_next
        literal.step(gradient, c_next)
        if settings["reference"] is ReferenceType.ZERO:
            literal.Q[:], literal.Q_used[:] = 0.0, 0.0
        assert_same(tile, literal, f"after iteration {k}", 2e-5)
    assert (tile.slow_weights - start).abs().max() > 0.02
    assert (n_flips > 10) == (settings["in_chop_prob"] > 0.0)


def follow(
    tile: Optional[TrackingTile], weights: Array, target: Array, chops: bool, flips: List[Array]
) -> Array:
    """Minimise ``|W_bar - target|^2 / 2`` by the tile, or literally with continuous updates.

    The literal version has no pulses: ``W <- W + dW F(W) - |dW| G(W)``, eq. (2) with b = 0.
    """
    up, down = quiet_slopes(UP_DOWN)

    def analog(values: Array, change: Array) -> Array:
        q_plus, q_minus = up * (1 - values / TAU), down * (1 + values / TAU)
        symmetric, asymmetric = (q_minus + q_plus) / 2, (q_minus - q_plus) / 2
        return values + change * symmetric - np.abs(change) * asymmetric

    W, P = weights.copy(), np.zeros_like(weights)
    Q, Q_used, c = P.copy(), P.copy(), np.ones(X_SIZE)
    alpha = FINE["gradient_bl"] * FINE["fast_step"]
    beta = FINE["transfer_lr"] * FINE["slow_step"] / FINE["fast_step"]
    trajectory = []
    for k in range(N_LOOP):
        if tile is not None:
            used = tile.tile.forward(torch.eye(X_SIZE)).t().double().numpy()
            update(tile, 0.5 * (used - target))
            flips.append(tile.chopper[0].double().numpy())
            trajectory.append(tile.tile.forward(torch.eye(X_SIZE)).t().double().numpy())
            continue
        gradient = 0.5 * (W + GAMMA * c * (P - Q_used) - target)
        P = analog(P, -alpha * c * gradient)
        W = analog(W, beta * c * (P - Q_used))
        Q = (1 - ETA) * Q + ETA * P
        flipped = flips[k] != c if chops else np.ones(X_SIZE, dtype=bool)
        c = flips[k].copy()
        Q_used = Q_used.copy()
        Q_used[:, flipped] = Q[:, flipped]
        trajectory.append(W + GAMMA * c * (P - Q_used))
    return np.array(trajectory)


@pytest.mark.parametrize(
    ("settings", "chops"), [(RIDER, False), (E_RIDER, True)], ids=["RIDER", "E-RIDER"]
)
def test_closed_loop(settings: Dict[str, Any], chops: bool) -> None:
    """Both minimise a quadratic loss; the paths stay together within the discretisation.

    A gradient is rounded to a fast pulse, which is 4e-4 / 0.124 / 0.5 = 0.006 of W_bar, and one
    slow pulse is 0.004: the tolerance is the sum of both, doubled. The paths cover about 0.1.
    """
    tile = build(settings, **FINE)
    weights = tile.slow_weights.double().numpy()
    target = weights + np.array([[0.2, -0.15], [-0.2, 0.1], [0.15, -0.2]])
    flips: List[Array] = []
    found = follow(tile, weights, target, chops, flips)
    expected = follow(None, weights, target, chops, flips)
    distance = np.abs(expected - target).max((1, 2))
    assert distance[-1] < 0.8 * distance[0]
    assert np.abs(found - expected).max() < 0.02
