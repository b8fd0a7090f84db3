"""torch's recurrent layers with their weights in linear layers."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.rnn import RNNBase, RNNCellBase
from torch.nn.utils.rnn import PackedSequence

from aihwkit_dspt.models import kept

State = Tuple[Tensor, ...]


def lstm(from_input: Tensor, from_hidden: Tensor, state: State) -> State:
    """Return hidden and cell state after a step."""
    i, f, g, o = (from_input + from_hidden).chunk(4, -1)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def gru(from_input: Tensor, from_hidden: Tensor, state: State) -> State:
    """Return the hidden state after a step."""
    (r, z, n), (hr, hz, hn) = from_input.chunk(3, -1), from_hidden.chunk(3, -1)
    new = torch.tanh(n + torch.sigmoid(r + hr) * hn)
    return (new + torch.sigmoid(z + hz) * (state[0] - new),)


def tanh(from_input: Tensor, from_hidden: Tensor, state: State) -> State:
    """Return the hidden state after a step."""
    return (torch.tanh(from_input + from_hidden),)


def relu(from_input: Tensor, from_hidden: Tensor, state: State) -> State:
    """Return the hidden state after a step."""
    return (torch.relu(from_input + from_hidden),)


GATES: Dict[str, Callable[[Tensor, Tensor, State], State]] = {
    "LSTM": lstm,
    "GRU": gru,
    "RNN_TANH": tanh,
    "RNN_RELU": relu,
}
"""torch's name of a kind -> its step."""


class Gates(nn.Module):
    """The weights of a layer in one direction.

    Args:
        module: the recurrent layer, whose weights are copied.
        mode: its kind, see :data:`GATES`.
        suffix: end of the names of its parameters, such as ``"_l0_reverse"``.
    """

    def __init__(self, module: nn.Module, mode: str, suffix: str = "") -> None:
        super().__init__()
        self.mode = mode

        def part(name: str) -> nn.Linear:
            weight = getattr(module, f"weight_{name}{suffix}")
            bias = module._parameters.get(f"bias_{name}{suffix}")
            return kept.linear(weight, bias, weight, bias)

        self.ih, self.hh = part("ih"), part("hh")
        self.hr = part("hr") if f"weight_hr{suffix}" in module._parameters else None

    def step(self, from_input: Tensor, state: State) -> State:
        """Return the state after a step.

        Args:
            from_input: ``[batch, gates]`` products of the input.
            state: ``[batch, hidden]`` state, and that of the cell.
        """
        new = GATES[self.mode](from_input, self.hh(state[0]), state)
        return new if self.hr is None else (self.hr(new[0]), *new[1:])

    def run(
        self, x: Tensor, sizes: List[int], state: State, backwards: bool
    ) -> Tuple[Tensor, State]:
        """Return the hidden states of all steps, and the last state of each sequence.

        Args:
            x: ``[sum of sizes, features]`` inputs of all steps, one step after the other; all of
                them are multiplied at once.
            sizes: sequences that go on in each step, longest first.
            state: state before the first step.
            backwards: whether to begin with the last step.
        """
        inputs = self.ih(x).split(sizes)
        outputs: List[Tensor] = [x] * len(sizes)
        for number in reversed(range(len(sizes))) if backwards else range(len(sizes)):
            n = sizes[number]
            new = self.step(inputs[number], tuple(part[:n] for part in state))
            state = tuple(torch.cat([now, old[n:]]) for now, old in zip(new, state))
            outputs[number] = new[0]
        return torch.cat(outputs), state


class Recurrent(nn.Module):
    """``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` whose weights are in linear layers.

    Arguments, states, packed sequences, several layers, both directions, dropout between layers and
    projections are as in torch. aihwkit's ``AnalogRNN`` has an interface of its own.

    Args:
        module: torch's layer, whose weights are copied.
    """

    def __init__(self, module: RNNBase) -> None:
        super().__init__()
        self.mode: str = module.mode
        self.input_size, self.hidden_size = module.input_size, module.hidden_size
        self.num_layers, self.proj_size = module.num_layers, module.proj_size
        self.batch_first, self.bidirectional = module.batch_first, module.bidirectional
        self.bias, self.dropout = module.bias, float(module.dropout)
        self.cells = nn.ModuleList(
            Gates(module, module.mode, f"_l{layer}{direction}")
            for layer in range(module.num_layers)
            for direction in ["", "_reverse"][: 1 + module.bidirectional]
        )

    def flatten_parameters(self) -> None:
        """Do nothing: there are no weights of cuDNN to be packed."""

    def forward(
        self, x: Union[Tensor, PackedSequence], state: Union[Tensor, State, None] = None
    ) -> Tuple[Union[Tensor, PackedSequence], Union[Tensor, State, None]]:
        """Return the outputs of all steps, and the last state.

        Args:
            x: ``[time, batch, input_size]`` inputs (``[batch, time, input_size]`` if
                ``batch_first``), without batch or packed.
            state: ``[layers * directions, batch, hidden_size]`` state before the first step;
                hidden state and state of the cell for an LSTM.
        """
        given = None if state is None else (state,) if isinstance(state, Tensor) else tuple(state)
        if isinstance(x, PackedSequence):
            data, sizes = x.data, x.batch_sizes.tolist()
            given = _permuted(given, x.sorted_indices)
            data, last = self._layers(data, sizes, given)
            packed = PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
            return packed, self._shown(_permuted(last, x.unsorted_indices))
        batched = x.dim() == 3
        if not batched:
            x = x.unsqueeze(1)
            given = None if given is None else tuple(part.unsqueeze(1) for part in given)
        elif self.batch_first:
            x = x.transpose(0, 1)
        data, last = self._layers(x.flatten(0, 1), [x.shape[1]] * len(x), given)
        output = torch.unflatten(data, 0, x.shape[:2])
        if not batched:
            return output.squeeze(1), self._shown(tuple(part.squeeze(1) for part in last))
        return output.transpose(0, 1) if self.batch_first else output, self._shown(last)

    def _layers(self, x: Tensor, sizes: List[int], given: Optional[State]) -> Tuple[Tensor, State]:
        """Return the outputs of the last layer and the last states of all of them."""
        directions = 1 + self.bidirectional
        if given is None:
            widths = [self.proj_size or self.hidden_size, self.hidden_size]
            given = tuple(
                x.new_zeros(len(self.cells), sizes[0], width)
                for width in widths[: 2 if self.mode == "LSTM" else 1]
            )
        last: List[State] = []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout > 0.0:
                x = functional.dropout(x, self.dropout, self.training)
            outputs = []
            for number in range(layer * directions, (layer + 1) * directions):
                first = tuple(part[number] for part in given)
                gates: Any = self.cells[number]
                output, end = gates.run(x, sizes, first, number % directions == 1)
                outputs.append(output)
                last.append(end)
            x = torch.cat(outputs, -1)
        return x, tuple(torch.stack(parts) for parts in zip(*last))

    def _shown(self, state: Optional[State]) -> Union[Tensor, State, None]:
        """Return the state as torch does: an LSTM has two parts."""
        return state if state is None or self.mode == "LSTM" else state[0]


class RecurrentCell(nn.Module):
    """``nn.LSTMCell``, ``nn.GRUCell`` or ``nn.RNNCell`` whose weights are in linear layers.

    Args:
        module: torch's cell, whose weights are copied.
    """

    def __init__(self, module: RNNCellBase) -> None:
        super().__init__()
        kinds = {nn.LSTMCell: "LSTM", nn.GRUCell: "GRU"}
        found = [kinds[kind] for kind in kinds if isinstance(module, kind)]
        mode = found[0] if found else f"RNN_{str(module.nonlinearity).upper()}"
        self.input_size, self.hidden_size = module.input_size, module.hidden_size
        self.gates = Gates(module, mode)

    def forward(self, x: Tensor, state: Union[Tensor, State, None] = None) -> Union[Tensor, State]:
        """Return the state after a step.

        Args:
            x: ``[batch, input_size]`` inputs; the batch may be missing.
            state: ``[batch, hidden_size]`` state; hidden state and state of the cell for an LSTM.
        """
        is_lstm = self.gates.mode == "LSTM"
        if state is None:
            zeros = x.new_zeros(*x.shape[:-1], self.hidden_size)
            state = (zeros, zeros) if is_lstm else zeros
        given = (state,) if isinstance(state, Tensor) else tuple(state)
        batched = x.dim() == 2
        if not batched:
            x, given = x.unsqueeze(0), tuple(part.unsqueeze(0) for part in given)
        new = self.gates.step(self.gates.ih(x), given)
        new = new if batched else tuple(part.squeeze(0) for part in new)
        return new if is_lstm else new[0]


def _permuted(state: Optional[State], order: Optional[Tensor]) -> Optional[State]:
    if state is None or order is None:
        return state
    return tuple(part.index_select(1, order) for part in state)
