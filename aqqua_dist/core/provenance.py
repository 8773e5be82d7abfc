"""Where a file comes from: recipe, hashes, seeds, versions; and content keys."""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from aqqua_dist import __version__
from aqqua_dist.core.errors import UserError

_REPORTED = (
    "numpy",
    "pandas",
    "xarray",
    "scikit-learn",
    "xgboost-cpu",
    "xgboost",
    "scipy",
    "netCDF4",
    "pyarrow",
)
_PACKAGE = Path(__file__).resolve().parent.parent
_BESIDE = ("environmental_layers", "models", "figures")


@dataclass(frozen=True)
class Provenance:
    """Origin of a file, embedded in it.

    Attributes
    ----------
    study, stage : str
        Recipe's name and the stage that wrote the file.
    key : str
        Content key of the work.
    recipe_text, recipe_sha256 : str
        The recipe and its hash.
    inputs : dict of str to str
        SHA-256 or content key of each input.
    seeds : dict of str to int
        Random seeds.
    software : dict of str to str
        Versions.
    references : list of str
        DOIs.
    created : str
        ISO 8601 time in UTC.
    """

    study: str
    stage: str
    key: str
    recipe_text: str = ""
    recipe_sha256: str = ""
    inputs: dict = field(default_factory=dict)
    seeds: dict = field(default_factory=dict)
    software: dict = field(default_factory=dict)
    references: list = field(default_factory=list)
    created: str = ""

    def to_json(self):
        """Text that `from_json` reads.

        Returns
        -------
        str
            JSON with sorted keys.
        """
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """Provenance from the text of `to_json`.

        Parameters
        ----------
        text : str
            JSON.

        Returns
        -------
        Provenance
            The same record.
        """
        return cls(**json.loads(text))


@lru_cache(maxsize=1)
def software_versions():
    """Versions of Python, of this package and of the libraries that compute.

    Returns
    -------
    dict of str to str
        Distribution name to version.
    """
    found = {"python": platform.python_version(), "aqqua-dist": __version__}
    for name in _REPORTED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def code_hash():
    """Hash over the code of this package; computed once per process.

    Returns
    -------
    str
        SHA-256 of the names and bytes of its ``*.py`` files. What ships
        beside the package (recipes, catalogue, figure scripts) is not in it.
    """
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py"), key=lambda p: p.relative_to(_PACKAGE).as_posix()):
        name = path.relative_to(_PACKAGE).as_posix()
        if name.partition("/")[0] in _BESIDE:
            continue
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def created_now():
    """Present time.

    Returns
    -------
    str
        ISO 8601 in UTC, whole seconds.
    """
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sha256_file(path):
    """Hash of a file.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"file {str(path)!r} cannot be read: {error.strerror}.") from None
    return digest.hexdigest()


def content_key(**parts):
    """Hash of what some work depends on.

    Parameters
    ----------
    **parts : object
        Anything that JSON can hold; tuples count as lists, the order of
        names does not matter.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    try:
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"content key of {sorted(parts)} cannot be made: {error}; allowed is what JSON holds."
        ) from None
    return hashlib.sha256(text.encode()).hexdigest()[:32]
