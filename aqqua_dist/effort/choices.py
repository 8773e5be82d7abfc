"""Which rule of `aqqua_dist.effort.rules` an instrument takes: the defaults, the user's file, and what to ask for."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.effort import rules

PARTS = ("add", "pool")


@dataclass(frozen=True)
class Choice:
    """How the volume of one instrument's samples is found.

    Attributes
    ----------
    rule : str
        Name of a rule, `aqqua_dist.effort.rules.rules`.
    parts : {'add', 'pool'}
        What several acquisitions of one sample are: ``add`` size fractions,
        whose concentrations add; ``pool`` repeats, whose counts and volumes
        add.
    rel_sd : float, optional
        Relative uncertainty (1 sd) of the volumes.
    units, constants : dict
        As for `aqqua_dist.effort.rules.volume`.
    fill : dict
        Values for empty cells of a column, each use of which is recorded.
    images : str
        Table of all images (``sample_id, image_id, depth`` in m; CSV, TSV or
        Parquet), for casts whose depth bins have their volume from the
        number of images.
    image_volume : float, optional
        Volume of one image, L.
    thickness : float
        Of those depth bins, m.
    pixels_per_um : float, optional
        Scale of the images of an IFCB, for its feature files.
    """

    rule: str
    parts: str = ""
    rel_sd: float | None = None
    units: dict = field(default_factory=dict)
    constants: dict = field(default_factory=dict)
    fill: dict = field(default_factory=dict)
    images: str = ""
    image_volume: float | None = None
    thickness: float = 5.0
    pixels_per_um: float | None = None


HOW = {
    "zooscan": "add",
    "zoocam": "sample",
    "scanner": "sample",
    "planktoscope": "pool",
    "flowcam": "pool",
    "ifcb": "pool",
    "cytosense": "pool",
}
"""What several acquisitions of one sample are, by instrument in lower case: size fractions whose concentrations ``add``, repeats to
``pool``, or images of one ``sample`` whose metadata repeat its volume (PSSdb's sheets, 21d24d6; ecotaxatoolbox, 2d8c8b4)."""
DEFAULTS = {
    "ZooScan": Choice("zooscan", "add"),
    "ZooCAM": Choice("zoocam"),
    "PlanktoScope": Choice("planktoscope", "pool"),
}
"""Instruments with one settled rule for EcoTaxa's columns; IFCB bins take theirs by generation."""
GENERATIONS = {"new": Choice("ifcb", "pool"), "old": Choice("ifcb-old", "pool")}
_FRAMES = (
    "the volume of one frame and the number of frames are needed: a column 'n_frames' (frames without an object too) or a table of all "
    "images, and '{name}: {{rule: {rule}, images: images.csv, image_volume: LITRES}}'"
)
QUESTIONS = {
    "UVP": "its images must be counted: ingest the EcoPart export with it, or list all images (sample_id, image_id, depth) in a table and "
    "write 'UVP: {{rule: uvp, images: images.csv, image_volume: LITRES}}'",
    "IFCB": "the times of its bins are needed: ingest their .hdr and .adc files with it",
    "FlowCam": "three formulas are in use: '{name}: {{rule: flowcam-pssdb, parts: pool}}' needs acq_fluid_volume_imaged, "
    "sample_comment_or_volume, sample_volconc, process_nb_images and acq_raw_image_total; flowcam-ecotaxatoolbox and "
    "flowcam-ecotaxatools need others",
    "ISIIS": "builds differ: '{name}: {{rule: isiis, constants: {{frame_volume: LITRES}}}}' with a column 'n_frames', rule line-scan with "
    "fov_height, depth_of_field and distance, or isiis-stingray (2.318 L) for that vehicle alone",
    "Plankton Imager": "its flow and its missed particles are needed: columns flow_rate (L min-1), time (min), and hits and misses of the "
    "MISSES file, with '{name}: {{rule: plankton-imager, parts: pool}}'",
    "PISCO": "all images must be counted: '{name}: {{rule: pisco, images: images.csv}}' with a table of all images, or a column 'n_images'",
    "CPICS": _FRAMES.replace("{rule}", "cpics"),
    "LOKI": _FRAMES.replace("{rule}", "loki"),
    "VPR": _FRAMES.replace("{rule}", "vpr"),
    "DSPC": _FRAMES.replace("{rule}", "dspc"),
    "LISST-Holo": _FRAMES.replace("{rule}", "holographic"),
    "Zooglider": _FRAMES.replace("{rule}", "zooglider"),
    "CytoSense": "its files repeat the volume on each object: '{name}: {{rule: given, units: {{volume: uL}}, parts: pool}}' takes "
    "object_analysed_volume, or object_pumped_volume (say their unit)",
}
"""What would give the volume of an instrument without a settled rule: columns, and a line of the effort file."""


def question(instrument):
    """What to ask for where an instrument has no settled rule.

    Parameters
    ----------
    instrument : str
        Its name; empty where nobody tells it.

    Returns
    -------
    str
        Half a sentence: the columns, or the line of the effort file, that
        would give the volume.
    """
    name = next((known for known in QUESTIONS if _is(instrument, known)), None)
    if name is not None:
        return QUESTIONS[name].format(name=instrument)
    shown = instrument or "INSTRUMENT"
    return (
        f"no rule is settled for it: give the volume in a column 'volume' and write '{shown}: {{rule: given, units: {{volume: L}}, parts: "
        f"pool}}' in an effort file, or take one of the rules {', '.join(rules.rules())}"
    )


def choice_of(instrument, choices):
    """The user's choice for an instrument.

    Parameters
    ----------
    instrument : str
        As in the samples, such as ``UVP6`` or ``IFCB013``.
    choices : dict of str to Choice
        By instrument; ``UVP`` holds for UVP5 and UVP6, ``IFCB`` for each of
        them.

    Returns
    -------
    Choice or None
        The exact name goes first.
    """
    names = [instrument, *(name for name in choices if _is(instrument, name))]
    return next((choices[name] for name in names if name in choices), None)


def _is(instrument, name):
    return re.fullmatch(re.escape(name) + r"\d*", str(instrument), re.IGNORECASE) is not None


def read_choices(path):
    """Choices of a user's file.

    Parameters
    ----------
    path : str or os.PathLike
        YAML: instrument to the fields of `Choice`; ``images`` is a path from
        where the file lies.

    Returns
    -------
    dict of str to Choice
        By instrument.

    Raises
    ------
    UserError
        The file cannot be read, or an entry is unknown.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"effort file {str(path)!r} cannot be read ({str(error).splitlines()[0]}).") from None
    if not isinstance(content, dict) or not content:
        raise UserError(
            f"effort file {str(path)!r} holds {type(content).__name__}, needed is an instrument with its rule, as 'FlowCam: {{rule: …}}'."
        )
    return {
        str(instrument): _choice(entry, f"effort file {str(path)!r}, {instrument}", Path(path).parent)
        for instrument, entry in content.items()
    }


def _choice(entry, place, folder):
    allowed = list(Choice.__dataclass_fields__)
    if not isinstance(entry, dict) or "rule" not in entry or set(entry) - set(allowed):
        shown = sorted(map(str, entry)) if isinstance(entry, dict) else entry
        raise UserError(f"{place}: {shown!r} is no choice of a rule; it takes {', '.join(allowed)}, and needs a rule.")
    entry = dict(entry) | ({"images": str(folder / str(entry["images"]))} if entry.get("images") else {})
    choice = Choice(**entry)
    if choice.rule not in rules.rules():
        raise UserError(f"{place}: rule {choice.rule!r} is unknown; there are {', '.join(rules.rules())}.")
    if choice.parts not in ("", *PARTS):
        raise UserError(f"{place}: parts {choice.parts!r} is none of {PARTS}.")
    for name in ("units", "constants", "fill"):
        if not isinstance(getattr(choice, name), dict):
            raise UserError(f"{place}: {name} {getattr(choice, name)!r} is no mapping of a column to its value.")
    for name in ("image_volume", "thickness", "pixels_per_um"):
        value = getattr(choice, name)
        if value is not None and not (
            isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < np.inf
        ):
            raise UserError(f"{place}: {name} {value!r} is not a number above 0.")
    return choice
