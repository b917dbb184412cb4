"""Whether the built-in model is installed here."""

from __future__ import annotations

import importlib.util

import pytest

from chat.local_model import MODEL_FILE

HERE = MODEL_FILE.is_file() and importlib.util.find_spec("xllamacpp") is not None
needs_model = pytest.mark.skipif(not HERE, reason="the built-in model's packages are not installed (./run.py setup)")
