"""The character GPT as a task, with the arguments of its size."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict, Optional

from torch import nn

from common.character_models import CharacterGPT
from common.characters import Text
from common.tasks import Task, character_task

N_WINDOWS = 64
"""Sequences of a validation."""


def add_gpt_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes of a GPT."""
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--length", type=int, default=64, help="characters of a sequence")


def gpt(text: Text, args: argparse.Namespace) -> CharacterGPT:
    """Return a digital GPT with random weights."""
    return CharacterGPT(len(text.alphabet), args.length, args.width, args.blocks, args.heads)


def gpt_task(
    text: Text, args: argparse.Namespace, make: Callable[[Optional[Any]], nn.Module]
) -> Task:
    """Return the task to say the next character.

    Args:
        text: the text.
        args: sizes of the GPT and of a batch.
        make: makes the model with an RPU configuration, or without one.
    """
    return character_task(text, make, args.length, args.batch_size, N_WINDOWS, args.device)


def gpt_settings(text: Text, args: argparse.Namespace) -> Dict[str, Any]:
    """Return what results depend on."""
    names = ("width", "blocks", "heads", "length")
    return {"data": text.name, **{name: getattr(args, name) for name in names}}
