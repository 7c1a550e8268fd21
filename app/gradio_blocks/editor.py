"""Crop, turn or straighten a picture before it is recognised, then hand it to the page that opened the editor."""

import io

import gradio as gr
import numpy as np
from PIL import Image

from app.gradio_blocks import handover
from app.guard import COOKIE
from app.registry import Exhibit
from core.errors import VitrineError
from core.exhibit import Source
from core.io.pictures import read_picture

LONGEST_SIDE = 2000
CANVAS = (640, 420)
WHITE = (255, 255, 255)
# Gradio 6.31's editor sends the picture as it was loaded unless something was drawn on it: a crop alone does not count. This says that something changed.
NOTICE = "() => { window.editor?.notify?.('change'); }"


def build(exhibit: Exhibit) -> gr.Blocks:
    """The editor of one exhibit; the page passes ?sid=NAME and takes the picture from app.gradio_blocks.handover."""
    with gr.Blocks(title=f"Crop or rotate: {exhibit.name}", analytics_enabled=False, delete_cache=(600, 600)) as blocks:
        gr.Markdown("# Crop or rotate", elem_classes="sr-only")
        # Without brush and eraser Gradio 6.31's front end fails and shows no crop tool; a white brush covers what does not belong to the table.
        editor = gr.ImageEditor(
            label="Picture", type="pil", image_mode="RGB", format="png", sources=("upload", "clipboard"), transforms=("crop",), interactive=True,
            brush=gr.Brush(colors=["#FFFFFF"], default_color="#FFFFFF", color_mode="fixed"), layers=False, canvas_size=CANVAS, height=420, buttons=[])
        with gr.Row(equal_height=True):
            left, right = gr.Button("Turn left", min_width=90), gr.Button("Turn right", min_width=90)
            angle = gr.Slider(-10, 10, value=0, step=0.1, label="Straighten, degrees clockwise", buttons=[], scale=3, min_width=220)
            use = gr.Button("Use this picture", variant="primary", scale=2, min_width=160)
        said = gr.Markdown()
        quick = dict(queue=False, show_progress="hidden", api_visibility="private")
        blocks.load(_opening, None, [editor, said], **quick)
        left.click(None, js=NOTICE, **quick).then(lambda value: _turned(value, 90), editor, editor, **quick)
        right.click(None, js=NOTICE, **quick).then(lambda value: _turned(value, -90), editor, editor, **quick)
        use.click(None, js=NOTICE, **quick).then(_send, [editor, angle], said, **quick)
    return blocks


def _opening(request: gr.Request):
    """The picture the page offered, at most 2000 pixels long."""
    data = handover.offered(request.query_params.get("sid", ""))
    if data is None:
        return None, "Drop a picture above."
    try:
        picture = Image.fromarray(read_picture(Source("picture", data), shrink=True).rgb)
    except VitrineError as error:
        return None, str(error)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return picture, ""


def _turned(value: dict | None, degrees: int):
    picture = _picture(value)
    return picture and picture.transpose(Image.Transpose.ROTATE_90 if degrees == 90 else Image.Transpose.ROTATE_270)


def _send(value: dict | None, angle: float, request: gr.Request) -> str:
    """Hand the picture over, turned by `angle` degrees clockwise."""
    picture, sid = _picture(value), request.query_params.get("sid", "")
    if picture is None:
        return "There is no picture yet: drop one above."
    if not sid:
        return "This editor was not opened from an exhibit's page, so there is nowhere to send the picture. Open it there."
    if angle:
        picture = picture.rotate(-angle, Image.Resampling.BICUBIC, expand=True, fillcolor=WHITE)
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    try:
        handover.put(sid, out.getvalue(), request.cookies.get(COOKIE, ""))
    except VitrineError as error:
        return str(error)
    return f"Sent, {picture.width} x {picture.height} pixels."


def _picture(value: dict | None) -> Image.Image | None:
    """What the editor shows, on white."""
    shown = value and (value.get("composite") or value.get("background"))
    if shown is None or not np.asarray(shown).size:
        return None
    return shown.convert("RGB")
