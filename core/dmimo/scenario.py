"""A D-MIMO scenario: a floor plan with walls, radios (TRPs), users (UEs) and radio settings, as frozen values and as a JSON file.

Every value checks itself when it is made, so a `Scenario` in hand is a valid one; `dataclasses.replace` checks again.
"""

import dataclasses
import json
import math
import numbers
import typing
from dataclasses import dataclass

import numpy as np

from core.errors import InputError, LimitError

FORMAT = "vitrine-dmimo-scenario"
VERSION = 1
MOST_BYTES = 1_000_000
MOST_TRPS, MOST_UES, MOST_WALLS = 32, 64, 2000
MOST_METRES = 1000.0
LONGEST_NAME = 80
NEAREST_M = 0.5
"""Least distance on the plan between a TRP and a UE: closer than this no path-loss model holds."""


def _field(low=None, high=None, default=dataclasses.MISSING, choices=(), label="", help=""):
    return dataclasses.field(default=default, metadata=dict(low=low, high=high, choices=tuple(choices), label=label, help=help))


def _metres(default=dataclasses.MISSING):
    return _field(0.0, MOST_METRES, default)


class _Checked:
    """Checks the fields of a dataclass against their metadata and makes plain Python numbers of them."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, _valid(f, hints[f.name], getattr(self, f.name)))


def _valid(f: dataclasses.Field, wanted: type, value):
    """The value as `wanted`. Raises InputError for another kind, a number that is not finite or one out of the field's range."""
    if wanted not in (int, float, str):
        return value
    value = _text(f.name, value) if wanted is str else _number(f.name, wanted, value)
    choices, low, high = f.metadata.get("choices"), f.metadata.get("low"), f.metadata.get("high")
    if choices and value not in choices:
        raise InputError(f"{f.name} is {value!r}; it can be {' or '.join(map(str, choices))}.")
    if (low is not None and value < low) or (high is not None and value > high):
        raise InputError(f"{f.name} is {value:g}; it has to lie between {low:g} and {high:g}.")
    return value


def _number(name: str, wanted: type, value):
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise InputError(f"{name} is {_shown(value)}; it has to be a number.")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise InputError(f"{name} is {found}; it has to be a finite number.")
    if wanted is int and found != int(found):
        raise InputError(f"{name} is {found:g}; it has to be a whole number.")
    return wanted(found)


def _text(name: str, value) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} is {_shown(value)}; it has to be text.")
    if len(value) > LONGEST_NAME or not value.isprintable():
        raise InputError(f"{name} is {_shown(value)}; it has to be printable text of at most {LONGEST_NAME} characters.")
    return value


def _shown(value) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


@dataclass(frozen=True)
class Point(_Checked):
    """A place on the plan, in metres from its lower left corner."""

    x_m: float = _metres()
    y_m: float = _metres()


@dataclass(frozen=True)
class Wall(_Checked):
    """A straight wall from (x0_m, y0_m) to (x1_m, y1_m); every crossing costs loss_db."""

    x0_m: float = _metres()
    y0_m: float = _metres()
    x1_m: float = _metres()
    y1_m: float = _metres()
    loss_db: float = _field(0.0, 100.0, 5.0)


@dataclass(frozen=True)
class Trp(_Checked):
    """A transmission and reception point: where it hangs, its digital antenna ports Nr, and the power it sends (what RSRP is of)."""

    x_m: float = _metres()
    y_m: float = _metres()
    height_m: float = _field(0.5, 50.0, 3.0)
    antennas: int = _field(1, 128, 16)
    power_dbm: float = _field(-30.0, 60.0, 24.0)


@dataclass(frozen=True)
class Ue(_Checked):
    """A user's terminal and how many layers (one antenna each) it sends."""

    x_m: float = _metres()
    y_m: float = _metres()
    height_m: float = _field(0.1, 50.0, 1.5)
    layers: int = _field(1, 8, 1)


@dataclass(frozen=True)
class RadioConfig(_Checked):
    """What the link assumes; letters as in the cost model (Ls streams per TRP, Qm bits per symbol, G subcarriers per weight).

    snr_db           per antenna, at the TRP a UE hears best, after power control
    ue_power_dbm     the most a UE sends; together with noise_figure_db it bounds what power control reaches over a walk
    placement        fixed: UEs where the plan has them; clustered: within cluster_radius_m (one sigma) of a random point; spread: anywhere
    channel          geometric: rays with an angular spread; iid: independent Rayleigh fading at every antenna
    """

    carrier_hz: float = _field(0.5e9, 100e9, 3.5e9, label="Carrier (Hz)")
    prbs: int = _field(1, 275, 273, label="Resource blocks")
    subcarrier_spacing_hz: float = _field(15e3, 240e3, 30e3, (15e3, 30e3, 60e3, 120e3, 240e3), label="Subcarrier spacing (Hz)")
    streams_per_trp: int = _field(1, 128, 2, label="Streams per TRP")
    qam_bits: int = _field(2, 8, 6, (2, 4, 6, 8), label="Bits per QAM symbol")
    iq_bits: int = _field(2, 16, 9, label="Bits per IQ component")
    stream_bits: int = _field(2, 16, 12, label="Bits per stream component")
    llr_bits: int = _field(1, 16, 3, label="Bits per LLR")
    dmrs_symbols: int = _field(1, 4, 2, label="DMRS symbols per slot")
    weight_subcarriers: int = _field(1, 3300, 6, label="Subcarriers per weight")
    weight_form: str = _field(default="antenna", choices=("antenna", "layer"), label="MMSE form")
    angular_spread_deg: float = _field(0.0, 180.0, 2.0, label="Angular spread (degrees)")
    rays: int = _field(1, 200, 12, label="Rays per link")
    cluster_radius_m: float = _field(0.0, 100.0, 1.0, label="Cluster radius (m)")
    snr_db: float = _field(-30.0, 60.0, 20.0, label="Reference SNR (dB)")
    ue_power_dbm: float = _field(-40.0, 40.0, 23.0, label="Largest UE power (dBm)")
    noise_figure_db: float = _field(0.0, 20.0, 5.0, label="Noise figure of a TRP (dB)")
    placement: str = _field(default="fixed", choices=("fixed", "clustered", "spread"), label="Where the users are")
    channel: str = _field(default="geometric", choices=("geometric", "iid"), label="Small-scale fading")


@dataclass(frozen=True)
class Scenario(_Checked):
    """A plan of width_m x depth_m with its walls, TRPs (M), UEs and radio settings.

    Raises InputError in a sentence: no TRP, no UE, something outside the plan, a TRP within 0.5 m of a UE, more layers than antennas,
    TRPs of unlike size, more streams than a TRP has antennas; LimitError for more TRPs, UEs or walls than the stated limits.
    """

    name: str
    width_m: float = _field(1.0, MOST_METRES)
    depth_m: float = _field(1.0, MOST_METRES)
    walls: tuple[Wall, ...] = ()
    trps: tuple[Trp, ...] = ()
    ues: tuple[Ue, ...] = ()
    radio: RadioConfig = RadioConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, kind, most in (("walls", Wall, MOST_WALLS), ("trps", Trp, MOST_TRPS), ("ues", Ue, MOST_UES)):
            object.__setattr__(self, name, _row(name, kind, getattr(self, name), most))
        if not isinstance(self.radio, RadioConfig):
            raise InputError(f"radio is {_shown(self.radio)}; it has to be the radio settings.")
        _check_plan(self)
        _check_antennas(self)

    @property
    def antennas(self) -> int:
        """Nr: antenna ports of one TRP."""
        return self.trps[0].antennas

    @property
    def layers(self) -> int:
        """L: layers of all UEs together."""
        return sum(ue.layers for ue in self.ues)

    @property
    def trp_xyz_m(self) -> np.ndarray:
        """Places of the TRPs, float64[M, 3]."""
        return np.array([(t.x_m, t.y_m, t.height_m) for t in self.trps], float)

    @property
    def ue_xyz_m(self) -> np.ndarray:
        """Places of the UEs, float64[UEs, 3]."""
        return np.array([(u.x_m, u.y_m, u.height_m) for u in self.ues], float)

    @property
    def wall_lines(self) -> np.ndarray:
        """Walls as float64[walls, 5]: x0, y0, x1, y1 in metres, loss in dB."""
        return np.array([dataclasses.astuple(w) for w in self.walls], float).reshape(-1, 5)


def _row(name: str, kind: type, values, most: int) -> tuple:
    try:
        row = tuple(values)
    except TypeError:
        raise InputError(f"{name} is {_shown(values)}; it has to be a list.") from None
    if len(row) > most:
        raise LimitError(f"The scenario has {len(row)} {name}, more than the {most} that can be worked on. Take some out.")
    if not all(isinstance(value, kind) for value in row):
        raise InputError(f"{name} holds something that is no {kind.__name__}.")
    return row


def _check_plan(s: Scenario) -> None:
    if not s.trps:
        raise InputError("The scenario has no TRP, so nothing receives. Put at least one radio on the plan.")
    if not s.ues:
        raise InputError("The scenario has no UE, so nothing is sent. Put at least one user on the plan.")
    ends = [(f"{what} {n}", p.x_m, p.y_m) for what, row in (("TRP", s.trps), ("UE", s.ues)) for n, p in enumerate(row, 1)]
    for n, wall in enumerate(s.walls, 1):
        if (wall.x0_m, wall.y0_m) == (wall.x1_m, wall.y1_m):
            raise InputError(f"Wall {n} begins and ends at the same point. Give it a length or take it out.")
        ends += [(f"Wall {n}", wall.x0_m, wall.y0_m), (f"Wall {n}", wall.x1_m, wall.y1_m)]
    for what, x_m, y_m in ends:
        if x_m > s.width_m or y_m > s.depth_m:
            raise InputError(f"{what} is at ({x_m:g}, {y_m:g}) m, outside the plan of {s.width_m:g} x {s.depth_m:g} m. Move it inside or enlarge the plan.")
    _check_nearness(s)


def _check_nearness(s: Scenario) -> None:
    away = np.linalg.norm(s.trp_xyz_m[:, None, :2] - s.ue_xyz_m[None, :, :2], axis=2)
    if (away < NEAREST_M).any():
        trp, ue = np.unravel_index(np.argmin(away), away.shape)
        raise InputError(f"TRP {trp + 1} stands on top of UE {ue + 1} ({away[trp, ue]:.2f} m apart on the plan); "
                         f"the path-loss model needs {NEAREST_M:g} m at least. Move one of them.")


def _check_antennas(s: Scenario) -> None:
    if len({trp.antennas for trp in s.trps}) > 1:
        raise InputError(f"The TRPs have {sorted({trp.antennas for trp in s.trps})} antennas; fronthaul and compute are counted for radios of one size. "
                         "Give all of them the same number.")
    total = len(s.trps) * s.antennas
    if s.layers > total:
        raise InputError(f"The UEs send {s.layers} layers, more than the {total} antennas of all TRPs together can tell apart. Take out UEs or add antennas.")
    if s.radio.streams_per_trp > s.antennas:
        raise InputError(f"streams_per_trp is {s.radio.streams_per_trp}, more than the {s.antennas} antennas of a TRP. Lower it.")


def to_json(scenario: Scenario) -> str:
    """The scenario as the text of a file that `from_json` reads back to an equal scenario."""
    return json.dumps({"format": FORMAT, "version": VERSION, **dataclasses.asdict(scenario)}, indent=1) + "\n"


def from_json(data: bytes | str) -> Scenario:
    """The scenario in the bytes or text of a file; missing keys take their defaults.

    Raises InputError (no JSON, another format or version, unknown or doubled keys, a value that is not valid), LimitError (over 1 MB).
    """
    values = _parse(data)
    if values.pop("format", FORMAT) != FORMAT:
        raise InputError("This JSON file is not a D-MIMO scenario (its format field says otherwise). Bring a scenario.json that the studio wrote.")
    version = values.pop("version", None)
    if version != VERSION or isinstance(version, bool):
        raise InputError(f"This scenario has version {_shown(version)}; version {VERSION} can be read. Write the file again with this studio.")
    for name, kind in (("walls", Wall), ("trps", Trp), ("ues", Ue)):
        if isinstance(values.get(name), list):
            most = {"walls": MOST_WALLS, "trps": MOST_TRPS, "ues": MOST_UES}[name]
            short = values[name][:most + 1]  # one too many is enough for the sentence that refuses it
            label = {"walls": "Wall", "trps": "TRP", "ues": "UE"}[name]
            values[name] = [_build(kind, item, f"{label} {n}") for n, item in enumerate(short, 1)]
    if "radio" in values:
        values["radio"] = _build(RadioConfig, values["radio"], "The radio settings")
    return _build(Scenario, values, "The scenario", prefix=False)


def _parse(data: bytes | str) -> dict:
    size = len(data)
    if size > MOST_BYTES:
        raise LimitError(f"This file has {size / 1e6:.1f} MB; a scenario has at most {MOST_BYTES / 1e6:g} MB. Bring a scenario.json that the studio wrote.")
    try:
        values = json.loads(data.decode("utf-8-sig") if isinstance(data, bytes) else data, object_pairs_hook=_once)
    except InputError:
        raise
    except (ValueError, RecursionError) as wrong:
        where = f" (line {wrong.lineno}: {wrong.msg})" if isinstance(wrong, json.JSONDecodeError) else ""
        raise InputError(f"This file is not readable as JSON{where}. Bring a scenario.json that the studio wrote.") from None
    if not isinstance(values, dict):
        raise InputError("This JSON file holds no scenario: it has to be an object with name, width_m, depth_m, trps and ues.")
    return values


def _once(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InputError("This JSON file has the same key twice in one place, so what it says is not certain. Keep one of them.")
    return found


def _build(kind: type, values, where: str, prefix: bool = True):
    """An instance of a dataclass from a JSON object; a sentence that names `where` for what is wrong with it."""
    if not isinstance(values, dict):
        raise InputError(f"{where} is {_shown(values)}; it has to be an object.")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = [name for name in values if name not in fields]
    if unknown:
        raise InputError(f"{where} has an unknown key {_shown(unknown[0])}. Known are: {', '.join(fields)}.")
    missing = [n for n, f in fields.items() if f.default is dataclasses.MISSING and n not in values]
    if missing:
        raise InputError(f"{where} has no {missing[0]}. Add it.")
    try:
        return kind(**values)
    except LimitError:
        raise
    except InputError as wrong:
        raise InputError(f"{where}: {wrong}" if prefix else str(wrong)) from None
