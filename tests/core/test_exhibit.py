"""What every exhibit hands to the studio: names of sources made safe."""

from core.exhibit import Source, stems


def test_stems_are_safe_and_unique():
    names = ["a.png", "A.jpg", "x/../../a.pdf", "..", "", "C:\\scan 1.tiff", "tab\u0000le?.png", "Übersicht.PNG", ".png", "n" * 300 + ".png"]
    found = stems([Source(n, b"") for n in names])
    assert found[:3] == ["a", "A-2", "a-3"] and found[5:8] == ["scan 1", "tab_le_", "Übersicht"]
    assert len({s.casefold() for s in found}) == len(names)
    assert all(s and not set(s) & set('/\\:*?"<>|\0') and s[0] != "." and len(s) < 90 for s in found)
