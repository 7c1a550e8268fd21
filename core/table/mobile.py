"""The mobile version of the table model: encoder and heads as 8-bit graphs that onnxruntime runs on one thread; no torch, no decoder.

The PIX-TAB post has a mobile version, too, and says only how much faster it is; what ours is made of is in `mobile_export`.
"""

from pathlib import Path

import numpy as np

from core.errors import EngineError
from core.table.heads import HeadsAnswer, answer_of, fitting, inked

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "weights"
ENCODER, MERGE = WEIGHTS / "table-mobile.onnx", WEIGHTS / "table-mobile-merge.onnx"


class MobileReader:
    """Both graphs, ready to read.

    scale   the input's size in picture sizes, from the export
    source  digest of the full model's weights that the graphs were made from
    """

    def __init__(self, encoder: Path, merge: Path) -> None:
        self._encoder, self._merge = session(encoder), session(merge)
        held = self._encoder.get_modelmeta().custom_metadata_map
        try:
            self.scale, self.source = float(held["scale"]), held["source"]
        except (KeyError, ValueError) as error:
            raise EngineError(f"{encoder.name} does not say at which scale it reads. Write it anew with `python -m core.table.mobile_export`.") from error

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Sides of the net's input for a picture: what the answer's separators are pixels of."""
        return fitting(height, width, self.scale)

    def read(self, grey: np.ndarray) -> HeadsAnswer:
        """The structure of a picture in one pass. grey uint8 [height, width]"""
        picture = inked(grey, self.size(*grey.shape)).astype(np.float32)[None, None] / 255
        row_gaps, col_gaps, *maps = self._encoder.run(None, dict(picture=picture))
        seen = dict(zip(("fine", "rows", "cols"), maps))

        def merge(ys: np.ndarray, xs: np.ndarray) -> np.ndarray:
            return self._merge.run(None, dict(seen, ys=ys[None].astype(np.float32), xs=xs[None].astype(np.float32)))[0][0]
        return answer_of(row_gaps[0], col_gaps[0], merge)


def load(encoder: Path = ENCODER, merge: Path = MERGE) -> MobileReader:
    """The shipped graphs, on one thread. Raises EngineError where one is missing or not of this version."""
    return MobileReader(encoder, merge)


def session(path: Path):
    """A graph that onnxruntime runs on one thread. Raises EngineError."""
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError("The mobile model needs onnxruntime, which is not installed here. Run `python3 launch.py`, or choose model=full.") from error
    if not path.is_file():
        raise EngineError(f"There are no mobile weights {path.name}. Write them with `python -m core.table.mobile_export`, or choose model=full.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False          # one pattern would be kept per input size
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common root for its errors
        raise EngineError(f"The mobile weights {path.name} cannot be loaded: {str(error)[:120]}. Take those of this version.") from error
