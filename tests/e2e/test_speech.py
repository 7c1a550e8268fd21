"""Speech as a visitor meets it: the arrival sample plays in step with the other tools, its measures are there, the restored file is taken home."""

import io

import soundfile

from tests.e2e.pages import settled


MEETING = """() => {
    const notes = [...document.querySelectorAll('.annotation-text')].map(note => [note.textContent, note.getBoundingClientRect()]);
    return notes.flatMap(([one, a], n) => notes.slice(n + 1).filter(([, b]) => a.left < b.right && b.left < a.right && a.top < b.bottom - 2 && b.top < a.bottom - 2)
        .map(([other]) => [one, other]));
}"""
"""Pairs of words in the chart that stand on each other."""


def test_takes_play_in_step_and_the_file_is_taken_home(studio, visit):
    page = visit()
    page.set_default_timeout(180_000)
    page.goto(f"{studio.url}/speech")
    page.get_by_role("heading", name="of sound").wait_for()
    settled(page)
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(700)
    page.get_by_role("radio", name="As it was").click()
    page.get_by_text("You hear: As it was").wait_for()
    page.get_by_role("button", name="Pause").click()
    with page.expect_download() as coming:
        page.get_by_role("button", name="WAV, 48 kHz").click()
    samples, rate_hz = soundfile.read(io.BytesIO(open(coming.value.path(), "rb").read()))
    assert rate_hz == 48_000 and 9 < len(samples) / rate_hz < 10
    page.get_by_test_id("stMain").get_by_text("Measures", exact=True).first.click()
    page.get_by_text("Each line runs from the worst").wait_for()
    for width in (1440, 420):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("() => document.querySelectorAll('.annotation-text').length > 10")
        settled(page)
        assert page.evaluate(MEETING) == [], width
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_test_id("stMain").get_by_text("Latent", exact=True).first.click()
    page.get_by_text("48,000 numbers a second, as many as samples").wait_for()
    page.get_by_test_id("stMain").get_by_text("Random start", exact=True).first.click()
    page.get_by_text("Starts from random weights").wait_for()
    page.get_by_test_id("stMain").get_by_text("Diffusion", exact=True).first.click()
    page.get_by_text("t = 0.00").wait_for()
