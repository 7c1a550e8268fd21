"""`launch.py train table`: trains the table model on drawings made as it goes, and resumes where it stopped."""

import argparse
import contextlib
import ctypes
import json
import math
import multiprocessing
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import ConfigError, InputError
from core.io.checkpoints import write_checkpoint
from core.table.evaluation import SCALE, SETS, evaluate, evaluate_decoder
from core.table.heads import BIN
from core.table.model import SMALL, TableNet, load_weights, save_weights
from core.table.synth_browser import make_store
from core.table.synth_content import load_corpus
from core.table.targets import CHUNK, Batch, batches, overcut
from core.table.tokens import CELL, FIRST_COL, FIRST_ROW, NEXT_COL, NEXT_ROW

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".training"
WEIGHTS = ROOT / "assets" / "weights" / "table-small.npz"
SHARES = dict(gaps=2.0, merge=1.0, tokens=2.0, boxes=0.5)
"""Weights of the four losses."""
WARM_UP, FROZEN = 0.03, 0.85
"""Shares of a run: until here the rate grows, from here the statistics of the normalisation stand still."""


@dataclass(frozen=True)
class Options:
    """One training run. minutes or steps say how long its cosine is; browser is a folder of stored browser drawings."""

    minutes: float = 30.0
    steps: int | None = None
    device: str = "cpu"
    data: Path | None = None
    state: Path = STATE
    batch: int = 8
    rate: float = 1.5e-3
    seed: int = 1
    threads: int = 1
    drawers: int = 1
    save_every: float = 180.0
    evaluate_every: float = 480.0
    browser: Path | None = None


# What a step does

def slot_mask(known: Tensor, height: int, width: int) -> Tensor:
    """bool [batch, n, 5 + height + width]: what the slot and the growth of places leave open at each step. known [batch, n, 6]"""
    slot, y, x0 = known[..., 2], known[..., 3], known[..., 4]
    open_ = torch.zeros(6, 5, dtype=torch.bool, device=known.device)
    open_[CELL, :4] = True
    open_[NEXT_COL, 4] = open_[NEXT_ROW, 4] = True
    rows = ((slot == FIRST_ROW) | (slot == NEXT_COL) | (slot == NEXT_ROW))[..., None] & (torch.arange(height, device=known.device) > y[..., None])
    cols = ((slot == FIRST_COL) | (slot == NEXT_COL))[..., None] & (torch.arange(width, device=known.device) > x0[..., None])
    return torch.cat([open_[slot], rows, cols], -1)


def losses(net: TableNet, batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """The four losses of one batch: separators, merge (also over separators that the net makes too many), tokens (nats per token), boxes."""
    picture = torch.from_numpy(batch.picture).to(device, non_blocking=True).float() / 255
    seen = net.encoder(picture.to(memory_format=torch.channels_last))
    wanted = [torch.from_numpy(line).to(device) for line in batch.profiles]
    gaps = sum(F.binary_cross_entropy_with_logits(line, want) for line, want in zip((seen.row_gaps, seen.col_gaps), wanted))
    found = (line.detach().float().cpu().numpy() for line in (seen.row_gaps, seen.col_gaps))
    cut, grid = overcut(batch, *found, np.random.default_rng(batch.seed))
    grid = torch.from_numpy(grid).to(device).long()
    edges = [torch.from_numpy(line).to(device) for line in cut]
    joined = net.merge(seen, *edges, (grid >= 0).unsqueeze(1).float())
    merge = F.cross_entropy(joined, grid, torch.tensor([1.0, 2, 2, 2], device=device), ignore_index=-1)
    return dict(gaps=gaps, merge=merge, **_decoder_losses(net, seen, batch, device))


def _decoder_losses(net: TableNet, seen, batch: Batch, device: torch.device) -> dict[str, Tensor]:
    known = torch.from_numpy(batch.known).to(device).long()
    memory = net.decoder.start(seen)
    features = net.decoder(known, memory)
    logits = net.decoder.tokens(features, memory)
    mask = slot_mask(known, seen.row_gaps.shape[1] // BIN, seen.col_gaps.shape[1] // BIN)
    wanted = torch.from_numpy(batch.wanted).to(device).long()
    tokens = F.cross_entropy(logits.masked_fill(~mask, -1e4).flatten(0, 1), wanted.flatten(), ignore_index=-1)
    boxes = torch.from_numpy(batch.boxes).to(device)
    there = ~boxes[..., 0].isnan()
    apart = (net.decoder.boxes(features)[there] - boxes[there]).abs()
    return dict(tokens=tokens, boxes=10 * apart.mean() if apart.numel() else features.sum() * 0)


def rate_at(share: float, peak: float) -> float:
    """Learning rate after this share of a run: a short rise, then one cosine."""
    return peak * min(1.0, (share + 1e-4) / WARM_UP) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def make_optimiser(net: TableNet, rate: float) -> torch.optim.AdamW:
    """AdamW; biases, norms and embeddings do not decay."""
    wide = [p for p in net.parameters() if p.dim() > 1]
    thin = [p for p in net.parameters() if p.dim() <= 1]
    return torch.optim.AdamW([dict(params=wide, weight_decay=0.01), dict(params=thin, weight_decay=0.0)], rate, betas=(0.9, 0.98), fused=True)


# Batches from other processes

def _feed(queue, *arguments) -> None:
    """Fill a queue with batches; it blocks while the queue is full."""
    import cv2
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with contextlib.suppress(KeyboardInterrupt):
        for batch in batches(*arguments):
            queue.put(batch)


@contextlib.contextmanager
def fed(options: Options, first: int) -> Iterator[Iterator[Batch]]:
    """Batches number `first`, ... drawn by `drawers` processes beside this one (0: drawn here, when asked for)."""
    if not options.drawers:
        yield batches(options.data, options.seed, options.batch, first, store=options.browser)
        return
    context, count = multiprocessing.get_context("spawn"), options.drawers
    queues = [context.Queue(maxsize=max(24, CHUNK // options.batch)) for _ in range(count)]
    given = options.data, options.seed, options.batch, first
    workers = [context.Process(target=_feed, args=(queue, *given, (i, count), options.browser), daemon=True) for i, queue in enumerate(queues)]
    for worker in workers:
        worker.start()
    try:
        yield _in_order(queues, workers, first, CHUNK // options.batch)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()


def _in_order(queues: list, workers: list, step: int, per_chunk: int) -> Iterator[Batch]:
    while True:
        index = step // per_chunk % len(queues)
        try:
            yield queues[index].get(timeout=60)
            step += 1
        except multiprocessing.queues.Empty:
            if not workers[index].is_alive():
                raise InputError("The process that draws the training tables ended. Run it once with --drawers 0 to see why.") from None


# The run

@dataclass
class Training:
    """A net in training: what a checkpoint holds.

    step  batches seen; elapsed  seconds of the cosine that is running, span  its length in seconds; total  seconds of all runs
    """

    net: TableNet
    optimiser: torch.optim.AdamW
    step: int = 0
    images: int = 0
    elapsed: float = 0.0
    span: float = 0.0
    total: float = 0.0

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        held = dict(net=self.net.state_dict(), optimiser=self.optimiser.state_dict(), step=self.step, images=self.images,
                    elapsed=self.elapsed, span=self.span, total=self.total)
        write_checkpoint(path, held)

    @classmethod
    def begin(cls, options: Options, scratch: bool = False) -> "Training":
        """From the checkpoint; else from the weights in assets; else (or if wanted) from random ones."""
        path, device = options.state / "table.pt", torch.device(options.device)
        torch.manual_seed(options.seed)
        resumed = path.is_file() and not scratch
        net = TableNet(SMALL) if resumed or scratch or not WEIGHTS.is_file() else load_weights(WEIGHTS, SMALL)
        net = net.to(device, memory_format=torch.channels_last)
        made = cls(net, make_optimiser(net, options.rate))
        if resumed:
            held = torch.load(path, map_location=device, weights_only=True)
            net.load_state_dict(held.pop("net"))
            made.optimiser.load_state_dict(held.pop("optimiser"))
            for name, value in held.items():
                setattr(made, name, value)
        return made


def train(options: Options, training: Training, say: Callable[[dict], None]) -> None:
    """Run one cosine to its end, or the rest of one that was broken off; checkpoints on the way. `say` gets one record per event."""
    span = float(options.steps) if options.steps else options.minutes * 60
    if training.elapsed >= training.span:
        training.elapsed, training.span = 0.0, span
    device, checkpoint = torch.device(options.device), options.state / "table.pt"
    saved = evaluated = clock = time.monotonic()
    means: dict[str, float] = {}
    with fed(options, training.step) as supply:
        while training.elapsed < training.span:
            found = _step(training, next(supply), options, device)
            now = time.monotonic()
            training.elapsed, training.total, clock = training.elapsed + (1 if options.steps else now - clock), training.total + now - clock, now
            means = {name: 0.98 * means.get(name, value) + 0.02 * value for name, value in found.items()}
            if training.step % 100 == 0:
                say(dict(event="step", step=training.step, images=training.images, seconds=round(training.total, 1),
                         rate=training.optimiser.param_groups[0]["lr"],
                         **{name: round(value, 4) for name, value in means.items()}))
            if now - saved > options.save_every:
                training.save(checkpoint)
                saved = now
            if now - evaluated > options.evaluate_every:
                _report(training, options, say)
                evaluated = clock = time.monotonic()
    training.save(checkpoint)


def _step(training: Training, batch: Batch, options: Options, device: torch.device) -> dict[str, float]:
    share = training.elapsed / training.span
    training.net.train()
    if share >= FROZEN:
        for module in training.net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    for group in training.optimiser.param_groups:
        group["lr"] = rate_at(share, options.rate)
    with torch.autocast(device.type, torch.bfloat16):
        parts = losses(training.net, batch, device)
    loss = sum(SHARES[name] * part for name, part in parts.items())
    training.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(training.net.parameters(), 1.0)
    training.optimiser.step()
    training.step += 1
    training.images += len(batch.picture)
    return {name: float(part.detach()) for name, part in parts.items()}


def _report(training: Training, options: Options, say: Callable[[dict], None]) -> None:
    """How the heads read a tenth of the development pictures, mid-run (the rate has not come down: see it as a lower bound)."""
    if options.data is None:
        return
    training.net.eval()
    found = evaluate(training.net, options.data, "wiki_rendered", every=10)
    say(dict(event="evaluation", step=training.step, images=training.images, seconds=round(training.total, 1), **found))


# Command line

def keep_memory() -> None:
    """Ask glibc to keep freed memory: giving large tensors back at every step costs about a fifth of the time."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter, value in ((-3, 1 << 25), (-1, 2 ** 31 - 1), (-2, 1 << 28)):
            libc.mallopt(parameter, value)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of `launch.py train table`. Raises ConfigError where they do not fit."""
    parser = argparse.ArgumentParser(prog="launch.py train table", description=__doc__, exit_on_error=False)
    parser.add_argument("--minutes", type=float, default=30, help="length of the run's cosine; a run that was broken off is brought to its end first")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--data", type=Path, help="the folder of the shared data or of its tables (default: VITRINE_DATA, or ../shared/data; "
                                                  "absent: made-up tables only)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--drawers", type=int, default=1, help="processes that draw")
    parser.add_argument("--browser", type=int, default=0, metavar="N", help="every fourth drawing comes from N that a browser made, once, beside the "
                                                                            "checkpoint (Chromium and playwright are needed to make them)")
    parser.add_argument("--scratch", action="store_true", help="begin anew, whatever was trained before")
    parser.add_argument("--publish", action="store_true", help="put the weights into assets/weights at the end")
    parser.add_argument("--evaluate", nargs="*", metavar="SET", help="train nothing: print scores of the last checkpoint (or of the weights in "
                                                                     f"assets) on {', '.join(SETS)} (default: all)")
    parser.add_argument("--every", type=int, default=1, help="with --evaluate: each N-th picture only")
    parser.add_argument("--scale", type=float, default=SCALE, help="with --evaluate: input size, times the picture's")
    parser.add_argument("--shipped", action="store_true", help="with --evaluate: the weights in assets even where there is a later checkpoint")
    parser.add_argument("--decoder", action="store_true", help="with --evaluate: the decoder's scores and drafts too")
    given = parser.parse_args(argv)
    if not 0 < given.minutes <= 6000 or given.batch not in (4, 8, 16, 32) or given.drawers < 0 or not 0 <= given.browser <= 100_000:
        raise ConfigError("Training takes --minutes from 0 to 6000, --batch 4, 8, 16 or 32, --drawers 0 or more and --browser 0 to 100,000.")
    if given.evaluate is not None and (given.every < 1 or not 0.1 <= given.scale <= 4 or not set(given.evaluate) <= set(SETS)):
        raise ConfigError(f"Evaluation takes sets among {', '.join(SETS)}, --every 1 or more and --scale 0.1 to 4.")
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"There is no CUDA device for --device {given.device}. Use --device cpu.")
    return given


def table_folder(given: Path | None) -> Path | None:
    """The folder of the table data: as given, or the shared one; None where there is none. Raises InputError where a given one holds no tables."""
    base = given or Path(os.environ.get("VITRINE_DATA") or ROOT.parent / "shared" / "data")
    found = next((folder for folder in (base, base / "tables") if (folder / "wikitables.jsonl.gz").is_file()), None)
    if given and not found:
        raise InputError(f"There is no wikitables.jsonl.gz in {given} or in its folder tables. Name the folder of the shared data with --data.")
    return found


def print_scores(given: argparse.Namespace, options: Options) -> None:
    """One JSON line per set (two with --decoder). Raises InputError without data."""
    if options.data is None:
        raise InputError("There is no picture to evaluate on. Name the folder of the shared data with --data.")
    net = load_weights(WEIGHTS) if given.shipped else Training.begin(options).net.eval()
    for name in given.evaluate or SETS:
        for score in (evaluate, evaluate_decoder)[:2 if given.decoder else 1]:
            print(json.dumps(score(net, options.data, name, given.every, given.scale)), flush=True)


def main(argv: list[str] | None = None) -> None:
    """Train, log as JSON lines, write the weights at the end; or evaluate."""
    try:
        given = parse(argv)
    except argparse.ArgumentError as error:
        raise ConfigError(f"{error}. `launch.py train table --help` lists the options.") from None
    keep_memory()
    with contextlib.suppress(AttributeError):
        os.nice(10)
    options = Options(given.minutes, None, given.device, table_folder(given.data), batch=given.batch, rate=given.rate, seed=given.seed,
                      drawers=given.drawers, browser=STATE / "browser" if given.browser else None)
    torch.set_num_threads(options.threads)
    if given.evaluate is not None:
        print_scores(given, options)
        return
    run(given, options)


def run(given: argparse.Namespace, options: Options) -> None:
    """Train from the last checkpoint on, log, write the weights."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler)  # also where the shell that began this run had it ignored
    if options.browser:
        make_store(options.browser, load_corpus(options.data), given.browser, given.seed)
    training = Training.begin(options, given.scratch)
    options.state.mkdir(parents=True, exist_ok=True)
    with (options.state / "table.jsonl").open("a", encoding="utf8") as log:
        def say(record: dict) -> None:
            line = json.dumps(record)
            print(line, file=log, flush=True)
            print(line, flush=True)
        say(dict(event="begin", minutes=given.minutes, step=training.step, device=given.device, seed=given.seed, batch=given.batch,
                 data=options.data is not None, browser=given.browser,
                 parameters=sum(p.numel() for p in training.net.parameters()), torch=torch.__version__))
        try:
            train(options, training, say)
        except KeyboardInterrupt:
            training.save(options.state / "table.pt")
            say(dict(event="stopped", step=training.step))
            sys.exit(130)
        save_weights(training.net, WEIGHTS if given.publish else options.state / WEIGHTS.name)
        say(dict(event="end", step=training.step, images=training.images, seconds=round(training.total, 1)))


if __name__ == "__main__":
    main()
