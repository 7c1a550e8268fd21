"""Weight files of the speech nets: plain arrays in half precision, which load without running anything."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.errors import EngineError
from core.speech.autoencoder import Autoencoder, Width
from core.speech.score import Network, Size

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "weights"


def save(net: Autoencoder | Network, path: Path, linear_fp32: bool = True) -> None:
    """Write the state in half precision (the linear paths in single precision) with the net's widths."""
    arrays = {}
    for name, value in net.state_dict().items():
        whole = not value.is_floating_point() or (linear_fp32 and "linear" in name)
        arrays[name] = (value if whole else value.half()).cpu().contiguous().numpy()
    widths = net.width if isinstance(net, Autoencoder) else net.size
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, __widths__=np.array(json.dumps(asdict(widths))), **arrays)


def load_autoencoder(path: Path = FOLDER / "speech-ae.npz") -> Autoencoder:
    """The autoencoder of a weight file, single precision, ready to run. Raises EngineError where the file is missing or of another net."""
    return _load(path, lambda widths: Autoencoder(Width(**widths)))


def load_network(path: Path = FOLDER / "speech-m.npz") -> Network:
    """The latent network of a weight file, single precision, ready to run. Raises EngineError where the file is missing or of another net."""
    return _load(path, lambda widths: Network(Size(**widths)))


def _load(path: Path, build) -> nn.Module:
    try:
        with np.load(path, allow_pickle=False) as held:
            state = {name: torch.from_numpy(held[name]) for name in held.files if name != "__widths__"}
            net = build(json.loads(str(held["__widths__"])))
        net.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in state.items()})
    except FileNotFoundError:
        raise EngineError(f"There are no model weights {path.name}. Train them with `launch.py train speech`.") from None
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise EngineError(f"The model weights {path.name} do not fit this version: {str(error)[:120]}. Take those of this version.") from error
    return net.eval().to(memory_format=torch.channels_last)
