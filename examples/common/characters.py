"""Text as a sequence of characters: a file of a data root, or sentences that are made up."""

from __future__ import annotations

import lzma
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

import torch
from torch import Tensor

from common.data import ENVIRONMENT

VALIDATION_SHARE = 0.1

WORDS = {
    "who": ("the king", "a fool", "my sister", "the old queen", "no man", "your brother"),
    "does": ("loves", "fears", "will follow", "has seen", "sends for", "forgives"),
    "whom": ("the sea", "a quiet night", "his own son", "the crown", "every friend", "the storm"),
}


@dataclass
class Text:
    """Characters as ``[n]`` numbers of an alphabet."""

    name: str
    alphabet: str
    train: Tensor
    validation: Tensor

    def windows(
        self, length: int, n_windows: int, generator: torch.Generator
    ) -> Tuple[Tensor, Tensor]:
        """Return ``[n_windows, length]`` characters of random places, and those that follow."""
        starts = torch.randint(len(self.train) - length, (n_windows, 1), generator=generator)
        places = starts + torch.arange(length + 1)
        taken = self.train[places]
        return taken[:, :-1], taken[:, 1:]

    def validation_windows(self, length: int, n_windows: int) -> Tuple[Tensor, Tensor]:
        """Return ``[n_windows, length]`` characters at equal distances, and those that follow."""
        starts = torch.linspace(0, len(self.validation) - length - 1, n_windows).long()
        taken = self.validation[starts[:, None] + torch.arange(length + 1)]
        return taken[:, :-1], taken[:, 1:]


def _find(root: Path) -> Path:
    for folder in (root, root / "text"):
        for pattern in ("*.txt", "*.txt.xz"):
            found = sorted(folder.glob(pattern))
            if found:
                return found[0]
    raise FileNotFoundError(
        f"no .txt or .txt.xz in {root} (nor in its text/): pass the folder of a text as "
        f"--data-root or in {ENVIRONMENT}"
    )


def made_up(n_sentences: int = 8000) -> str:
    """Return sentences of a small grammar, always the same ones."""
    draw = random.Random(1)
    parts = (" ".join(draw.choice(words) for words in WORDS.values()) for _ in range(n_sentences))
    return ".\n".join(parts)


def load_text(data_root: Optional[str] = None) -> Text:
    """Load the first text of a folder if one is given (or in the environment), else make one up.

    Args:
        data_root: folder that holds a ``.txt`` or ``.txt.xz`` file, or its ``text`` folder.
    """
    root = data_root or os.environ.get(ENVIRONMENT)
    name, content = "made-up text", ""
    if root:
        path = _find(Path(root))
        opener = lzma.open if path.suffix == ".xz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            name, content = path.name, str(file.read())
    else:
        content = made_up()
    alphabet = "".join(sorted(set(content)))
    numbers = {character: number for number, character in enumerate(alphabet)}
    values = torch.tensor([numbers[character] for character in content])
    n_train = round((1.0 - VALIDATION_SHARE) * len(values))
    return Text(name, alphabet, values[:n_train], values[n_train:])
