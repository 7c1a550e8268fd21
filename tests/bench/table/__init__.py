"""The table benchmark: structure against img2table, the model's parts against each other, labelling against OpenCV, reading, and the speed of TEDS.

headline  (percent; keys are there as far as their pictures and engines are)
  teds_struct, struct100, n               the system on the ruled styles of wiki_rendered
  system_*, open_*                        the system on all of wiki_rendered; on all but the ruled styles
  pubtabnet_*, icdar2013_*                the system on these samples
  mobile_*                                the mobile model on all of wiki_rendered
sections  by key, each with rows
  structure (name, side, n, TEDS-struct, struct100, answered, wrong), structure_wrong, structure_speed (name, side, rival, ...), hybrid, speculative, latency, mobile,
  labelling, labelling_same, ocr, whole, teds_speed
"""

from argparse import Namespace
from collections.abc import Iterator

import cv2

from tests.bench.harness import Section
from tests.bench.table.labelling import labelling_sections
from tests.bench.table.pictures import load_pictures, load_real
from tests.bench.table.reading import reading_sections
from tests.bench.table.scoring import scoring_section
from tests.bench.table.structure import structure_sections


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """Every section in turn, with the headline figures where it yields them; versions gets the rival's."""
    cv2.setNumThreads(1)
    pictures = load_pictures(options.data, options.quick)
    yield from structure_sections([*pictures, *load_real(options.data, options.quick)], options, versions)
    for section in (*labelling_sections(pictures, options.quick), *reading_sections(pictures, options.quick), scoring_section()):
        yield section, None
