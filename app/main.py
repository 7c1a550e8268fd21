"""Entry of the Streamlit app: page settings, navigation from the registry, then the chosen page."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app import shell  # noqa: E402  (the path above has to come first)

shell.open_house()
