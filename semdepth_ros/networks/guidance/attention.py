"""Multi-level attention: where classes look alike, depth features are shared; below that, features are put together."""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semdepth_ros.networks.guidance.guide import Guide, GuidedParts, Semantics
from semdepth_ros.networks.guidance.levels import guided_levels, semantic_features, semantic_level
from semdepth_ros.networks.resnet import initialise
from semdepth_ros.settings import between, one_of

VALUES = ('depth', 'both')
GATES = ('alpha', 'none')


@dataclass(frozen=True)
class AttentionSettings:
    """How depth features attend.

    :param levels: of the depth decoder with attention, counted from its finest; nothing is the three coarsest
    :param pooling: at the finest of them keys and values are means of so many by so many pixels
    :param reduction: queries and keys have this part of the channels of values
    :param values: of `depth` features, or of `both`, semantic ones too
    :param concatenation: whether the levels below put both features together and convolve them; else nothing is done there
    :param gate: what keeps attention out at the start: `alpha`, a factor that is learned and starts at 0, or `none`: the
        last convolution starts at zero
    """

    levels: tuple[int, ...] | None = None
    pooling: int = 2
    reduction: int = 8
    values: str = 'depth'
    concatenation: bool = True
    gate: str = 'alpha'

    def __post_init__(self):
        one_of('gate', self.gate, GATES)
        between(self, 1, 8, 'pooling')
        between(self, 1, 64, 'reduction')
        one_of('values', self.values, VALUES)


class Attention(nn.Module):
    """Semantic-guided self-attention at some levels of the depth decoder, concatenation and convolution below them.

    After Li et al. 2020 (arXiv 2012.08048), whose overview figure has attention behind the three coarsest levels,
    concatenation and convolution behind the others, from the semantic to the depth decoder only. Form ours: everything
    within, see AttentionLevel and ConcatenationLevel.
    """

    def __init__(self, settings: AttentionSettings, parts: GuidedParts):
        super().__init__()
        attended, self.levels = guided_levels(parts, settings.levels), nn.ModuleDict()
        below = range(attended[-1]) if settings.concatenation else ()
        self.semantic_levels = {level: semantic_level(parts, level) for level in (*attended, *below)}
        for level, semantic in self.semantic_levels.items():
            widths = parts.semantic.channels[semantic], parts.depth.channels[level]
            if level in attended:
                pooling = settings.pooling if level == attended[-1] else 1
                block = AttentionLevel(*widths, settings.reduction, pooling, settings.values, settings.gate)
            else:
                block = ConcatenationLevel(*widths)
            self.levels[str(level)] = block

    def forward(self, image: Tensor, features: list[Tensor], semantics: Semantics,
                labels: Tensor | None = None) -> Guide:
        """Return the guide of these images."""
        return AttentionGuide(self, semantics)


class AttentionLevel(nn.Module):
    """The equations of a level, with semantic features F_s and depth features F_d of its size, and pixels in rows:

        Q = W_q F_s,  K = W_k F_s,  V = W_v F_d              W: 1x1 convolutions; V of [F_d, F_s] where both are values
        F_d' = F_d + alpha W_o (softmax(Q K^T / sqrt(d)) V)  d: channels of Q and K

    alpha is learned and starts at 0, as in SAGAN (Zhang et al. 2019); with the gate `none` it is 1, and W_o starts at
    zero. Adam moves a number by about its learning rate a step, so that alpha opens slowly; W_o has a row of numbers for
    each channel, and opens as many times sooner. With pooling, F_s and F_d are averaged before W_k and W_v. Form ours:
    the paper's assignment of queries, keys and values is not known.

    :param semantic, depth: channels of F_s and F_d
    """

    def __init__(self, semantic: int, depth: int, reduction: int, pooling: int, values: str, gate: str = 'alpha'):
        super().__init__()
        self.pooling, self.of_both = pooling, values == 'both'
        narrow = max(depth // reduction, 1)
        self.query = nn.Conv2d(semantic, narrow, 1)
        self.key = nn.Conv2d(semantic, narrow, 1)
        self.value = nn.Conv2d(depth + semantic if self.of_both else depth, depth, 1)
        self.write = nn.Conv2d(depth, depth, 1)
        self.alpha = nn.Parameter(torch.zeros(())) if gate == 'alpha' else None
        initialise(self)
        if gate == 'none':
            nn.init.zeros_(self.write.weight)
            nn.init.zeros_(self.write.bias)

    def forward(self, depth: Tensor, semantic: Tensor) -> Tensor:
        """Return F_d' of F_d and F_s."""
        known = torch.cat((depth, semantic), 1) if self.of_both else depth
        attended = attend(self.query(semantic), self.key(self._pooled(semantic)), self.value(self._pooled(known)))
        written = self.write(attended)
        return depth + (written if self.alpha is None else self.alpha * written)

    def looked_at(self, semantic: Tensor, row: int, column: int) -> Tensor:
        """Return how much one pixel attends to each of the pooled ones, [B, h, w]: a row of softmax(Q K^T / sqrt(d)).

        :param semantic: F_s
        """
        query, key = self.query(semantic)[..., row, column], self.key(self._pooled(semantic))
        scores = torch.einsum('bc,bchw->bhw', query, key) * key.shape[1] ** -0.5
        return scores.flatten(1).softmax(1).view_as(scores)

    def _pooled(self, x: Tensor) -> Tensor:
        return x if self.pooling == 1 else F.avg_pool2d(x, self.pooling, ceil_mode=True)


class ConcatenationLevel(nn.Module):
    """F_d' = F_d + ELU(Conv([F_d, F_s])), of a 3x3 convolution.

    Form ours: the sum, and that the convolution starts at zero, so that training can go on from a network without it.

    :param semantic, depth: channels of F_s and F_d
    """

    def __init__(self, semantic: int, depth: int):
        super().__init__()
        self.write = nn.Conv2d(depth + semantic, depth, 3, padding=1)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    def forward(self, depth: Tensor, semantic: Tensor) -> Tensor:
        """Return F_d' of F_d and F_s."""
        return depth + F.elu(self.write(torch.cat((depth, semantic), 1)))


class AttentionGuide(Guide):
    """Attention bound to one batch of images."""

    def __init__(self, attention: Attention, semantics: Semantics):
        self.attention, self.semantics = attention, semantics

    def output(self, level: int, x: Tensor, levels: dict[int, Tensor]) -> Tensor:
        """Return a level's output with what its pixels attend to, or with the semantic features."""
        own = self.attention
        if str(level) not in own.levels:
            return x
        return own.levels[str(level)](x, semantic_features(self.semantics, own.semantic_levels[level], x))


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return softmax(Q K^T / sqrt(d)) V for maps whose pixels are the rows, [B, C, H, W].

    The matrix of all pairs is never stored: kernels that do without want queries as wide as values, so zeros are added,
    and a pixel's channels side by side.

    :param query: [B, d, H, W]
    :param key: [B, d, h, w]
    :param value: [B, C, h, w], C at least d
    """
    (narrow, height, width), wide = query.shape[1:], value.shape[1]
    query, key, value = (x.flatten(2).transpose(1, 2)[:, None] for x in (query, key, value))     # [B, 1, H W, channels]
    query, key = (F.pad(x, (0, wide - narrow)) for x in (query, key))
    attended = F.scaled_dot_product_attention(
        query.contiguous(), key.contiguous(), value.contiguous(), scale=narrow ** -0.5)[:, 0]
    return attended.transpose(1, 2).unflatten(2, (height, width))
