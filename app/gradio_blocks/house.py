"""All Gradio widgets on one inner app, built when called: /SLUG is an exhibit's endpoint, /SLUG-WIDGET its own widget."""

from importlib import import_module

import gradio as gr
from fastapi import FastAPI

from app.gradio_blocks import endpoint
from app.gradio_blocks.look import CSS, theme
from app.registry import EXHIBITS, Exhibit


def build(prefix: str) -> FastAPI:
    """The app to be mounted at `prefix`; its lifespan has to be entered, Gradio's queue starts there."""
    inner = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for row in EXHIBITS:
        for name, blocks in _widgets(row):
            gr.mount_gradio_app(
                inner, blocks, path=f"/{name}", root_path=f"{prefix}/{name}", footer_links=[], run_history=False, ssr_mode=False, show_error=False,
                max_file_size=row.max_bytes, theme=theme(), css=CSS, enable_monitoring=False, pwa=False)
    return inner


def _widgets(row: Exhibit):
    yield row.slug, endpoint.build(row)
    if row.blocks:
        yield f"{row.slug}-{row.blocks.rpartition('.')[2]}", import_module(row.blocks).build(row)
