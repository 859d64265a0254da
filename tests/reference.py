"""The worked numbers of the sources, with their settings and tolerances."""

import json
from pathlib import Path
from typing import Any

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parent / "reference.json").read_text(encoding="utf-8")
)
