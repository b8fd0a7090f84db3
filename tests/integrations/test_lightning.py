"""Lightning: fit, checkpoint and resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from aihwkit.exceptions import TileError
from torch.utils.data import DataLoader, TensorDataset

from aihwkit_dspt import analog_optimizer
from tests.helpers import difference
from tests.optim.models import loss_of, states, tracking_network

lightning = pytest.importorskip("lightning")
pytestmark = pytest.mark.slow  # it imports for seconds


def module() -> Any:
    """Return a Lightning module around a network."""

    class Classifier(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = tracking_network()

        def on_train_epoch_start(self) -> None:
            torch.manual_seed(self.current_epoch)  # the choppers draw; Lightning saves no generator

        def training_step(self, data: Any, index: int) -> torch.Tensor:
            return loss_of(self.network, *data)

        def configure_optimizers(self) -> Any:
            optimizer = analog_optimizer(self.network, lr=1e-2, analog_lr=0.2)
            return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]

    return Classifier()


def trainer(folder: Path, **settings: Any) -> Any:
    """Return a Trainer of four epochs that saves each of them."""
    callback = lightning.pytorch.callbacks.ModelCheckpoint(
        folder, filename="{epoch}", save_top_k=-1, every_n_epochs=1
    )
    return lightning.Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=False,
        callbacks=[callback],
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gradient_clip_val": 0.1},
        {"accumulate_grad_batches": 2},
        {"precision": "bf16-mixed"},
    ],
    ids=str,
)
def test_a_resumed_run_is_one_that_was_never_stopped(settings: Any, tmp_path: Path) -> None:
    """Bit for bit; the step is within a closure, which clips; nothing is kept."""
    data = DataLoader(TensorDataset(torch.randn(32, 6), torch.randint(3, (32,))), batch_size=8)
    run = module()
    before = states(run.network)
    trainer(tmp_path, **settings).fit(run, data)
    assert difference(before, states(run.network)) is not None
    for tile in run.network.analog_tiles():
        assert not tile.analog_ctx.has_gradient()
        assert tile.get_learning_rate() == pytest.approx(0.2 * 0.9**3)
    resumed = module()
    trainer(tmp_path / "again", **settings).fit(resumed, data, ckpt_path=tmp_path / "epoch=1.ckpt")
    assert difference(states(run.network), states(resumed.network)) is None


def test_clipping_within_the_closure() -> None:
    """A step whose limit is tiny moves no array."""
    data = DataLoader(TensorDataset(torch.randn(8, 6), torch.randint(3, (8,))), batch_size=8)
    run = module()
    before = [tile.fast_weights for tile in run.network.analog_tiles()]
    lightning.Trainer(
        max_steps=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1e-9,
    ).fit(run, data)
    for tile, weights in zip(run.network.analog_tiles(), before):
        assert torch.equal(tile.fast_weights, weights)


@pytest.mark.parametrize("name", ["StochasticWeightAveraging", "WeightAveraging"])
def test_averages_of_parameters_are_refused(name: str) -> None:
    """Before the first step, with what works; the module can be fitted afterwards."""
    callbacks = lightning.pytorch.callbacks
    if name == "WeightAveraging":
        pytest.importorskip("lightning", minversion="2.6")
        callback = callbacks.WeightAveraging()
    else:
        callback = callbacks.StochasticWeightAveraging(swa_lrs=1e-2)
    data = DataLoader(TensorDataset(torch.randn(8, 6), torch.randint(3, (8,))), batch_size=8)
    run = module()
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    settings |= {"enable_progress_bar": False, "enable_model_summary": False, "max_epochs": 2}
    before = states(run.network)
    with pytest.raises(TileError, match=r"AveragedWeights\(model"):
        lightning.Trainer(callbacks=[callback], **settings).fit(run, data)
    assert difference(before, states(run.network)) is None
    lightning.Trainer(**settings).fit(run, data)
    assert difference(before, states(run.network)) is not None
