"""Writes docs/dictionary.md."""

from pathlib import Path

from aqqua_dist.core.vocabulary import dictionary_page

Path(__file__).with_name("dictionary.md").write_text(dictionary_page(), encoding="utf-8")
