"""Twenty visitors at once on the real server: everybody is served, nobody sees another's upload, memory stays bounded. Time is printed, not judged."""

import asyncio
import io
import sys

import pytest
from PIL import Image

from tests.app.ws_client import Visitor, Crowd, measure_home_reruns

VISITORS = 20
ROUNDS = 10
MB = 1_000_000


def picture(n: int) -> bytes:
    """A picture of this visitor's own: one cell, in a grey that is nobody else's."""
    canvas = Image.new("RGB", (240, 160), (255, 255, 255))
    canvas.paste((n, n, n), (20, 20, 220, 140))
    out = io.BytesIO()
    canvas.save(out, "PNG")
    return out.getvalue()


def test_everybody_is_served_at_once(studio, capsys):
    measured = measure_home_reruns(studio.url, VISITORS)
    with capsys.disabled():
        print(f"\n  home page, {VISITORS} sessions at once: opened in {measured['first_seconds']:.2f} s, run again in {measured['rerun_seconds']:.2f} s "
              f"(median of {len(measured['rerun_rounds'])} rounds)")
    assert measured["failed"] == [] and measured["sessions"] == VISITORS


async def worked_off(visitor):
    """The visitor's History once it lists a run (an upload starts a job, and the line is long)."""
    async with asyncio.timeout(120):
        while True:
            await visitor.run("table")
            history = await visitor.run("history")
            if history.shows("belongsto"):
                return history
            await asyncio.sleep(0.5)


def test_nobody_sees_anothers_upload(studio):
    async def everybody() -> list:
        async with Crowd(studio.url, VISITORS) as visitors:
            assert len({v.cookies["vitrine_visitor"] for v in visitors}) == VISITORS
            first = await asyncio.gather(*(v.run("table") for v in visitors))
            assert len({v.session_id for v in visitors}) == VISITORS
            done = await asyncio.gather(*(v.upload(run.elements("file_uploader")[0], f"belongsto{n:02}.png", picture(n))
                                          for n, (v, run) in enumerate(zip(visitors, first, strict=True))))
            assert set(done) == {204}
            with_upload = await asyncio.gather(*(v.run("table") for v in visitors))
            again = await asyncio.gather(*(v.run("table") for v in visitors))
            return [with_upload, again, await asyncio.gather(*(worked_off(v) for v in visitors))]

    with_upload, again, histories = asyncio.run(everybody())
    for mine in range(VISITORS):
        for run in (with_upload[mine], again[mine]):
            assert run.ok, run.exceptions
            assert [n for n in range(VISITORS) if run.shows(f"belongsto{n:02}")] == [mine]
        assert histories[mine].ok
        assert [n for n in range(VISITORS) if histories[mine].shows(f"belongsto{n:02}")] == [mine]


def test_an_upload_needs_the_session_it_is_for(studio):
    async def two() -> list[int]:
        async with Visitor(studio.url) as ann, Visitor(studio.url) as bob:
            await asyncio.gather(ann.run("table"), bob.run("table"))
            path = f"/_stcore/upload_file/{ann.session_id}/0b1c"
            return [await asyncio.to_thread(bob.put, path, "x.png", b"x", {"X-Xsrftoken": "2|forged"}),
                    await asyncio.to_thread(bob.put, "/_stcore/upload_file/nobody/0b1c", "x.png", b"x")]

    forged, nobody = asyncio.run(two())
    assert forged == 403 and nobody in (400, 403)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_bounded(studio, capsys):
    async def rounds(many: int) -> None:
        async with Crowd(studio.url, VISITORS) as visitors:
            for _ in range(many):
                runs = await asyncio.gather(*(v.run(page) for v, page in zip(visitors, ["", "table"] * VISITORS, strict=False)))
                assert all(run.ok for run in runs)

    asyncio.run(rounds(2))
    before = studio.resident_bytes()
    asyncio.run(rounds(ROUNDS))
    grown = studio.resident_bytes() - before
    with capsys.disabled():
        print(f"\n  server memory: {before / MB:.0f} MB after 20 sessions, {grown / MB:+.0f} MB after 20 more sessions with {ROUNDS * VISITORS} page runs")
    # 20 more sessions linger for a minute after they closed; a page run that kept its messages would add more than this.
    assert grown < 100 * MB
