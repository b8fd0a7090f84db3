"""Small vision and language models with random weights, and a task for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Tuple

import pytest
import torch
from torch import Tensor, nn

N_CLASSES = 4
VOCABULARY = 32


def images(n: int = 32) -> Tuple[Tensor, Tensor]:
    """Return noisy images of stripes, whose class is their direction."""
    labels = torch.arange(n) % N_CLASSES
    places = torch.arange(16.0)
    phase = torch.rand(n, 3, 1, 1) * 6.0
    angle = labels.view(-1, 1, 1, 1) * torch.pi / N_CLASSES
    waves = torch.cos(angle) * places.view(-1, 1) + torch.sin(angle) * places
    return torch.sin(1.2 * waves + phase) + 0.3 * torch.randn(n, 3, 16, 16), labels


def tokens(n: int = 16) -> Tuple[Tensor, Tensor]:
    """Return sequences in which a token follows from the one before, and their successors."""
    after = torch.randperm(VOCABULARY)
    rows = [torch.randint(VOCABULARY, (n,))]
    for _ in range(8):
        rows.append(after[rows[-1]])
    sequences = torch.stack(rows, 1)
    return sequences[:, :-1], sequences[:, 1:]


def sentences(n: int = 32) -> Tuple[Tensor, Tensor]:
    """Return sequences whose class is that of their first token."""
    x = torch.randint(VOCABULARY, (n, 8))
    return x, x[:, 0] % N_CLASSES


def logits(model: nn.Module, x: Tensor) -> Tensor:
    """Return the outputs of a model, of Hugging Face's ones, too."""
    output: Any = model(x)
    found: Tensor = getattr(output, "logits", output)
    return found


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross entropy."""
    return nn.functional.cross_entropy(logits(model, x).flatten(0, -2), y.flatten())


@dataclass(frozen=True)
class Network:
    """A model, its task, and how much of it becomes analog."""

    make: Callable[[], nn.Module]
    data: Callable[[], Tuple[Tensor, Tensor]]
    share: float
    """Least share of the multiplications that is analog."""

    settings: Dict[str, Any] = field(default_factory=dict)
    """Arguments of ``convert``."""

    lr: float = 0.1
    """Learning rate of the arrays."""

    steps: int = 60


def hugging_face() -> Any:
    """Return the package ``transformers``."""
    return pytest.importorskip("transformers")


def gpt2() -> nn.Module:
    """Return a GPT-2 whose head is tied to its embedding."""
    package = hugging_face()
    return package.GPT2LMHeadModel(
        package.GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=8,
            n_embd=32,
            n_layer=2,
            n_head=4,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def llama() -> nn.Module:
    """Return a LLaMA."""
    package = hugging_face()
    return package.LlamaForCausalLM(
        package.LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
        )
    )


def mixtral() -> nn.Module:
    """Return a mixture of experts."""
    package = hugging_face()
    return package.MixtralForCausalLM(
        package.MixtralConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            num_key_value_heads=2,
            num_local_experts=4,
        )
    )


def bert() -> nn.Module:
    """Return a BERT that classifies."""
    package = hugging_face()
    return package.BertForSequenceClassification(
        package.BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            num_labels=N_CLASSES,
            initializer_range=0.1,
        )
    )


def vit() -> nn.Module:
    """Return a vision transformer."""
    package = hugging_face()
    return package.ViTForImageClassification(
        package.ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            image_size=16,
            patch_size=4,
            num_labels=N_CLASSES,
        )
    )


def lora() -> nn.Module:
    """Return a LLaMA with adapters, whose other weights are frozen."""
    package = pytest.importorskip("peft")
    layers = ["q_proj", "v_proj", "up_proj", "down_proj", "lm_head"]
    config = package.LoraConfig(r=8, lora_alpha=32, target_modules=layers)
    adapted: nn.Module = package.get_peft_model(llama(), config)
    return adapted


def resnet18() -> nn.Module:
    """Return a narrow ResNet-18."""
    package = pytest.importorskip("timm.models.resnet")
    settings = {"num_classes": N_CLASSES, "stem_width": 8, "channels": (8, 8, 16, 16)}
    return package.ResNet(package.BasicBlock, [2, 2, 2, 2], **settings)


def mobilenet() -> nn.Module:
    """Return a narrow MobileNetV2."""
    package = pytest.importorskip("torchvision.models")
    blocks = [[1, 8, 1, 1], [4, 16, 1, 2], [4, 16, 1, 1]]
    return package.MobileNetV2(N_CLASSES, 0.5, blocks, 4)


def convnext() -> nn.Module:
    """Return a narrow ConvNeXt."""
    package = pytest.importorskip("timm.models.convnext")
    settings = {"depths": (1, 1, 1, 1), "dims": (8, 8, 8, 16), "patch_size": 1}
    model: nn.Module = package.ConvNeXt(num_classes=N_CLASSES, ls_init_value=1.0, **settings)
    for module in model.modules():  # at 0.02 so narrow a network learns nothing for long
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
    return model


def mixer() -> nn.Module:
    """Return an MLP mixer."""
    package = pytest.importorskip("timm.models.mlp_mixer")
    settings = {"img_size": 16, "patch_size": 4, "num_blocks": 2, "embed_dim": 32}
    return package.MlpMixer(num_classes=N_CLASSES, **settings)


class Encoder(nn.Module):
    """torch's encoder between an embedding and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(32, VOCABULARY)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the next token; the present one says it."""
        return self.head(self.encoder(self.embedding(x)))


class Recurrent(nn.Module):
    """An LSTM of two layers that reads a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 16)
        self.lstm = nn.LSTM(16, 32, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(64, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the class."""
        return self.head(self.lstm(self.embedding(x))[0][:, 0])


class UNet(nn.Module):
    """Down, up by a transposed convolution, and across; says the class of each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding="same", padding_mode="reflect"), nn.ReLU()
        )
        self.down = nn.Sequential(nn.Conv2d(8, 16, 2, 2), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1))
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.after = nn.Conv2d(16, N_CLASSES, 3, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, height, width, classes]`` logits."""
        across = self.before(x)
        joined = torch.cat([across, self.up(torch.relu(self.down(across)))], 1)
        return self.after(torch.relu(joined)).movedim(1, -1)


def pixels() -> Tuple[Tensor, Tensor]:
    """Return images, and their class for each pixel."""
    x, labels = images(16)
    return x, labels.view(-1, 1, 1).expand(-1, 16, 16)


NETWORKS: Dict[str, Network] = {
    "GPT-2": Network(gpt2, tokens, 1.0, {"tied": "untie"}),
    "LLaMA": Network(llama, tokens, 1.0),
    "Mixtral": Network(mixtral, tokens, 0.95),
    "BERT": Network(bert, sentences, 1.0),
    "ViT": Network(vit, images, 0.95),
    "TransformerEncoder": Network(Encoder, tokens, 1.0),
    "ResNet-18": Network(resnet18, images, 1.0),
    "MobileNetV2": Network(mobilenet, images, 0.9, lr=0.03),
    "ConvNeXt": Network(convnext, images, 1.0, lr=0.05, steps=40),
    "U-Net": Network(UNet, pixels, 1.0, lr=0.005),
    "Mixer": Network(mixer, images, 1.0),
    "LSTM": Network(Recurrent, sentences, 1.0),
    "LoRA": Network(lora, tokens, 1.0, lr=0.05, steps=100),
}
"""Name -> network."""
