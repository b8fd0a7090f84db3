"""Small networks that say which character comes next, digital or analog."""

from __future__ import annotations

from typing import Any, Optional

import torch
from aihwkit.nn import AnalogLinear, AnalogLSTMCell, AnalogRNN
from torch import Tensor, nn


class CharacterLSTM(nn.Module):
    """Embedding, one LSTM and a readout.

    Args:
        n_characters: size of the alphabet.
        config: RPU configuration of all weights but the embedding; ``None`` for a digital network.
        width: size of the embedding and of the state.
    """

    def __init__(self, n_characters: int, config: Optional[Any], width: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_characters, width)
        if config is None:
            self.lstm: nn.Module = nn.LSTM(width, width)
            self.readout: nn.Module = nn.Linear(width, n_characters)
        else:
            self.lstm = AnalogRNN(AnalogLSTMCell, width, width, rpu_config=config)
            self.readout = AnalogLinear(width, n_characters, rpu_config=config)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, time, n_characters]`` logits of ``[batch, time]`` characters."""
        outputs, _ = self.lstm(self.embedding(x).transpose(0, 1))
        logits: Tensor = self.readout(outputs.transpose(0, 1))
        return logits


class Block(nn.Module):
    """Causal self-attention and two dense layers, each after a normalisation."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.before_attention, self.before_dense = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, time, width]`` features."""
        split = self.query_key_value(self.before_attention(x)).unflatten(-1, (3, self.n_heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.output(seen.transpose(1, 2).flatten(2))
        return x + self.dense(self.before_dense(x))


class CharacterGPT(nn.Module):
    """A small GPT; convert it to analog.

    Args:
        n_characters: size of the alphabet.
        length: most characters of a sequence.
        width: size of the features.
        n_blocks: number of blocks.
        n_heads: heads of each attention.
    """

    def __init__(
        self, n_characters: int, length: int, width: int = 64, n_blocks: int = 2, n_heads: int = 4
    ) -> None:
        super().__init__()
        self.characters = nn.Embedding(n_characters, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, n_heads) for _ in range(n_blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_characters)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, time, n_characters]`` logits of ``[batch, time]`` characters."""
        places = self.places(torch.arange(x.shape[1], device=x.device))
        logits: Tensor = self.head(self.norm(self.blocks(self.characters(x) + places)))
        return logits


@torch.no_grad()
def sample(
    model: nn.Module,
    alphabet: str,
    n_characters: int,
    length: int,
    temperature: float = 0.7,
) -> str:
    """Return characters that a model writes after a line break.

    Args:
        model: gives logits of the next character.
        alphabet: character of each number.
        n_characters: how many.
        length: most characters that the model looks back.
        temperature: divides the logits.

    Returns:
        the text, up to where logits are no numbers.
    """
    device = next(model.parameters()).device
    numbers = [alphabet.index("\n")]
    model.eval()
    for _ in range(n_characters):
        x = torch.tensor([numbers[-length:]], device=device)
        chances = torch.softmax(model(x)[0, -1] / temperature, 0)
        if not chances.isfinite().all():
            break
        numbers.append(int(torch.multinomial(chances, 1)))
    model.train()
    return "".join(alphabet[number] for number in numbers[1:])
