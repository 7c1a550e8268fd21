"""The table model: one encoder with row and column tokens, separator and merge heads that answer in one pass, and a PAPP decoder with pointer output.

From the PIX-TAB post: residual convolutional encoder, shared decoder features, a structure decoder over PAPP-OTSL tokens, a box decoder used in
training only.
Ours: row and column tokens as the decoder's memory, coordinates in place of a sequence index, places by pointing, separator and merge heads.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import EngineError
from core.table.heads import BIN, STRIDE
from core.table.tokens import COL, DONE, ROW, Context, kind

CLASSES = 5
"""C L U X END stand before the places in a decoder's output."""


@dataclass(frozen=True)
class Size:
    """Widths of the net: channels at strides 2, 4, 8, 16 and of the fine map; width, heads and layers of the transformers."""

    stem: int = 16
    widths: tuple[int, int, int] = (32, 64, 96)
    fine: int = 48
    axis: int = 64
    dim: int = 128
    heads: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 2
    inner: int = 384
    pointer: int = 64
    merge: int = 96


SMALL = Size()


# Parts

def waves(places: Tensor, dim: int) -> Tensor:
    """Sines and cosines of pixel places, wavelengths 4 to 2,000 pixels. [...] -> [..., dim]"""
    lengths = 4 * 500 ** torch.linspace(0, 1, dim // 2, device=places.device)
    angles = places.float().unsqueeze(-1) * (2 * math.pi / lengths)
    return torch.cat([angles.sin(), angles.cos()], -1)


def _norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, momentum=0.03)


class Residual(nn.Module):
    """Two 3 x 3 convolutions and a way around them (He et al. 2016)."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), _norm(after), nn.ReLU())
        self.two = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), _norm(after))
        self.way = nn.Identity() if stride == 1 and before == after else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), _norm(after))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.two(self.one(x)) + self.way(x))


class Attention(nn.Module):
    """Multi-head attention whose keys and values can be made once and kept."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.pair, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of what is looked at, [batch, heads, length, dim / heads] each."""
        one, other = self.pair(x).chunk(2, -1)
        return self._split(one), self._split(other)

    def forward(self, x: Tensor, keys: tuple[Tensor, Tensor], mask: Tensor | None = None) -> Tensor:
        found = F.scaled_dot_product_attention(self._split(self.query(x)), *keys, attn_mask=mask)
        return self.out(found.transpose(1, 2).flatten(2))


def _feed(size: Size) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(size.dim), nn.Linear(size.dim, size.inner), nn.GELU(), nn.Linear(size.inner, size.dim))


class EncoderLayer(nn.Module):
    """Pre-norm self-attention over the row and column tokens together."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.norm, self.attention, self.feed = nn.LayerNorm(size.dim), Attention(size.dim, size.heads), _feed(size)

    def forward(self, x: Tensor) -> Tensor:
        inside = self.norm(x)
        x = x + self.attention(inside, self.attention.keys(inside))
        return x + self.feed(x)


class DecoderLayer(nn.Module):
    """Pre-norm causal self-attention, attention to the memory, feed-forward."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(size.dim) for _ in range(2))
        self.past, self.memory, self.feed = Attention(size.dim, size.heads), Attention(size.dim, size.heads), _feed(size)

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], past: tuple[Tensor, Tensor] | None,
                mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        inside = self.norms[0](x)
        keys = self.past.keys(inside)
        if past is not None:
            keys = tuple(torch.cat(pair, 2) for pair in zip(past, keys))
        x = x + self.past(inside, keys, mask)
        x = x + self.memory(self.norms[1](x), memory)
        return x + self.feed(x), keys


@dataclass
class Encoded:
    """What the encoder knows of a batch of pictures, all of one size.

    fine      [batch, channels, height / 4, width / 4]
    rows, cols  tokens [batch, height / 4, dim], [batch, width / 4, dim]
    row_gaps, col_gaps  separator logits [batch, height], [batch, width]: this line of pixels lies between rows (columns), or outside
    memory    what the decoder looks at [batch, tokens, dim]
    """

    fine: Tensor
    rows: Tensor
    cols: Tensor
    row_gaps: Tensor
    col_gaps: Tensor
    memory: Tensor


class Encoder(nn.Module):
    """Picture -> fine map, row and column tokens, separators, memory."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        one, two, three = size.widths
        self.stem = nn.Sequential(nn.Conv2d(1, size.stem, 5, 2, 2, bias=False), _norm(size.stem), nn.ReLU())
        last = nn.Sequential(Residual(two, three, 2), Residual(three, three))
        self.stages = nn.ModuleList([Residual(size.stem, one, 2), Residual(one, two, 2), last])
        self.sides = nn.ModuleList(nn.Conv2d(width, size.fine, 1) for width in size.widths)
        self.smooth = nn.Sequential(nn.Conv2d(size.fine, size.fine, 3, 1, 1, bias=False), _norm(size.fine), nn.ReLU())
        self.along = nn.ModuleList(self._axis(size, stride) for stride in ((1, 2), (2, 1)))
        self.token = nn.ModuleList(nn.Linear(2 * size.axis, size.dim) for _ in range(2))
        self.axis = nn.Parameter(torch.randn(3, size.dim) * 0.02)
        self.layers = nn.ModuleList(EncoderLayer(size) for _ in range(size.encoder_layers))
        self.norm = nn.LayerNorm(size.dim)
        self.gap = nn.ModuleList(nn.Linear(size.dim, STRIDE) for _ in range(2))
        self.coarse = nn.Linear(three, size.dim)
        self.dim = size.dim

    @staticmethod
    def _axis(size: Size, stride: tuple[int, int]) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(size.fine, size.axis, 3, stride, 1, bias=False), _norm(size.axis), nn.ReLU(),
                             nn.Conv2d(size.axis, size.axis, 3, stride, 1, bias=False), _norm(size.axis), nn.ReLU())

    def forward(self, picture: Tensor) -> Encoded:
        x, maps = self.stem(picture), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        fine = self.sides[2](maps[2])
        for side, level in ((self.sides[1], maps[1]), (self.sides[0], maps[0])):
            fine = side(level) + F.interpolate(fine, scale_factor=2.0, mode="nearest")
        fine = self.smooth(fine)
        tokens = torch.cat([self._tokens(fine, axis) for axis in (0, 1)], 1)
        for layer in self.layers:
            tokens = layer(tokens)
        rows, cols = self.norm(tokens).split([fine.shape[2], fine.shape[3]], 1)
        gaps = [head(part).flatten(1).float() for head, part in zip(self.gap, (rows, cols))]
        return Encoded(fine, rows, cols, *gaps, torch.cat([rows, cols, self._coarse(maps[2])], 1))

    def _tokens(self, fine: Tensor, axis: int) -> Tensor:
        """One token per 4 pixels of an axis: mean and maximum across the other one."""
        flat = self.along[axis](fine)
        pooled = torch.cat([flat.mean(3 - axis), flat.amax(3 - axis)], 1).transpose(1, 2)
        places = (torch.arange(pooled.shape[1], device=fine.device) + 0.5) * STRIDE
        return self.token[axis](pooled) + waves(places, self.dim) + self.axis[axis]

    def _coarse(self, level: Tensor) -> Tensor:
        """The stride-16 map as tokens, with the place along both axes."""
        ys, xs = ((torch.arange(n, device=level.device) + 0.5) * 4 * STRIDE for n in level.shape[2:])
        half = self.dim // 2
        places = torch.cat([waves(ys, half)[:, None].expand(-1, len(xs), -1), waves(xs, half)[None].expand(len(ys), -1, -1)], -1).flatten(0, 1)
        return self.coarse(level.flatten(2).transpose(1, 2)) + places + self.axis[2]


def at_places(tokens: Tensor, places: Tensor) -> Tensor:
    """The axis token at each pixel place. [batch, n, dim], [batch, m] -> [batch, m, dim]"""
    index = (places / STRIDE).long().clamp(0, tokens.shape[1] - 1)
    return tokens.gather(1, index.unsqueeze(-1).expand(-1, -1, tokens.shape[2]))


def sampled(fine: Tensor, ys: Tensor, xs: Tensor) -> Tensor:
    """Bilinear samples of the fine map at pixel places. ys, xs [batch, a, b] -> [batch, channels, a, b]"""
    height, width = fine.shape[2] * STRIDE, fine.shape[3] * STRIDE
    grid = torch.stack([xs / width, ys / height], -1).to(fine.dtype) * 2 - 1
    return F.grid_sample(fine, grid, align_corners=False, padding_mode="border")


class Merge(nn.Module):
    """C, L, U or X for each place of a grid that is given by its separators."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.look = nn.Conv2d(size.fine, size.merge, (3, 5), (2, 4))
        self.axes = nn.ModuleList(nn.Linear(size.dim, size.merge) for _ in range(2))
        self.mix = nn.ModuleList(nn.Conv2d(size.merge, size.merge, 3, 1, 1) for _ in range(2))
        self.out = nn.Conv2d(size.merge, 4, 1)

    def forward(self, seen: Encoded, ys: Tensor, xs: Tensor, inside: Tensor) -> Tensor:
        """ys [batch, rows + 1], xs [batch, cols + 1] pixels, inside [batch, 1, rows, cols] 1 where the grid is not padding

        returns  logits [batch, 4, rows, cols]
        """
        fine_ys, fine_xs = _between(ys, 2), _between(xs, 4)
        shape = (len(ys), fine_ys.shape[1], fine_xs.shape[1])
        x = self.look(sampled(seen.fine, fine_ys[:, :, None].expand(shape), fine_xs[:, None].expand(shape)))
        x = x + self.axes[0](at_places(seen.rows, (ys[:, 1:] + ys[:, :-1]) / 2)).transpose(1, 2)[..., None]
        x = x + self.axes[1](at_places(seen.cols, (xs[:, 1:] + xs[:, :-1]) / 2)).transpose(1, 2)[:, :, None]
        x = F.relu(x) * inside
        for conv in self.mix:
            x = x + F.relu(conv(x)) * inside
        return self.out(x).float()


def _between(edges: Tensor, parts: int) -> Tensor:
    """Each edge and parts - 1 places between it and the next. [batch, n + 1] -> [batch, parts n + 1]"""
    shares = torch.arange(parts, device=edges.device) / parts
    steps = edges[:, :-1, None] + (edges[:, 1:] - edges[:, :-1])[..., None] * shares
    return torch.cat([steps.flatten(1), edges[:, -1:]], 1)


# Decoder

@dataclass
class Memory:
    """What a decoder keeps between calls: the keys of the encoder's memory, of the places, and of the tokens so far."""

    seen: Encoded
    layers: list[tuple[Tensor, Tensor]]
    row_keys: Tensor
    col_keys: Tensor
    past: list[tuple[Tensor, Tensor] | None]

    @property
    def length(self) -> int:
        """Tokens kept so far."""
        return 0 if self.past[0] is None else self.past[0][0].shape[2]

    def forget(self, length: int) -> None:
        """Keep the first `length` tokens only."""
        self.past = [pair and tuple(part[:, :, :length] for part in pair) for pair in self.past]


class Decoder(nn.Module):
    """Contexts -> features shared by the structure output and the box output."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.kinds, self.aboves, self.slots = nn.Embedding(8, size.dim), nn.Embedding(5, size.dim), nn.Embedding(DONE + 1, size.dim)
        self.place = nn.Linear(3 * (size.dim // 2), size.dim)
        self.look = nn.Linear(5 * size.fine, size.dim)
        self.axes = nn.ModuleList(nn.Linear(size.dim, size.dim) for _ in range(2))
        self.layers = nn.ModuleList(DecoderLayer(size) for _ in range(size.decoder_layers))
        self.norm = nn.LayerNorm(size.dim)
        self.classes = nn.Linear(size.dim, CLASSES)
        self.queries = nn.ModuleList(nn.Linear(size.dim, size.pointer) for _ in range(2))
        self.keys = nn.ModuleList(nn.Linear(size.dim, STRIDE // BIN * size.pointer) for _ in range(2))
        self.gain = nn.Parameter(torch.full((2,), 0.3))
        self.box = nn.Sequential(nn.Linear(size.dim, 64), nn.GELU(), nn.Linear(64, 4))

    def start(self, seen: Encoded) -> Memory:
        """The memory before the first token."""
        keys = (layer(tokens).unflatten(-1, (STRIDE // BIN, -1)).flatten(1, 2) for layer, tokens in zip(self.keys, (seen.rows, seen.cols)))
        return Memory(seen, [layer.memory.keys(seen.memory) for layer in self.layers], *keys, [None] * len(self.layers))

    def forward(self, known: Tensor, memory: Memory) -> Tensor:
        """Contexts [batch, n, 6] of the next n tokens after those kept -> features [batch, n, dim]; the memory keeps them too."""
        x, before, count = self._embedded(known, memory.seen), memory.length, known.shape[1]
        mask = None
        if count > 1:
            mask = torch.ones(count, before + count, dtype=torch.bool, device=known.device).tril(before)
        for i, layer in enumerate(self.layers):
            x, memory.past[i] = layer(x, memory.layers[i], memory.past[i], mask)
        return self.norm(x)

    def _embedded(self, known: Tensor, seen: Encoded) -> Tensor:
        """kind of the last token, token above, slot, y, x0, x1 (places, -1 unknown) -> features, with what the map shows there."""
        last, above, slot = known[..., 0], known[..., 1], known[..., 2]
        places = known[..., 3:]
        pixels = (places.clamp_min(0) + 0.5) * BIN
        known_waves = waves(pixels, self.size.dim // 2) * (places >= 0).unsqueeze(-1)
        y, x0, x1 = pixels.unbind(-1)
        x1 = torch.where(places[..., 2] >= 0, x1, x0 + 6 * BIN)
        below, middle = y + 3 * BIN, (x0 + x1) / 2
        points = sampled(seen.fine, torch.stack([y, y, below, below, below], -1), torch.stack([x0, middle, x0, middle, x1], -1))
        x = self.kinds(last) + self.aboves(above) + self.slots(slot) + self.place(known_waves.flatten(2))
        x = x + self.look(points.permute(0, 2, 3, 1).flatten(2))
        return x + self.axes[0](at_places(seen.rows, y)) + self.axes[1](at_places(seen.cols, x0))

    def tokens(self, features: Tensor, memory: Memory) -> Tensor:
        """Logits [batch, n, 5 + height / 2 + width / 2]: C L U X END, row places, column places.

        A place is pointed at: query x key, and how sure the separators are of it.
        """
        parts = [self.classes(features)]
        for axis, (keys, gaps) in enumerate(((memory.row_keys, memory.seen.row_gaps), (memory.col_keys, memory.seen.col_gaps))):
            points = self.queries[axis](features) @ keys.transpose(1, 2) / math.sqrt(self.size.pointer)
            sure = gaps.detach().unflatten(1, (-1, BIN)).amax(-1).clamp(-8, 8)
            parts.append(points + self.gain[axis] * sure.unsqueeze(1))
        return torch.cat([part.float() for part in parts], -1)

    def boxes(self, features: Tensor) -> Tensor:
        """Ink box of the cell that comes next, in shares of the picture; trained beside the tokens, unused afterwards (the post's box decoder)."""
        return self.box(features).float().sigmoid()


class TableNet(nn.Module):
    """Encoder, merge head and decoder of one size."""

    def __init__(self, size: Size = SMALL) -> None:
        super().__init__()
        self.size = size
        self.encoder, self.merge, self.decoder = Encoder(size), Merge(size), Decoder(size)


def context_row(last: int, context: Context) -> tuple[int, int, int, int, int, int]:
    """A context and the last token as one row of the decoder's input."""
    return kind(last), context.above, context.slot, context.y, context.x0, context.x1


def place_of(token: int) -> int:
    """Place of a row or column token."""
    return token - COL if token >= COL else token - ROW


# Weights

def save_weights(net: TableNet, path: Path) -> None:
    """Write the state in half precision: plain arrays, which load without running anything."""
    state = {name: value.detach().cpu() for name, value in net.state_dict().items()}
    arrays = {name: (value.half() if value.is_floating_point() else value).numpy() for name, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


def load_weights(path: Path, size: Size = SMALL) -> TableNet:
    """The net of a weight file, ready to read (fp32). Raises EngineError where the file is missing or of another net."""
    try:
        with np.load(path, allow_pickle=False) as held:
            state = {name: torch.from_numpy(held[name]) for name in held.files}
        net = TableNet(size)
        net.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in state.items()})
    except FileNotFoundError:
        raise EngineError(f"There are no model weights {path.name}. Train them with `launch.py train table`, or choose the engine regions.") from None
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise EngineError(f"The model weights {path.name} do not fit this version: {str(error)[:120]}. Take those of this version.") from error
    return net.eval()
