"""Training states on disk: written whole or not at all, so that a run that was broken off goes on from the last whole one."""

import os
from collections.abc import Mapping
from pathlib import Path


def write_checkpoint(path: Path, held: Mapping[str, object]) -> None:
    """Write what torch.save takes under this name; the file that was there stays until the new one is whole."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    torch.save(dict(held), unfinished)
    os.replace(unfinished, path)
