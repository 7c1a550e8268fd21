"""Ways to spoil a clean recording in one click: a street, a hall, babble, an old telephone, each a recipe with recordings that come with the studio."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from core.errors import EngineError
from core.speech import noises, rooms
from core.speech.degrade import Recipe, Sources

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "samples" / "speech"
AS_IT_IS = "as it is"
HALL = rooms.Room(size_m=(22.0, 14.0, 8.0), rt60_s=1.6, distance_m=6.0, seed=3)
PRESETS: dict[str, Callable[[float, int], Recipe]] = {
    "street": lambda snr_db, seed: Recipe("street", snr_db, seed=seed),
    "babble": lambda snr_db, seed: Recipe("crowd", snr_db, seed=seed),
    "hall": lambda snr_db, seed: Recipe("pink", snr_db + 15, HALL, seed=seed),
    "tunnel": lambda snr_db, seed: Recipe("", room="tunnel", seed=seed),
    "telephone": lambda snr_db, seed: Recipe("white", snr_db + 10, clip_db=8.0, band_hz=(300.0, 3400.0), seed=seed),
}
WORDS = {
    "street": "a recorded street (CC BY, gezortenplotz), kept out of training", "babble": "eight voices at once, mixed from recordings",
    "hall": "a simulated hall of 22 × 14 × 8 m with 1.6 s of reverberation and faint pink noise", "tunnel": "the measured response of a railway tunnel (OpenAIR), kept out of training",
    "telephone": "simulated: 300 to 3,400 Hz, clipped, white noise",
}


@lru_cache
def sources() -> Sources:
    """The recordings that the presets name. Raises EngineError where a file is missing."""
    try:
        return Sources({"street": noises.read(FOLDER / "street.ogg"), "crowd": noises.read(FOLDER / "babble.ogg")}, {"tunnel": rooms.measured(FOLDER / "tunnel.flac")})
    except (OSError, RuntimeError) as error:
        raise EngineError("A recording of the speech presets is missing or broken in assets/samples/speech. Restore the folder from the repository.") from error
