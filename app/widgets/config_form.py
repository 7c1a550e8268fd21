"""A form from a config dataclass: one control per shown field, chosen by its type, range and choices."""

import dataclasses
import typing

import streamlit as st

WORDS = {"rapidocr": "RapidOCR", "tesseract": "Tesseract", "none": "None", "auto": "Automatic", "regions": "Regions", "scene": "As drawn", "antenna": "Antennas", "layer": "Layers", "model": "Model", "full": "Full",
         "mobile": "Mobile", "avx512": "AVX-512", "avx2": "AVX2", "scalar": "Plain", "rules": "Rules", "quick": "Quick", "normal": "Normal", "thorough": "Thorough", "inside": "Inside", "blob": "Beside",
         "as it is": "As it is", "street": "Street", "babble": "Babble", "hall": "Hall", "tunnel": "Tunnel", "telephone": "Telephone"}


def config_form(config_class: type, key: str, remembered: dict[str, object]) -> dict[str, object]:
    """Draw the shown fields of a config; returns {field name: value}. `remembered` keeps the values across page switches and is updated."""
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        if field.metadata.get("shown"):
            remembered[field.name] = _control(field, hints[field.name], f"{key}:{field.name}", remembered.get(field.name, field.default))
    return remembered


def _control(field: dataclasses.Field, kind: type, key: str, value):
    meta = field.metadata
    label, about = meta["label"], meta["help"] or None
    if meta["choices"]:
        return st.segmented_control(label, meta["choices"], default=value, required=True, format_func=lambda v: WORDS.get(v, str(v)), key=key, help=about)
    if kind is bool:
        return st.toggle(label, value=value, key=key, help=about)
    if kind in (int, float) and meta["low"] is not None and meta["high"] is not None and meta["high"] <= 1000:
        return st.slider(label, meta["low"], meta["high"], value, key=key, help=about)
    if kind in (int, float):
        return st.number_input(label, meta["low"], meta["high"], value, key=key, help=about)
    return st.text_input(label, value, key=key, help=about)
