"""The kernels: compiled where `python -m cython_ext.build` has run, their NumPy twins elsewhere; VITRINE_KERNELS=numpy forces the twins."""

import os
from importlib import import_module

from cython_ext import reference

MISSING: dict[str, str] = {}
"""Kernel -> why its compiled form is not in use; empty when everything is compiled."""


def _load(module: str, names: tuple[str, ...]) -> None:
    """Bind the kernels of one compiled module here, or their twins with the reason."""
    reason = "VITRINE_KERNELS=numpy asks for the twin."
    if os.environ.get("VITRINE_KERNELS", "").lower() != "numpy":
        try:
            compiled = import_module(f"cython_ext.{module}")
            globals().update({name: getattr(compiled, name) for name in names})
            return
        except ModuleNotFoundError:
            reason = "It is not built here: python -m cython_ext.build compiles it."
        except (ImportError, AttributeError) as error:
            reason = f"The built file does not fit ({error}): python -m cython_ext.build compiles it anew."
    globals().update({name: getattr(reference, name) for name in names})
    MISSING.update(dict.fromkeys(names, reason))


for _module, _names in reference.KERNELS.items():
    _load(_module, _names)

BACKEND = "numpy" if MISSING else "compiled"
"""compiled: every kernel is; numpy: at least one twin stands in (see MISSING)."""

__all__ = ["BACKEND", "MISSING", *(name for names in reference.KERNELS.values() for name in names)]
