"""History: this browser's runs, newest first, each with its link; keep, compare or delete them."""

import streamlit as st

from app import history, shell

shell.plain_header("Studio · History", "What this browser has run", "A run is deleted after you have left, unless you keep it. A kept run opens from its link at any time.")
history.draw()
