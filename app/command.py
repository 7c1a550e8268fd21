"""The command line inside the environment: `run` one exhibit on files, or `train` a model; launch.py hands over to it."""

import argparse
import contextlib
import json
import os
import runpy
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import NoReturn

from app.execute import Run, execute
from app.registry import EXHIBITS, Exhibit, exhibit
from core.errors import ConfigError, InputError, LimitError, StorageError, VitrineError
from core.exhibit import Progress, Source, configure, silent

RECORD = "run.json"


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are settings errors: one line, exit 2."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message[:1].upper()}{message[1:]}. Usage: {self.usage}")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """`SLUG INPUT... --out DIR [--set key=value ...]` -> slug, inputs, out, settings. Raises ConfigError."""
    parser = OneLineParser(prog="launch.py run", add_help=False, allow_abbrev=False, usage="launch.py run SLUG INPUT... --out DIR [--set key=value ...]")
    parser.add_argument("slug", metavar="SLUG")
    parser.add_argument("inputs", metavar="INPUT", nargs="*")
    parser.add_argument("--out", metavar="DIR", required=True)
    parser.add_argument("--set", metavar="key=value", nargs="+", action="append", default=[])
    given = parser.parse_intermixed_args(argv)
    pairs = [word for words in given.set for word in words]
    # `--set ocr=none picture.png`: a word without "=" is no setting but the next input.
    given.inputs += [word for word in pairs if "=" not in word]
    given.settings = dict(word.split("=", 1) for word in pairs if "=" in word)
    if not given.inputs and not exhibit(given.slug).optional_input:
        parser.error(f"{given.slug} needs at least one input file")
    return given


def read_source(path: Path, row: Exhibit) -> Source:
    """One input file. Raises InputError (missing, a folder, unreadable) and LimitError (over the exhibit's bytes)."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name the files in it.")
        size = path.stat().st_size
        if size > row.max_bytes:
            raise LimitError(f"{path} has {size / 1e6:,.1f} MB; {row.name} reads files up to {row.max_bytes / 1e6:,.0f} MB.")
        return Source(path.name, path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def bring_files(settings: Mapping[str, str], config: type, row: Exhibit) -> tuple[list[Source], dict[str, str]]:
    """Settings that take a file: the files as sources, and the settings with their names instead of paths. Raises what `read_source` raises."""
    named = [f.name for f in fields(config) if f.metadata.get("file") and settings.get(f.name)]
    brought = {name: read_source(Path(settings[name]), row) for name in named}
    return list(brought.values()), {**settings, **{name: source.name for name, source in brought.items()}}


def check_folder(out: Path) -> None:
    """Raises StorageError where nothing could be written later, before minutes of work are spent."""
    if out.exists() and not out.is_dir():
        raise StorageError(f"{out} is a file, and --out takes a folder.")
    stands = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not stands.is_dir() or not os.access(stands, os.W_OK | os.X_OK):
        raise StorageError(f"{out} cannot be written: {stands} does not allow it. Choose another folder for --out.")


def _check_names(names: Mapping[str, bytes]) -> None:
    for name in names:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in name:
            raise StorageError(f"The result {name!r} would be written outside the folder.")
    if RECORD in names:
        raise InputError(f"An input called run.* would overwrite {RECORD}, the record of the run. Rename it.")


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back for the moment in which files move into place."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def _publish(place: Path, out: Path) -> None:
    """Move a finished folder to where it belongs: as a whole if `out` is new, else file by file with the record last."""
    if not out.exists():
        place.chmod(0o777 & ~_umask())
        os.rename(place, out)
        return
    made = sorted((p for p in place.rglob("*") if p.is_file()), key=lambda p: p.name == RECORD)
    targets = [out / p.relative_to(place) for p in made]
    for target in targets:
        if target.is_dir():
            raise StorageError(f"{target} is a folder where a result belongs. Move it away or choose another --out.")
        target.parent.mkdir(parents=True, exist_ok=True)
    for file, target in zip(made, targets):
        os.replace(file, target)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write(run: Run, out: Path) -> None:
    """Write a run's files and run.json into `out`, all or nothing; what else lies there stays.

    Raises StorageError (full disk, no right to write) and InputError (a result that would replace the record).
    """
    _check_names(run.files)
    record = json.dumps(run.record, indent=2, ensure_ascii=False) + "\n"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # Beside a new folder, inside an old one: either way on the file system where the files will stay.
        place = Path(tempfile.mkdtemp(prefix=".vitrine-", suffix=".part", dir=out if out.exists() else out.parent))
        try:
            for name, data in {**run.files, RECORD: record.encode()}.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(data)
            with _uninterrupted():
                _publish(place, out)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"The results could not be written to {out}: {error.strerror or error}. Nothing was changed there.") from error


def meter() -> Progress:
    """Progress as one moving line on a terminal; silence elsewhere, so that standard error stays for errors."""
    if not sys.stderr.isatty():
        return silent

    def show(fraction: float, message: str) -> None:
        print(f"\r\x1b[K{fraction:4.0%}  {message}", end="" if fraction < 1 else "\r\x1b[K", file=sys.stderr, flush=True)
    return show


def summary(run: Run, out: Path) -> str:
    """What a person wants to know after a run: how many files, where, how long, and the notes."""
    seconds = run.record["seconds"]
    stages = ", ".join(f"{stage} {value:.2f} s" for stage, value in seconds.items() if stage != "total")
    count = len(run.files) + 1
    lines = [f"{count} files in {out}, {seconds['total']:.2f} s{f' ({stages})' if stages else ''}; kernels: {run.record['kernel_backend']}"]
    return "\n".join(lines + [f"  {note}" for note in run.record["notes"]])


def run_command(argv: Sequence[str]) -> int:
    """`run`: read the inputs, run the exhibit, write its files. Raises VitrineError before anything is written."""
    given = parse(argv)
    row, out = exhibit(given.slug), Path(given.out)
    check_folder(out)
    sources = [read_source(Path(name), row) for name in given.inputs]
    config = row.module().Config
    configure(config, given.settings)
    brought, settings = bring_files(given.settings, config, row)
    run = execute(given.slug, [*sources, *brought], settings, meter())
    write(run, out)
    print(summary(run, out))
    return 0


def trainable() -> dict[str, str]:
    """Model -> the module that trains it: an exhibit whose package under core/ has a `train` module."""
    packages = {row.slug: row.core.rpartition(".")[0] for row in EXHIBITS}
    return {slug: f"{package}.train" for slug, package in packages.items() if find_spec(f"{package}.train")}


def train_command(argv: Sequence[str]) -> int:
    """`train MODEL`: hand over to the model's own training module. Raises ConfigError with the models there are."""
    models = trainable()
    name = argv[0] if argv else ""
    if name not in models:
        there = f"These can be trained: {', '.join(models)}." if models else "No model is trained in this version."
        raise ConfigError(f"There is no model {name!r} to train. {there}")
    sys.argv = [f"launch.py train {name}", *argv[1:]]
    runpy.run_module(models[name], run_name="__main__", alter_sys=True)
    return 0


def _stop(*_) -> NoReturn:
    raise KeyboardInterrupt


def end(sentence: str) -> None:
    """Say on standard error how it ended, over the progress line if there is one."""
    print(("\r\x1b[K" if sys.stderr.isatty() else "") + sentence, file=sys.stderr)


def main(argv: Sequence[str]) -> int:
    """Exit code of `run` or `train`: 0, 2 with one line on standard error, 130 when stopped."""
    commands = {"run": run_command, "train": train_command}
    try:
        if not argv or argv[0] not in commands:
            raise ConfigError(f"There is no command {argv[0] if argv else ''!r}. There is: {', '.join(commands)}.")
        return commands[argv[0]](argv[1:])
    except VitrineError as error:
        end(" ".join(str(error).split()))
        return 2
    except KeyboardInterrupt:
        end("Stopped; nothing was written.")
        return 130


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main(sys.argv[1:]))
