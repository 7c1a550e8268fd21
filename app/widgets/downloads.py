"""Download buttons for a run's files, and everything at once as a zip."""

import io
import zipfile
from collections.abc import Mapping, Sequence

import streamlit as st

from app.pieces import small

MIME = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "csv": "text/csv", "html": "text/html", "md": "text/markdown",
    "json": "application/json", "txt": "text/plain", "zip": "application/zip", "png": "image/png",
}
STILL = (1980, 1, 1, 0, 0, 0)


def download(label: str, name: str, data: bytes, key: str, icon: str | None = None, kind: str = "secondary") -> None:
    """One file as a button that does not rerun the page."""
    st.download_button(label, data, name, MIME.get(name.rpartition(".")[2], "application/octet-stream"), key=key, on_click="ignore", icon=icon, type=kind)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """All files in one archive, the same bytes for the same files."""
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, STILL)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    return box.getvalue()


def download_row(words: str, files: Mapping[str, bytes], wanted: Sequence[tuple[str, str]], key: str) -> None:
    """A row of buttons behind its words: (label, file name) for each file that is there."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        small(words, width="content")
        for label, name in wanted:
            if name in files:
                download(label, name, files[name], f"{key}:{name}")
