"""One run of one exhibit: the same call serves the page, the HTTP endpoint and the command line."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version

from app.registry import exhibit
from core.exhibit import Progress, Source, configure, silent

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "rapidocr", "torch")


@dataclass(frozen=True)
class Run:
    """What a run leaves: its record (the content of run.json), the files a visitor downloads, and what only the page shows."""

    record: dict
    files: Mapping[str, bytes]
    trace: Mapping[str, bytes] = field(default_factory=dict)


def versions() -> dict[str, str]:
    """Versions of what can change a result."""
    found = {"vitrine": _version("vitrine") or "0.3.0", "python": platform.python_version()}
    return found | {name: v for name in PACKAGES if (v := _version(name))}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def machine() -> str:
    """The processor in a few words, for the numbers footer."""
    try:
        with open("/proc/cpuinfo", encoding="utf8") as lines:
            model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return model


def execute(slug: str, sources: Sequence[Source], settings: Mapping[str, object], progress: Progress = silent) -> Run:
    """Run an exhibit on its sources.

    slug      a slug of the registry
    settings  plain values for the exhibit's Config (strings are converted)
    Raises ConfigError, InputError, EngineError (bad settings, bad bytes, missing engine) and whatever `progress` raises to stop.
    """
    from cython_ext import BACKEND

    module = exhibit(slug).module()
    config = configure(module.Config, settings)
    begun = time.perf_counter()
    outcome = module.run(sources, config, progress)
    record = {
        "exhibit": slug,
        "inputs": [{"name": s.name, "sha256": s.sha256} for s in sources],
        "config": asdict(config),
        "seconds": {**outcome.seconds, "total": time.perf_counter() - begun},
        "versions": versions(),
        "kernel_backend": BACKEND,
        "seed": outcome.seed,
        "files": sorted(outcome.files),
        "metrics": dict(outcome.metrics),
        "models": dict(outcome.models),
        "notes": list(outcome.notes),
        "machine": machine(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    return Run(record, outcome.files, outcome.trace)
