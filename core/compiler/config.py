"""What a compilation can be told."""

import re
from dataclasses import dataclass

from core.errors import ConfigError
from core.exhibit import option

MOST_SHAPES = 64


@dataclass(frozen=True)
class CompilerConfig:
    """Settings of one compilation."""

    target: str = option("auto", "Target", choices=("auto", "avx512", "avx2", "scalar"), help="The processor the file is written for; auto takes the best this one has.")
    budget_us: float = option(500.0, "Slot budget in us", low=0.1, high=1e6, shown=False, help="Latency the model may take in its slot: 500 us is a slot at 30 kHz subcarrier spacing.")
    shapes: str = option("", "Shapes", help="Sizes of inputs the file leaves open, such as x=1x14x24; several are parted by commas.")
    effort: str = option("normal", "Effort", choices=("rules", "quick", "normal", "thorough"),
                         help="How much is measured: rules measures nothing, quick two variants of an operator, normal four, thorough all of them.")
    weights: str = option("auto", "Weights", choices=("auto", "inside", "blob"), shown=False, help="In the source, in a file beside it, or by their size.")
    race: bool = option(True, "Race", shown=False, help="Time the file against the other runtimes found on this machine.")


def shapes_of(config: CompilerConfig) -> dict[str, tuple[int, ...]]:
    """The setting `shapes` read: input -> sizes. Raises ConfigError where it is not NAME=AxBxC."""
    found: dict[str, tuple[int, ...]] = {}
    for part in filter(None, (p.strip() for p in config.shapes.split(","))):
        name, equals, sizes = part.rpartition("=")
        if not equals or not name or not re.fullmatch(r"[1-9]\d{0,9}(x[1-9]\d{0,9})*|scalar", sizes):
            raise ConfigError(f"The setting shapes has {part[:80]!r} in it; it takes NAME=AxBxC, such as x=1x14x24.")
        found[name] = () if sizes == "scalar" else tuple(map(int, sizes.split("x")))
    if len(found) > MOST_SHAPES:
        raise ConfigError(f"The setting shapes names {len(found)} inputs; it takes up to {MOST_SHAPES}.")
    return found
