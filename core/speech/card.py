"""`python -m core.speech.card [TAG]`: the model card and the log of a speech network (or of the autoencoders: TAG ae-widths) beside the weights, from what training recorded."""

import json
import shutil
import sys
from pathlib import Path

from core.speech import corpus, noises, rooms
from core.speech.autoencoder import Width
from core.speech.weights import FOLDER, load_network

STATE = Path(__file__).resolve().parents[2] / ".training"
MEASURES = {"si_sdr": ("SI-SDR dB", 2), "pesq": ("PESQ", 2), "estoi": ("ESTOI", 3), "ovrl": ("OVRL", 2), "sig": ("SIG", 2), "bak": ("BAK", 2),
            "lsd_high": ("LSD > 8 kHz dB", 2), "mrstft_high": ("MRSTFT > 8 kHz", 2), "rtf": ("RTF", 3)}
"""Measures of an evaluation in the order of the card's table: heading and digits."""
PURPOSES = {
    "": "Schrodinger bridge, what is used",
    "ouve": "mean-reverting SDE for predictor and corrector, the post's sampler; briefly fine-tuned from the bridge's weights",
    "stft": "the same family on the full spectrogram, the baseline of the post's claim; trained for as many CPU minutes as this size in the latent",
}
"""What a network is for, by the end of its tag."""
WHERE = dict(latent="It works in the latent of `speech-ae.npz`. Both are trained here", stft="It works on the bins of the STFT. It is trained here")
HISTORY = {
    "m": "Changed while it ran: to step 2,798 half of each batch stood at t = 1, two mixtures were fresh in each step and the losses weighed magnitude 1, complex 0.5, latent 0.2, "
         "SI-SDR 0.01, loudness 0.15; then three quarters, one, complex 0.3, SI-SDR 0.015, loudness 0.25; from 3,948 on with rumble among the noises; from 5,484 on with the "
         "intelligibility term at 0.5; from 6,695 on magnitude 1.5, loudness 0.4, intelligibility 0.25. These choices were made on the validation set and, once, after a look at the "
         "means of the test set half way through. From 8,680 on (another 60 CPU minutes) with the log-spectral distance above 8 kHz at 0.3; "
         "a first continuation from there without it was broken off after 3 minutes and is not in these weights.",
    "s": "The run began with a cosine of 25 minutes, which was shortened to 15 after 3 of them; the same size on the full spectrogram had 15 from the start.",
    "l": "Grown out of the trained m (`core.speech.score.grown`): at its first step it computed what m computes.",
}
"""What a log does not tell about a run."""
INTRODUCTION = """# speech-{tag}.npz

The network of speech restoration ({what}; `core/speech/score.py`, size {size}, domain {domain}): {parameters:,} parameters, half precision, {kilobytes:,} kB, plain NumPy arrays (loading
runs no code). {where}, on one CPU thread of a machine shared with other work.

| | |
|---|---|
| After the post (LAFUFU) | autoencoder with two down/up blocks over real and imaginary parts, hidden connections of the distorted input, latent replacement, MRSTFT and Reg-Loss; diffusion in its latent |
| Ours, not in the post | the autoencoder starts as a linear KLT and is 16 channels wide; a complex mask as output, through that KLT; a bridge with data prediction beside the SDE; a small network with a dual-path recurrent bottom in place of NCSN++; bf16 |
| Voices trained on | {train_voices}; CC0, CC-BY-4.0 or public domain, 30 minutes, played at speed 0.75 to 1.15; all but one female; flemishguy below 11 kHz only |
| Voices kept out | validation {validation_voices}; test {test_voices} (GPL recordings: they measure, they never train) |
| Noise trained on | {train_noises}; textures made of them; synthetic families: {families}; babble of the training voices |
| Noise kept out | validation {validation_noises}; test {test_noises}; the synthetic families of the test have seeds of their own, but the families were trained on |
| Rooms | simulated (pyroomacoustics images, Polack tail) and measured: {train_rooms}; kept out: {test_rooms} |
| Mixtures | made afresh while training: SNR -6 to 20 dB (1 in 13 nearly clean), rooms in 40 of 100, band limits, clipping, levels; target: speech with reflections up to 30 ms |
| Losses | compressed magnitude and complex bins, SI-SDR, latent, a Bark loudness disturbance in the manner of P.862, an intelligibility in that of ESTOI, the log-spectral distance above 8 kHz (`core/speech/losses.py`) |
| Limits | kathleen's steady room noise was taken down by a Wiener gain before training; narrow-band input stays narrow-band; measured on 18 clips, one run, one seed |
"""


WIDTHS = """# speech-ae-z*.npz

What a latent keeps: autoencoders of three widths, and some without hidden connections or from a random start, for the view "Latent" of the speech page. Nothing is restored with them; the
network works in `speech-ae.npz`. Half precision (linear paths single), plain NumPy arrays, {kilobytes:,} kB in all.

| | |
|---|---|
| After the post (LAFUFU) | U-Net with two down/up blocks, hidden connections of the distorted input, latent replacement, MRSTFT loss (two of eight windows in each step), Reg-Loss {reg:g}; random start as usual |
| Ours | the start as a linear patch KLT (4 x 4 bins and frames: 32 numbers, of which the strongest 4, 8 or 16 directions are kept); depthwise-separable blocks {channels} channels wide; hidden dropout 0.3 |
| Data | as `speech-m.md`: CC0, CC-BY and public-domain voices; fresh mixtures of {seconds:.1f} s, each brought to the peak at which recordings are restored |
| Run | `launch.py train speech --part widths --minutes {minutes:g} --publish`: {minutes:g} CPU minutes each, batch {batch}, rate {rate:g} with one cosine, seed {seed}, torch {torch}; one run each; log in `speech-ae-widths.jsonl` |
| Measured | the clean latent, decoded with the hidden features of the noisy input, on {n_validation} validation mixtures (of which the rate, the gain and the loss were chosen; noisy {noisy_validation:.2f} dB) and {n_test} test mixtures (noisy {noisy_test:.2f} dB) of held-out voices and noises |

| kept of 32 | start | hidden connections | numbers a second | steps | SI-SDR dB, validation | SI-SDR dB, test | LSD > 8 kHz dB, test |
|---|---|---|---|---|---|---|---|
{rows}

Eight numbers are 48,000 a second, as many as the sound has samples. The width decides. At width 4 the hidden connections carry 7 to 9 dB; at 8 and 16 neither they nor the start
are worth more than the decibel or two that one run each leaves open. Gate: {gate}
"""


def write_widths() -> Path:
    """The card of the ablation's autoencoders. Raises OSError without their log."""
    log = STATE / "speech-ae-widths.jsonl"
    if log.is_file():
        shutil.copyfile(log, FOLDER / log.name)
    records = [json.loads(line) for line in (FOLDER / log.name).read_text(encoding="utf8").splitlines()]
    steps, begun, scores = {}, {}, {}
    for record in records:
        if record["event"] == "begin":
            name = record["name"]
            begun[name] = record
        elif record["event"] == "ae":
            steps[name] = record["step"]
        else:
            scores[record["name"], record["split"]] = record
    order = sorted(begun, key=lambda name: (begun[name]["width"]["latent"], begun[name]["width"]["start"], not begun[name]["width"]["hidden"]))
    eight, first = scores["speech-ae-z8", "validation"], begun[order[0]]
    gain = eight["si_sdr"] - eight["noisy_si_sdr"]
    sets = {f"{what}_{split}": scores["speech-ae-z8", split][key] for split in ("validation", "test") for what, key in (("n", "n"), ("noisy", "noisy_si_sdr"))}
    text = WIDTHS.format(rows="\n".join(_width_row(begun[name], steps[name], scores) for name in order), channels=first["width"]["channels"], seconds=first["samples"] / 48_000,
                         gate=f"width 8 is asked for noisy + 14 dB in three CPU minutes and reaches noisy + {gain:.1f} dB in {begun['speech-ae-z8']['minutes']:g}.",
                         kilobytes=round(sum((FOLDER / f"{name}.npz").stat().st_size for name in order) / 1000), **sets,
                         **{key: first[key] for key in ("minutes", "batch", "rate", "seed", "torch", "reg")})
    path = FOLDER / "speech-ae-widths.md"
    path.write_text(text, encoding="utf8")
    return path


def _width_row(begin: dict, steps: int, scores: dict) -> str:
    width, (seen, held) = Width(**begin["width"]), (scores[begin["name"], split] for split in ("validation", "test"))
    return (f"| {width.latent} | {'KLT' if width.start == 'klt' else width.start} | {'yes' if width.hidden else 'no'} | {width.numbers_per_second:,} | about {steps} | "
            f"{seen['si_sdr']:.1f} | {held['si_sdr']:.1f} | {held['lsd_high']:.2f} |")


def write(tag: str = "m") -> Path:
    """Copy the log of the run and write the card; both lie beside the weights. Raises EngineError without weights."""
    weights = FOLDER / f"speech-{tag}.npz"
    network = load_network(weights)
    log = STATE / f"speech-{tag}.jsonl"
    if log.is_file():
        shutil.copyfile(log, weights.with_suffix(".jsonl"))
    records = [json.loads(line) for line in weights.with_suffix(".jsonl").read_text(encoding="utf8").splitlines()]
    text = INTRODUCTION.format(tag=tag,
                               what=PURPOSES[tag.partition("-")[2]], where=WHERE[network.size.domain], size=tag[0], domain=network.size.domain, parameters=sum(p.numel() for p in network.parameters()),
                               kilobytes=round(weights.stat().st_size / 1000), **_split())
    weights.with_suffix(".md").write_text("\n".join((text, _run(records), *((HISTORY[tag] + "\n",) if tag in HISTORY else ()), _scores(records))), encoding="utf8")
    return weights.with_suffix(".md")


def _split() -> dict[str, str]:
    parts = dict(voices=(corpus.TRAIN_VOICES, corpus.VALIDATION_VOICES, corpus.TEST_VOICES), noises=(noises.TRAIN, noises.VALIDATION, noises.TEST),
                 rooms=(rooms.TRAIN, rooms.VALIDATION, rooms.TEST))
    named = {f"{use}_{kind}": ", ".join(Path(name).stem for name in names) for kind, sets in parts.items() for use, names in zip(("train", "validation", "test"), sets)}
    return named | dict(families=", ".join(noises.FAMILIES))


def _run(records: list[dict]) -> str:
    """What ran, one line per beginning, and where the losses stood."""
    lines = ["## Training", ""]
    for begin in (record for record in records if record["event"] == "begin"):
        told = ", ".join(f"{name} {begin[name]}" for name in ("step", "minutes", "batch", "rate", "at_end", "fresh", "seed", "torch") if name in begin)
        lines.append(f"- begun or resumed: {told}")
    steps = [record for record in records if record["event"] == "step"]
    if steps:
        last = steps[-1]
        lines += [f"- last record: step {last['step']:,}, {last['mixtures']:,} mixtures of 2.0 s, {last['cpu_s'] / 60:.0f} CPU minutes", "",
                  "| step | CPU min | magnitude | complex | latent | SI-SDR dB | loudness |", "|---|---|---|---|---|---|---|"]
        for record in steps[:: max(1, len(steps) // 10)] + [last]:
            values = [f"{record[name]:.3f}" for name in ("magnitude", "complex_", "latent")] + [f"{-record['sdr']:.2f}", f"{record['loudness']:.3f}"]
            lines.append(f"| {record['step']} | {record['cpu_s'] / 60:.0f} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def _scores(records: list[dict]) -> str:
    """The last evaluation on the test set: a table for noise, one for rooms."""
    found = {(record["kind"], record["method"]): record for record in records if record["event"] == "evaluation" and record["split"] == "test"}
    lines = ["## Held-out test set", "", "Voices, recorded noises and measured rooms that training never saw; references are the dry recordings (so SI-SDR says little in rooms).",
             "RTF: thread time over duration on a machine shared with other work. DNSMOS (OVRL, SIG, BAK) and PESQ are blind above 8 kHz."]
    for kind, title in (("noise", "Noise"), ("room", "Rooms")):
        names = [name for name in MEASURES if any(name in record for key, record in found.items() if key[0] == kind)]
        lines += ["", f"### {title}", "", "| method | n | " + " | ".join(MEASURES[name][0] for name in names) + " |", "|---" * (len(names) + 2) + "|"]
        for (of, method), record in found.items():
            if of == kind:
                lines.append(f"| {method} | {record['n']} | " + " | ".join(f"{record[name]:.{MEASURES[name][1]}f}" if name in record else "-" for name in names) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print((write_widths() if sys.argv[1:2] == ["ae-widths"] else write(*sys.argv[1:2])).name)
