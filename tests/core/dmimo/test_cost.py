"""Fronthaul and FLOPS: a case worked by hand, and the figures of the derivation for the configurations it lists."""

import pytest

from core.dmimo import cost
from core.dmimo.cost import Flops, Load
from core.dmimo.presets import PRESETS

POST = Load(4, 16, 8, 2)
"""4 TRPs of 16 antennas, 8 layers, 2 streams, 273 PRB, 64QAM, bits 9/12/3, two DMRS symbols."""


def shares(load: Load, part: str = "total") -> tuple[float, ...]:
    """Fronthaul of LLRC and DEQC, FLOPS of LLRC and DEQC, in percent of IQC."""
    bits = [100 * cost.fronthaul_bits(scheme, load) / cost.fronthaul_bits("iqc", load) for scheme in ("llrc", "deqc")]
    return (*bits, *(100 * getattr(cost.flops(scheme, load), part) / cost.flops("iqc", load).total for scheme in ("llrc", "deqc")))


def test_fronthaul_worked_by_hand() -> None:
    load = Load(2, 3, 4, 2, prbs=10, qam_bits=4, iq_bits=9, stream_bits=12, llr_bits=4, dmrs_symbols=2)
    assert cost.fronthaul_bits("iqc", load) == 2 * 3 * 14 * (120 * 18 + 80)
    assert cost.fronthaul_bits("deqc", load) == 2 * 2 * 12 * (120 * 24 + 80) + 2 * 5 * (2 * 2 * 4 + 4) * 16
    assert cost.fronthaul_bits("deqc_local", load) == cost.fronthaul_bits("deqc", load) > cost.fronthaul_bits("deqc_combined", load)
    assert cost.fronthaul_bits("llrc", load) == 2 * 2 * 12 * 120 * 4 * 4
    assert cost.fronthaul_bits("single_trp", load) == 4 * 12 * 120 * 4 * 4


def test_one_port_of_100_mhz() -> None:
    """273 PRB, 30 kHz, 9-bit block floating point: 1.712 Gb/s per port; 64 ports 109.6 Gb/s."""
    assert cost.fronthaul_bits("iqc", Load(1, 1, 1, 1)) * 2000 == pytest.approx(1.712e9, rel=1e-3)
    assert [cost.fronthaul_bits(scheme, POST) * 2000 / 1e9 for scheme in ("iqc", "llrc", "deqc")] == pytest.approx([109.6, 11.3, 16.1], abs=0.05)


def test_flops_worked_by_hand() -> None:
    load = Load(2, 4, 3, 1, prbs=1, qam_bits=2, dmrs_symbols=1, weight_subcarriers=12, code_rate=0.5)
    assert cost.mmse_flops(8, 3, "antenna") == pytest.approx(4 * 64 * 3 + 4 / 3 * 512 + 8 * 64 * 3)
    assert cost.mmse_flops(8, 3, "inverse") == pytest.approx(4 * 64 * 3 + 4 * 512 + 8 * 64 * 3)
    assert cost.mmse_flops(8, 3, "layer") == pytest.approx(4 * 8 * 9 + 4 / 3 * 27 + 8 * 8 * 9)
    estimate, decode = 8 * 3 * 12 * (3 + 64), 3 * 12 * 13 * 2 * 0.5 * (76 + 5.7 * 20) / 22 * 60
    assert cost.ldpc_flops(load) == pytest.approx(decode)
    local = estimate + 2 * cost.mmse_flops(4, 3, "antenna") + 2 * 8 * 4 * 12 * 13
    joint = estimate + cost.mmse_flops(8, 3, "antenna") + 8 * 8 * 3 * 12 * 13 + 20 * 3 * 12 * 13 + decode
    assert cost.flops("iqc", load) == Flops(0.0, pytest.approx(joint))
    deqc = cost.flops("deqc", load)
    assert deqc.trp == pytest.approx(local)
    assert deqc.centre == pytest.approx(cost.mmse_flops(2, 3, "antenna") + 8 * 2 * 3 * 12 * 13 + 20 * 3 * 12 * 13 + decode)
    llrc = cost.flops("llrc", load)
    assert llrc.trp == pytest.approx(local + 2 * 20 * 12 * 13) and llrc.centre == pytest.approx(2 * 12 * 13 * 2 + decode)


@pytest.mark.parametrize("load, expected", [
    (Load(4, 8, 2, 1, qam_bits=2, llr_bits=8, dmrs_symbols=1, code_rate=0.65), (9.9, 15.5, 64.1, 64.9)),
    (Load(4, 16, 4, 2, qam_bits=4, llr_bits=4, dmrs_symbols=1, weight_subcarriers=12, code_rate=0.65), (9.9, 15.7, 64.1, 64.9)),
    (Load(2, 32, 4, 4, qam_bits=4, llr_bits=4, dmrs_symbols=1, weight_subcarriers=12, weight_form="inverse", code_rate=0.65),
     (9.9, 15.7, 64.1, 64.8)),
    (Load(3, 16, 6, 2, weight_subcarriers=3), (10.3, 14.6, 62.8, 64.3)),
    (POST, (10.3, 14.7, 61.0, 62.8)),
    (Load(4, 16, 8, 2, weight_subcarriers=8), (10.3, 14.7, 65.2, 67.2)),
])
def test_the_configurations_of_the_derivation(load, expected) -> None:
    assert shares(load) == pytest.approx(expected, abs=0.051)


def test_the_centre_alone_saves_more() -> None:
    assert shares(POST, "centre")[2:] == pytest.approx((40.3, 44.2), abs=0.5)
    iqc = cost.flops("iqc", POST)
    assert iqc.trp == 0 and iqc.total == iqc.centre


def test_the_layer_form_takes_the_saving_away() -> None:
    """What the post does not tell, first: with the same weights computed through the L x L matrix, IQC costs little more, or even less."""
    for per_weight in (1, 12):
        llrc, deqc = shares(Load(4, 16, 8, 2, weight_subcarriers=per_weight, weight_form="layer"))[2:]
        assert 84 < llrc < 89 and 87 < deqc < 93
    few_large = Load(2, 32, 4, 4, qam_bits=6, weight_subcarriers=4, weight_form="layer")
    assert shares(few_large)[3] > 100
    antenna, layer = (cost.flops("iqc", Load(4, 16, 8, 2, weight_form=form)).total for form in ("antenna", "layer"))
    assert layer < 0.75 * antenna


def test_a_radio_forwards_no_more_streams_than_there_are_layers() -> None:
    assert cost.load_of(PRESETS["cell_edge"]).streams == 2
    assert cost.load_of(PRESETS["post"]) == Load(4, 16, 8, 2, weight_subcarriers=7)
