"""Hugging Face: Trainer fits, saves and resumes; ``save_pretrained`` saves all there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from aihwkit.exceptions import ArgumentError
from torch.optim.lr_scheduler import ExponentialLR

from aihwkit_dspt import analog_optimizer, convert, states_in_tensors
from tests.helpers import difference, quiet_config
from tests.optim.models import states
from tests.table import METHODS

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow  # it imports for seconds


def gpt2() -> Any:
    """Return a small GPT-2, its blocks on arrays, without dropout."""
    config = transformers.GPT2Config(
        vocab_size=16,
        n_positions=8,
        n_embd=8,
        n_layer=1,
        n_head=2,
        tie_word_embeddings=False,
        **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0),
        **dict.fromkeys(("bos_token_id", "eos_token_id"), 0),
    )
    digital = transformers.GPT2LMHeadModel(config)
    model = convert(digital, quiet_config(**METHODS["E-RIDER"]), exclude_modules=["lm_head"])
    return states_in_tensors(model)


def texts(n: int = 32) -> Any:
    """Return sequences of tokens, to be continued."""
    tokens = torch.randint(16, (n, 8))
    return [{"input_ids": each, "labels": each} for each in tokens]


def trainer(model: Any, data: Any, folder: Path, **settings: Any) -> Any:
    """Return a Trainer of eight steps that saves every four."""
    arguments = transformers.TrainingArguments(
        str(folder),
        max_steps=8,
        save_steps=4,
        logging_steps=1,
        per_device_train_batch_size=4,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        **settings,
    )
    optimizer = analog_optimizer(model, torch.optim.AdamW, lr=1e-2, analog_lr=0.2)
    schedule = ExponentialLR(optimizer, 0.9)
    return transformers.Trainer(
        model, arguments, train_dataset=data, optimizers=(optimizer, schedule)
    )


@pytest.mark.parametrize(
    "settings",
    [{}, {"gradient_accumulation_steps": 2}, {"bf16": True}, {"gradient_checkpointing": True}],
    ids=str,
)
def test_a_resumed_run_is_one_that_was_never_stopped(settings: Any, tmp_path: Path) -> None:
    """Bit for bit; the norm that is clipped counts arrays; nothing is kept."""
    model, data = gpt2(), texts()
    before = states(model)
    run = trainer(model, data, tmp_path / "run", **settings)
    run.train()
    norms = [entry["grad_norm"] for entry in run.state.log_history if "grad_norm" in entry]
    assert len(norms) == 8
    tiles = [tile for tile in model.modules() if hasattr(tile, "analog_ctx")]
    assert not any(tile.analog_ctx.has_gradient() for tile in tiles)
    assert difference(before, states(model)) is not None
    resumed = gpt2()
    again = trainer(resumed, data, tmp_path / "run", **settings)
    again.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-4"))
    assert difference(states(model), states(resumed)) is None


def test_its_own_optimizer_is_refused(tmp_path: Path) -> None:
    """Trainer makes an AdamW if it is given none."""
    run = trainer(gpt2(), texts(), tmp_path)
    run.optimizer = run.lr_scheduler = None
    with pytest.raises(ArgumentError, match=r"AdamW trains no analog tile"):
        run.train()


def test_save_pretrained(tmp_path: Path) -> None:
    """Configuration and weights; a converted model loads them exactly."""
    load_file = pytest.importorskip("safetensors.torch").load_file
    model = gpt2()
    run = trainer(model, texts(), tmp_path / "run")
    run.train()
    model.save_pretrained(tmp_path / "model")
    other = gpt2()
    other.load_state_dict(load_file(tmp_path / "model" / "model.safetensors"))
    assert difference(states(model), states(other)) is None
    assert transformers.GPT2Config.from_pretrained(tmp_path / "model").n_embd == 8
