"""Several guidances, one after the other."""
from __future__ import annotations

from torch import Tensor, nn

from semdepth_ros.networks.guidance.guide import Guide, Semantics


class Chain(nn.Module):
    """What a recipe's list of guidances makes: at every level each is given what the one before it left."""

    def __init__(self, guidances: list[nn.Module]):
        super().__init__()
        self.guidances = nn.ModuleList(guidances)

    def forward(self, image: Tensor, features: list[Tensor], semantics: Semantics,
                labels: Tensor | None = None) -> Guide:
        """Return the guides of all in one."""
        return ChainGuide([guidance(image, features, semantics, labels) for guidance in self.guidances])


class ChainGuide(Guide):
    """Guides of one batch of images, asked in turn."""

    def __init__(self, guides: list[Guide]):
        self.guides = guides

    def upsampled(self, level: int, x: Tensor) -> Tensor:
        """Return what the last guide returns."""
        for guide in self.guides:
            x = guide.upsampled(level, x)
        return x

    def output(self, level: int, x: Tensor, levels: dict[int, Tensor]) -> Tensor:
        """Return what the last guide returns; the coarser levels are as all of them left them."""
        for guide in self.guides:
            x = guide.output(level, x, levels)
        return x

    def extras(self) -> dict[str, Tensor]:
        """Return what any of them hands on."""
        return {name: tensor for guide in self.guides for name, tensor in guide.extras().items()}
