"""/api/health: whether the studio is ready, what still loads, what it is made of and how long the line is."""

from functools import lru_cache

from app.execute import versions
from app.jobs import jobs
from app.registry import EXHIBITS


@lru_cache
def makings() -> dict:
    """What does not change while the server runs: versions of packages and which kernels compute."""
    from cython_ext import BACKEND

    return {"versions": versions(), "kernel_backend": BACKEND}


def health(loading: list[str], failed: dict[str, str]) -> dict:
    """The answer.

    loading  names of parts that are still loading besides the exhibits
    failed   part -> why it could not be loaded
    """
    line = jobs().state()
    loading = [*loading, *line.pop("loading")]
    return {"ready": not loading, "loading": loading, "failed": {**failed, **line.pop("cold")}, **makings(), "queue": line,
            "exhibits": [row.slug for row in EXHIBITS]}
