"""A small plan with four radios and some users, for the tests of what moves."""

from core.dmimo.scenario import RadioConfig, Scenario, Trp, Ue


def hall(users: int = 4, antennas: int = 8, **radio) -> Scenario:
    """Radios in the corners of 40 x 40 m, users about the middle."""
    trps = tuple(Trp(x, y, antennas=antennas) for x, y in ((5, 5), (35, 5), (5, 35), (35, 35)))
    ues = tuple(Ue(12.0 + 5 * (n % 4), 15.0 + 4 * (n // 4)) for n in range(users))
    return Scenario("Hall", 40.0, 40.0, (), trps, ues, RadioConfig(**{"streams_per_trp": 2} | radio))
