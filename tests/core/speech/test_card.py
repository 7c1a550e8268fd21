"""The card says what the log says, and the shipped one belongs to the shipped weights."""

import json

from core.speech import card
from core.speech.autoencoder import Width, ablation
from core.speech.score import Network, Size
from core.speech.weights import FOLDER, load_autoencoder, load_network, save


def test_a_card_is_written_from_weights_and_log(tmp_path, monkeypatch):
    monkeypatch.setattr(card, "FOLDER", tmp_path)
    monkeypatch.setattr(card, "STATE", tmp_path / "state")
    (tmp_path / "state").mkdir()
    save(Network(Size(8, 1)), tmp_path / "speech-x.npz")
    step = dict(event="step", step=100, mixtures=200, cpu_s=61.0, magnitude=0.25, complex_=0.5, latent=0.1, sdr=-7.5, loudness=1.0)
    scores = [dict(event="evaluation", split=split, kind="noise", method="ours 1", n=3, si_sdr=value, rtf=0.04) for split, value in (("test", 8.125), ("validation", 99.0))]
    log = [dict(event="begin", step=0, minutes=2, seed=1), step, *scores]
    (tmp_path / "state" / "speech-x.jsonl").write_text("".join(json.dumps(record) + "\n" for record in log), encoding="utf8")
    text = card.write("x").read_text(encoding="utf8")
    assert "step 100, 200 mixtures of 2.0 s, 1 CPU minutes" in text
    assert "| ours 1 | 3 | 8.12 | 0.040 |" in text
    assert "99" not in text
    assert (tmp_path / "speech-x.jsonl").is_file()


def test_the_shipped_card_counts_the_shipped_parameters():
    count = sum(p.numel() for p in load_network().parameters())
    assert f"{count:,} parameters" in (FOLDER / "speech-m.md").read_text(encoding="utf8")


def test_all_speech_weights_stay_under_nine_megabytes():
    assert 0 < sum(path.stat().st_size for path in FOLDER.glob("speech-*.npz")) < 9_000_000


def test_the_card_of_the_ablation_is_what_its_log_says():
    written = (FOLDER / "speech-ae-widths.md").read_text(encoding="utf8")
    records = [json.loads(line) for line in (FOLDER / "speech-ae-widths.jsonl").read_text(encoding="utf8").splitlines()]
    eight = next(record for record in records if (record["event"], record.get("name"), record.get("split")) == ("oracle", "speech-ae-z8", "validation"))
    assert eight["si_sdr"] - eight["noisy_si_sdr"] >= 14, "gate: width 8 within three CPU minutes"
    assert f"reaches noisy + {eight['si_sdr'] - eight['noisy_si_sdr']:.1f} dB" in written
    begun = {record["name"]: record for record in records if record["event"] == "begin"}
    assert {"speech-ae-z4", "speech-ae-z8", "speech-ae-z16", "speech-ae-z8-nohidden", "speech-ae-z8-random"} <= set(begun)
    for width in ablation():
        if (begin := begun.get(f"speech-ae-{width.name}")) is not None:
            assert begin["minutes"] <= 3 and load_autoencoder(FOLDER / f"speech-ae-{width.name}.npz").width == Width(**begin["width"]) == width
