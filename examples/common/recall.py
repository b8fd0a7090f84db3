"""An LSTM that has to remember, and its task: which symbol of a sequence came first?"""

from __future__ import annotations

from typing import Any, Tuple

import torch
from aihwkit.nn import AnalogLinear, AnalogLSTMCell, AnalogRNN
from torch import Tensor, nn

N_SYMBOLS = 4


class Recall(nn.Module):
    """LSTM and a readout of its last output."""

    def __init__(self, hidden_size: int, rpu_config: Any) -> None:
        super().__init__()
        self.lstm = AnalogRNN(AnalogLSTMCell, N_SYMBOLS, hidden_size, rpu_config=rpu_config)
        self.readout = AnalogLinear(hidden_size, N_SYMBOLS, rpu_config=rpu_config)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, N_SYMBOLS]`` logits of ``[time, batch, N_SYMBOLS]`` sequences."""
        outputs, _ = self.lstm(x)
        logits: Tensor = self.readout(outputs[-1])
        return logits


def sequences(n_steps: int, n_sequences: int) -> Tuple[Tensor, Tensor]:
    """Return ``[n_steps, n_sequences, N_SYMBOLS]`` one-hot symbols and the first symbol of each."""
    symbols = torch.randint(N_SYMBOLS, (n_steps, n_sequences))
    return nn.functional.one_hot(symbols, N_SYMBOLS).float(), symbols[0]
