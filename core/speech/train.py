"""`launch.py train speech`: trains the autoencoder (--part ae; --part widths: all of the ablation) or the latent network (--part score) on fresh mixtures."""

import argparse
import contextlib
import ctypes
import json
import math
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import ConfigError, InputError
from core.io.checkpoints import write_checkpoint
from core.speech import corpus, noises, rooms
from core.speech.autoencoder import GAIN, WINDOWS, Autoencoder, Width, ablation, loss_of
from core.speech.losses import terms, total
from core.speech.process import Bridge, Ouve
from core.speech.sampler import LEVEL
from core.speech.score import Network, grown, scaled, size_of, spectra_of
from core.speech.stft import stft
from core.speech.weights import FOLDER, load_autoencoder, load_network, save

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".training"
SAMPLES = 97_200
"""Samples of a training segment: 2.0 s, 256 frames, a length that Fourier transforms like."""
AE_SAMPLES = SAMPLES // 2
"""Samples of an autoencoder's segment: twice the steps in the same time."""
RATES = {"ae": 1e-2, "widths": 1e-2, "score": 1.5e-3}
WARM_UP = 0.03
BEGINS_AS = {"l": "m"}
"""A size that grows out of another's weights (`core.speech.score.grown`)."""
T_LEAST = 0.03
"""Diffusion times are drawn from here to 1."""


@dataclass(frozen=True)
class Options:
    """One training run; minutes say how long its cosine is."""

    part: str = "score"
    minutes: float = 30.0
    data: Path | None = None
    device: str = "cpu"
    state: Path = STATE
    batch: int = 4
    rate: float = 1.5e-3
    seed: int = 1
    name: str = "m"
    domain: str = "latent"
    process: str = "bridge"
    at_end: float = 0.75
    fresh: int = 1
    width: Width = field(default_factory=Width)
    reg: float = 0.1
    save_every: float = 120.0
    items: int | None = None
    scratch: bool = False

    @property
    def tag(self) -> str:
        """What weights and checkpoints are called: "m", "s-stft", "m-ouve"."""
        return "-".join([self.name] + [part for part, usual in ((self.domain, "latent"), (self.process, "bridge")) if part != usual])


def speech_folder(given: Path | None) -> Path:
    """The folder of the shared speech data. Raises InputError where there is none."""
    base = given or Path(os.environ.get("VITRINE_DATA") or ROOT.parent / "shared" / "data")
    found = next((folder for folder in (base, base / "speech") if (folder / "manifest.csv").is_file()), None)
    if found is None:
        raise InputError("There is no manifest.csv of speech data. Name the folder of the shared data with --data.")
    return found


def training_mixer(options: Options, samples: int = SAMPLES) -> corpus.Mixer:
    """Fresh mixtures of the training split."""
    return corpus.Mixer(corpus.load(speech_folder(options.data), corpus.TRAIN_VOICES, noises.TRAIN, rooms.TRAIN), options.seed, samples)


def drawn(mixer: corpus.Mixer, count: int) -> tuple[Tensor, Tensor]:
    """The next mixtures: noisy and target samples [count, n]."""
    pairs = [next(mixer) for _ in range(count)]
    return tuple(torch.from_numpy(np.stack(waves)) for waves in zip(*((pair.noisy, pair.target) for pair in pairs)))


def rate_at(share: float, peak: float) -> float:
    """Learning rate after this share of a run: a short rise, then one cosine."""
    return peak * min(1.0, (share + 1e-4) / WARM_UP) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def bf16() -> bool:
    """Whether this processor multiplies bf16 in hardware; elsewhere single precision is the faster one."""
    return torch.cpu._is_avx512_bf16_supported()


def stepped(net: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, rate: float, clip: float = 1.0) -> bool:
    """One update at this rate. False, and no update, where the gradient is not finite."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    finite = bool(torch.isfinite(nn.utils.clip_grad_norm_(net.parameters(), clip)))
    if finite:
        optimiser.step()
    return finite


# The autoencoder

def train_autoencoder(options: Options, mixer: corpus.Mixer, say: Callable[[dict], None]) -> Autoencoder:
    """KLT of 48 segments, then `minutes` of CPU time of this process. Logs the loss; evaluation is `core.speech.evaluation.oracle_scores`."""
    torch.manual_seed(options.seed)
    net = Autoencoder(options.width).to(options.device, memory_format=torch.channels_last)
    if options.width.start == "klt":
        net.begin(torch.cat([stft(wave) for wave in levelled(mixer, 24)]).to(options.device))
    optimiser = torch.optim.AdamW(net.parameters(), options.rate, betas=(0.9, 0.98), weight_decay=0.0)
    rng, begun, step, left_out, mean = np.random.default_rng(options.seed), time.process_time(), 0, 0, None
    while (spent := time.process_time() - begun) < options.minutes * 60:
        noisy, clean = (wave.to(options.device) for wave in levelled(mixer, options.batch))
        with torch.autocast(options.device, torch.bfloat16, enabled=options.device != "cpu" or bf16()):
            loss = loss_of(net, stft(noisy).to(memory_format=torch.channels_last), stft(clean).to(memory_format=torch.channels_last), noisy, clean,
                           tuple(rng.choice(WINDOWS, 2, replace=False).tolist()), reg=options.reg)
        left_out += not stepped(net, optimiser, loss, rate_at(spent / (options.minutes * 60), options.rate))
        mean = float(loss.detach()) if mean is None else 0.95 * mean + 0.05 * float(loss.detach())
        step += 1
        if step % 20 == 0:
            say(dict(event="ae", step=step, cpu_s=round(spent, 1), loss=round(mean, 4), left_out=left_out))
    return net.eval()


def levelled(mixer: corpus.Mixer, count: int) -> tuple[Tensor, Tensor]:
    """The next mixtures at the level at which recordings are restored: quiet ones would hardly move the nets, which begin near linear."""
    noisy, clean = drawn(mixer, count)
    gain = LEVEL / noisy.abs().amax(1, keepdim=True).clamp_min(1e-5)
    return gain * noisy, gain * clean


# The latent network

@dataclass
class Pool:
    """Mixtures that were made lately: each step replaces some of them and draws a batch from all, so that each is seen batch / fresh times."""

    noisy: Tensor
    clean: Tensor
    spectra: Tensor
    next_: int = 0

    @classmethod
    @torch.no_grad()
    def filled(cls, mixer: corpus.Mixer, autoencoder: Autoencoder, domain: str, count: int) -> "Pool":
        """The first `count` mixtures: scaled states, and the clean spectra in half precision."""
        made = [cls.prepared(mixer, autoencoder, domain, 4) for _ in range(-(-count // 4))]
        return cls(*(torch.cat(parts) for parts in zip(*made)))

    @staticmethod
    @torch.no_grad()
    def prepared(mixer: corpus.Mixer, autoencoder: Autoencoder, domain: str, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """`count` fresh mixtures: distorted and clean states at STATE_STD, clean spectra at the same scale."""
        noisy, clean = (stft(wave) for wave in drawn(mixer, count))
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16()):
            states = [autoencoder.encode(parts)[0].float() if domain == "latent" else parts for parts in (noisy, clean)]
        state, factor = scaled(states[0])
        return state, states[1] * factor, (clean * factor).half()

    def renew(self, mixer: corpus.Mixer, autoencoder: Autoencoder, domain: str, count: int) -> None:
        """Put fresh mixtures in place of the oldest."""
        for parts in zip(*self.prepared(mixer, autoencoder, domain, count)):
            for held, part in zip((self.noisy, self.clean, self.spectra), parts):
                held[self.next_] = part
            self.next_ = (self.next_ + 1) % len(self.noisy)

    def batch(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A batch drawn at random."""
        chosen = torch.randperm(len(self.noisy), generator=generator)[:count]
        return self.noisy[chosen], self.clean[chosen], self.spectra[chosen].float()


@dataclass
class Training:
    """A network in training: what a checkpoint holds.

    mean: the running mean of its weights; elapsed: CPU seconds of the cosine that is running; span: its length; total: of all runs
    """

    net: Network
    mean: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    mixtures: int = 0
    elapsed: float = 0.0
    span: float = 0.0
    total: float = 0.0
    left_out: int = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        held = dict(net=self.net.state_dict(), mean=self.mean, optimiser=self.optimiser.state_dict(), step=self.step, mixtures=self.mixtures,
                    elapsed=self.elapsed, span=self.span, total=self.total, left_out=self.left_out)
        write_checkpoint(path, held)

    @classmethod
    def begin(cls, options: Options, autoencoder: Autoencoder) -> "Training":
        """From the checkpoint; else (or if anew was asked for) from random weights, size l from those of m, the SDE from the bridge's of this size in assets."""
        torch.manual_seed(options.seed)
        net = Network(size_of(options.name, options.domain)).use(autoencoder)
        like = FOLDER / f"speech-{replace(options, name=BEGINS_AS.get(options.name, options.name), process='bridge').tag}.npz"
        if like.name != f"speech-{options.tag}.npz" and like.is_file():
            net = grown(load_network(like), net.size).train()
        net = net.to(options.device, memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(net.parameters(), options.rate, betas=(0.9, 0.98), weight_decay=0.01)
        made = cls(net, {name: value.clone() for name, value in net.state_dict().items()}, optimiser)
        path = checkpoint(options)
        if path.is_file() and not options.scratch:
            held = torch.load(path, map_location=options.device, weights_only=True)
            net.load_state_dict(held.pop("net"))
            optimiser.load_state_dict(held.pop("optimiser"))
            for name, value in held.items():
                setattr(made, name, value)
        return made

    def averaged(self) -> Network:
        """The network of the running mean of the weights."""
        net = Network(self.net.size)
        net.load_state_dict(self.mean)
        return net.eval().to(memory_format=torch.channels_last)

    @torch.no_grad()
    def follow(self) -> None:
        """Move the running mean: over the last tenth of the steps, at most 1,000."""
        share = 1 / min(1000.0, max(10.0, self.step / 10))
        for name, value in self.net.state_dict().items():
            self.mean[name].lerp_(value, share)


def checkpoint(options: Options) -> Path:
    """Where a run keeps its state: one file for each width, domain and process."""
    return options.state / f"speech-{options.tag}.pt"


def loss_of_batch(net: Network, process: Bridge | Ouve, batch: tuple[Tensor, Tensor, Tensor], at_end: float,
                  generator: torch.Generator) -> dict[str, Tensor]:
    """The terms of one batch, mean over it. The first `at_end` of the batch stands at t = 1, where one evaluation restores."""
    noisy, clean, spectra = batch
    count = len(noisy)
    time_ = torch.rand(count, generator=generator) * (1 - T_LEAST) + T_LEAST
    time_[:round(count * at_end)] = 1.0
    time_, noise = time_.to(noisy.device), torch.randn(noisy.shape, generator=generator).to(noisy.device)
    wide = time_[:, None, None, None]
    state = process.mean(clean, noisy, wide) + process.std(wide) * noise
    found = net(state, noisy, time_)
    parts = terms(spectra_of(net, found), spectra, found, clean)
    return {name: value.mean() for name, value in parts.items()}


def train_network(options: Options, training: Training, autoencoder: Autoencoder, say: Callable[[dict], None]) -> None:
    """Run one cosine to its end, or the rest of one that was broken off; checkpoints on the way. Minutes are CPU time of this process."""
    if training.elapsed >= training.span:
        training.elapsed, training.span = 0.0, options.minutes * 60
    mixer = _mixer_for(options, training)
    generator = torch.Generator().manual_seed(options.seed * 7919 + training.step)
    process = Bridge() if options.process == "bridge" else Ouve()
    pool = Pool.filled(mixer, autoencoder, options.domain, options.items or 160)
    saved, clock, means = time.monotonic(), time.process_time(), {}
    while training.elapsed < training.span:
        if options.items is None:
            pool.renew(mixer, autoencoder, options.domain, options.fresh)
            training.mixtures = mixer.made
        found = _step(training, pool, process, options, generator)
        now = time.process_time()
        training.elapsed, training.total, clock = training.elapsed + now - clock, training.total + now - clock, now
        means = {name: 0.98 * means.get(name, value) + 0.02 * value for name, value in found.items()}
        if training.step % 100 == 0:
            say(dict(event="step", step=training.step, mixtures=mixer.made, left_out=training.left_out, cpu_s=round(training.total, 1),
                     **{name: round(value, 4) for name, value in means.items()}))
        if time.monotonic() - saved > options.save_every:
            training.save(checkpoint(options))
            saved = time.monotonic()
    training.save(checkpoint(options))


def _mixer_for(options: Options, training: Training) -> corpus.Mixer:
    mixer = training_mixer(options)
    mixer.made = training.mixtures
    return mixer


def _step(training: Training, pool: Pool, process: Bridge | Ouve, options: Options, generator: torch.Generator) -> dict[str, float]:
    batch = tuple(part.to(options.device) for part in pool.batch(options.batch, generator))
    with torch.autocast(options.device, torch.bfloat16, enabled=options.device != "cpu" or bf16()):
        parts = loss_of_batch(training.net, process, batch, options.at_end, generator)
    training.left_out += not stepped(training.net, training.optimiser, total(parts), rate_at(training.elapsed / training.span, options.rate))
    training.step += 1
    training.follow()
    return {name: float(value.detach()) for name, value in parts.items()}


# Command line

def keep_memory() -> None:
    """Ask glibc to keep freed memory: giving large tensors back at every step costs about a fifth of the time."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter, value in ((-3, 1 << 25), (-1, 2 ** 31 - 1), (-2, 1 << 28)):
            libc.mallopt(parameter, value)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of `launch.py train speech`. Raises ConfigError where they do not fit."""
    parser = argparse.ArgumentParser(prog="launch.py train speech", description=__doc__, exit_on_error=False)
    parser.add_argument("--part", choices=("ae", "widths", "score"), default="score",
                        help="the autoencoder; those of the ablation, each for --minutes; or the network in the latent")
    parser.add_argument("--minutes", type=float, default=30, help="CPU minutes of the run's cosine; a run that was broken off is brought to its end first")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--data", type=Path, help="the folder of the shared data or of its speech (default: VITRINE_DATA, or ../shared/data)")
    parser.add_argument("--size", choices=("s", "m", "l"), default="m", help="width of the network")
    parser.add_argument("--domain", choices=("latent", "stft"), default="latent", help="where the network works: stft is the baseline at equal channels")
    parser.add_argument("--process", choices=("bridge", "ouve"), default="bridge")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, help="learning rate (default: 1e-2 for autoencoders, 1.5e-3 for the network)")
    parser.add_argument("--at-end", type=float, default=0.75, help="share of a batch at t = 1")
    parser.add_argument("--fresh", type=int, default=1, help="mixtures made anew at each step; the rest of a batch was seen before")
    parser.add_argument("--latent", type=int, default=16, help="with --part ae: channels of the latent")
    parser.add_argument("--start", choices=("klt", "random"), default="klt", help="with --part ae")
    parser.add_argument("--no-hidden", action="store_true", help="with --part ae: no hidden connections (an ablation)")
    parser.add_argument("--no-reg", action="store_true", help="with --part ae: no Reg-Loss (an ablation)")
    parser.add_argument("--items", type=int, help="overfit this many mixtures instead of making fresh ones")
    parser.add_argument("--scratch", action="store_true", help="begin anew, whatever was trained before")
    parser.add_argument("--publish", action="store_true", help="put the weights into assets/weights at the end")
    parser.add_argument("--evaluate", nargs="?", const="test", choices=("test", "validation"), help="train nothing: print the measures of the weights "
                        "in assets (or of the last checkpoint with --checkpoint) and of the classical bars on held-out mixtures")
    parser.add_argument("--export", action="store_true", help="train nothing: put the running mean of the last checkpoint into assets/weights")
    parser.add_argument("--checkpoint", action="store_true", help="with --evaluate: the running mean of the last checkpoint")
    parser.add_argument("--own", action="store_true", help="with --evaluate: the network only, without the classical tools")
    parser.add_argument("--steps", type=int, nargs="*", default=[1], help="with --evaluate: numbers of bridge steps")
    parser.add_argument("--shifts", type=int, nargs="*", default=[], help="with --evaluate: numbers of shifts, with one step each")
    given = parser.parse_args(argv)
    if not 0 < given.minutes <= 6000 or not 2 <= given.batch <= 256 or not 0 <= given.at_end <= 1 or not 1 <= given.fresh <= 64 or not 1 <= given.latent <= 32:
        raise ConfigError("Training takes --minutes from 0 to 6000, --batch 2 to 256, --at-end 0 to 1, --fresh 1 to 64 and --latent 1 to 32.")
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"There is no CUDA device for --device {given.device}. Use --device cpu.")
    return given


def options_of(given: argparse.Namespace) -> Options:
    """The options that the command line gave."""
    width = Width(given.latent, start=given.start, hidden=not given.no_hidden, gain=GAIN)
    return Options(given.part, given.minutes, speech_folder(given.data), given.device, batch=given.batch, rate=given.rate or RATES[given.part], seed=given.seed, name=given.size,
                   domain=given.domain, process=given.process, at_end=given.at_end, fresh=given.fresh, width=width, reg=0.0 if given.no_reg else 0.1,
                   items=given.items, scratch=given.scratch)


@contextlib.contextmanager
def logged(path: Path) -> Iterator[Callable[[dict], None]]:
    """A function that writes a record to the log and to the screen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf8") as log:
        def say(record: dict) -> None:
            line = json.dumps(record)
            print(line, file=log, flush=True)
            print(line, flush=True)
        yield say


def main(argv: list[str] | None = None) -> None:
    """Train, log as JSON lines, write the weights at the end; or evaluate."""
    try:
        given = parse(argv)
    except argparse.ArgumentError as error:
        raise ConfigError(f"{error}. `launch.py train speech --help` lists the options.") from None
    keep_memory()
    torch.set_num_threads(1)
    options = options_of(given)
    if given.evaluate:
        from core.speech.evaluation import log_scores
        with logged(options.state / f"speech-{options.tag}.jsonl") as say:
            log_scores(options, given.evaluate, given.checkpoint, tuple(given.steps), say, given.own, tuple(given.shifts))
        return
    if given.export:
        export(options)
        return
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler)
    {"ae": run_autoencoder, "widths": run_widths, "score": run_network}[options.part](options, FOLDER if given.publish else options.state)


def own_autoencoder(options: Options) -> Autoencoder:
    """The autoencoder of the state folder, or (without one) that of assets."""
    own = options.state / "speech-ae.npz"
    return load_autoencoder(own if own.is_file() else FOLDER / own.name)


def export(options: Options) -> None:
    """Write the running mean of the last checkpoint into assets. Raises InputError where there is none."""
    if not checkpoint(options).is_file():
        raise InputError(f"There is no checkpoint {checkpoint(options).name}. Train first, with the same --size, --domain and --process.")
    training = Training.begin(options, own_autoencoder(options))
    save(training.averaged(), FOLDER / f"speech-{options.tag}.npz")


def run_autoencoder(options: Options, folder: Path) -> None:
    """Train an autoencoder from its start and write its weights; a width other than the shipped one gets a name of its own."""
    name = "speech-ae" + f"-{options.width.name}" * (options.width.name != Width().name) + "-noreg" * (not options.reg)
    with logged(options.state / f"{name}.jsonl") as say:
        _autoencoder(options, training_mixer(options, AE_SAMPLES), folder / f"{name}.npz", _held_out(options), say)


def run_widths(options: Options, folder: Path) -> None:
    """Train the autoencoders of the ablation one after another, all with the same recipe, seed and CPU time; those that are there are left (unless begun anew)."""
    mixer, held = training_mixer(options, AE_SAMPLES), _held_out(options)
    with logged(options.state / "speech-ae-widths.jsonl") as say:
        for width in ablation():
            path = folder / f"speech-ae-{width.name}.npz"
            if options.scratch or not path.is_file():
                mixer.made = 0
                _autoencoder(replace(options, width=width), mixer, path, held, say)


def _held_out(options: Options) -> dict[str, list]:
    """The cases of noise that an autoencoder is measured on, by split."""
    from core.speech.evaluation import cases
    return {split: [case for case in cases(speech_folder(options.data), split) if case.kind == "noise"] for split in ("validation", "test")}


def _autoencoder(options: Options, mixer: corpus.Mixer, path: Path, held: dict[str, list], say: Callable[[dict], None]) -> None:
    from core.speech.evaluation import oracle_scores
    say(dict(event="begin", name=path.stem, minutes=options.minutes, rate=options.rate, seed=options.seed, batch=options.batch, samples=mixer.samples, torch=torch.__version__,
             width=asdict(options.width), reg=options.reg))
    save(train_autoencoder(options, mixer, say), path)
    for split, there in held.items():
        say(dict(event="oracle", name=path.stem, split=split, **oracle_scores(load_autoencoder(path), there)))


def run_network(options: Options, folder: Path) -> None:
    """Train the network from the last checkpoint on, with the autoencoder of the state folder or (without one) of assets; write the weights."""
    autoencoder = own_autoencoder(options)
    training = Training.begin(options, autoencoder)
    with logged(options.state / f"speech-{options.tag}.jsonl") as say:
        say(dict(event="begin", minutes=options.minutes, step=training.step, device=options.device, seed=options.seed, batch=options.batch, rate=options.rate,
                 at_end=options.at_end, fresh=options.fresh, parameters=sum(p.numel() for p in training.net.parameters()), torch=torch.__version__))
        try:
            train_network(options, training, autoencoder, say)
        except KeyboardInterrupt:
            training.save(checkpoint(options))
            say(dict(event="stopped", step=training.step))
            sys.exit(130)
        save(training.averaged(), folder / f"speech-{options.tag}.npz")
        say(dict(event="end", step=training.step, mixtures=training.mixtures, cpu_s=round(training.total, 1)))


if __name__ == "__main__":
    main()
