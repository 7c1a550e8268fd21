"""One exception family: every message is a sentence for a visitor (what was wrong, the value, the way out)."""


class VitrineError(Exception):
    """Root of every error the studio explains. `str(error)` is shown as it is: one sentence or two, no code, no apology."""


class InputError(VitrineError):
    """The bytes a visitor brought are not what the exhibit reads."""


class LimitError(InputError):
    """The input is well formed but larger than the stated limit."""


class ConfigError(VitrineError):
    """A setting is unknown or out of its range."""


class EngineError(VitrineError):
    """An engine (OCR, compiler, model) is missing here or failed."""


class WorkerError(VitrineError):
    """A worker process died or hung; a fresh one has taken its place."""


class BusyError(VitrineError):
    """The queue is full."""


class Cancelled(VitrineError):
    """The visitor stopped the work. Raised out of `progress(...)`."""


class StorageError(VitrineError):
    """A run could not be written or read."""


class RunNotFound(StorageError):
    """No run has this name (any more)."""


class ConflictError(StorageError):
    """Somebody else changed the run in the meantime; nothing was overwritten."""
