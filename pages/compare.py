"""Compare: two saved runs of one exhibit side by side."""

import streamlit as st

from app import shell
from app.widgets.compare import compare_two

shell.plain_header("Studio · Compare", "Two runs, side by side", "Choose two runs of one exhibit: another picture, another reader, another day.")
compare_two(st.query_params.get("a"), st.query_params.get("b"))
