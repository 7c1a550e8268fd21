"""The table benchmark: structure against img2table, labelling against OpenCV, reading, and the speed of TEDS."""

from argparse import Namespace
from collections.abc import Iterator

import cv2

from tests.bench.harness import Section
from tests.bench.table.labelling import labelling_sections
from tests.bench.table.pictures import load_pictures
from tests.bench.table.reading import reading_sections
from tests.bench.table.scoring import scoring_section
from tests.bench.table.structure import structure_sections


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Every section in turn, with the headline figures where it yields them; versions gets the rival's."""
    cv2.setNumThreads(1)
    pictures = load_pictures(options.data, options.quick)
    yield from structure_sections(pictures, options, versions)
    for section in (*labelling_sections(pictures, options.quick), *reading_sections(pictures, options.quick), scoring_section()):
        yield section, None
