"""Write ``environmental_layers/README.md`` from the catalogue.

Usage: ``python environmental_layers/make_readme.py``
"""

from pathlib import Path

from aqqua_dist.environment.catalogue import catalogue_readme

if __name__ == "__main__":
    target = Path(__file__).resolve().parent / "README.md"
    target.write_text(catalogue_readme(), encoding="utf-8")
    print(f"{target.name}: {target.stat().st_size} bytes")
