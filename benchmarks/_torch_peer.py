"""The same network, augmentation and optimizer in torch, trained by skorch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from _peer import BATCH_SIZE, DEFAULTS, N_GROUPS, n_steps, stain_matrix, strengths
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.nn import functional


def augment(images: torch.Tensor, strength: dict[str, Any]) -> torch.Tensor:
    """Change images (n, 3, height, width) in 0 to 255, each in its own way."""
    n = len(images)

    def draw(name: str, *trailing: int) -> torch.Tensor:
        return (2 * torch.rand(n, *trailing) - 1) * strength[name]

    for change in (lambda x: x.flip(3), lambda x: x.flip(2), lambda x: x.transpose(2, 3)):
        images = torch.where(draw("flip", 1, 1, 1) < 0, change(images), images)
    angle, scale = draw("rotation") * (np.pi / 180), torch.exp(draw("zoom"))
    cos, sin, zero = torch.cos(angle) * scale, torch.sin(angle) * scale, torch.zeros(n)
    theta = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).reshape(n, 2, 3)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=True)
    images = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=True)
    stains = torch.from_numpy(stain_matrix())
    mixing = torch.einsum("ij,bj,jk->bik", torch.linalg.inv(stains), 1 + draw("stain", 3), stains)
    density = torch.einsum("bihw,bij->bjhw", -torch.log((images + 1) / 256), mixing)
    density = density + (0.25 * draw("stain", 3) @ stains)[:, :, None, None]
    images = (256 * torch.exp(-density) - 1).clamp(0, 255)
    gain, shift = 1 + draw("contrast", 1, 1, 1), 255 * draw("brightness", 1, 1, 1)
    centre = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - centre) * gain + centre + shift).clamp(0, 255)


class Network(nn.Module):
    """Images (n, height, width, 3) in, logits out; with `fast`, bfloat16 with the channels last."""

    def __init__(self, fast: bool = False) -> None:
        super().__init__()
        self.fast = fast
        widths, blocks = (3, *DEFAULTS.filters), []
        for position, (before, width) in enumerate(pairwise(widths)):
            size, stride = (5 if position == 0 else 3), (2 if position % 2 == 0 else 1)
            blocks += [
                nn.Conv2d(before, width, size, stride, size // 2, bias=False),
                nn.GroupNorm(N_GROUPS, width, eps=1e-3),
                nn.ReLU(),
            ]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Dropout(DEFAULTS.dropout), nn.Linear(widths[-1], 2))
        if fast:
            self.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the logits of a batch."""
        x = images.permute(0, 3, 1, 2).float()
        if self.training:
            with torch.no_grad():
                x = augment(x.contiguous(), strengths())
        x = -torch.log((x + 1) / 256) - 0.4
        if self.fast:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16) if self.fast else nullcontext():
            features = self.blocks(x)
        return self.head(features.float().mean(dim=(2, 3)))


def count_parameters() -> int:
    """Count the weights."""
    return sum(each.numel() for each in Network().parameters())


def has_fast_bfloat16() -> bool:
    """Whether vectors are long enough for bfloat16: older processors emulate it, for minutes."""
    return torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "AVX2")


def fit_torch(
    images: np.ndarray, codes: np.ndarray, epochs: int, note: Callable[[], None], fast: bool = False
) -> None:
    """Fit a skorch classifier; `note` is called at the end of each epoch."""

    class Clock(Callback):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            note()

    schedule = LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        max_lr=DEFAULTS.learning_rate,
        total_steps=n_steps(len(images), epochs) + 1,
        step_every="batch",
    )
    net = NeuralNetClassifier(
        Network,
        module__fast=fast,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=DEFAULTS.weight_decay,
        lr=DEFAULTS.learning_rate,
        batch_size=BATCH_SIZE,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        callbacks=[schedule, Clock()],
    )
    net.fit(images, codes)
