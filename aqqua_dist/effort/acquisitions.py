"""Tables of acquisitions made from what an instrument logs: all its images, or the triggers of a syringe.

They are the input of `aqqua_dist.effort.rules`; objects play no part in them.
"""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError


def image_bins(images, *, thickness=5.0, offset=0.0):
    """Number of images in each depth bin of each cast, from a list of all images.

    A bin is floor((depth + offset) / thickness), as EcoPart does it; depths
    above the surface fall into the first bin. Images without any object are
    images: a list of the images that hold one is not enough.

    Parameters
    ----------
    images : pandas.DataFrame
        Columns ``sample_id, image_id, depth`` (m, positive down); an image
        that stands more than once counts once.
    thickness : float
        Of a bin, m.
    offset : float
        Added to the depth, m.

    Returns
    -------
    pandas.DataFrame
        ``sample_id, depth_top, depth_bottom`` (m), ``n_images``.

    Raises
    ------
    UserError
        A column or a depth is missing, the table is one of objects, or the
        thickness is not above 0.
    """
    if not thickness > 0:
        raise UserError(f"thickness {thickness!r} of the depth bins is not above 0 m.")
    if "object_id" in images:
        raise UserError(
            f"image_bins: the {len(images)} rows have an 'object_id', so they are objects; images without any count too."
        )
    for name in ("sample_id", "image_id", "depth"):
        if name not in images:
            raise UserError(f"image_bins: column {name!r} is missing, the table has {list(images.columns)[:30]}.")
        for row in np.flatnonzero(images[name].isna()):
            raise UserError(f"image_bins, column {name!r}, row {row + 2}: the cell is empty; every image needs one.")
    once = images.drop_duplicates(["sample_id", "image_id"])
    depth = pd.to_numeric(once["depth"], errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(depth).all():
        row = int(np.flatnonzero(~np.isfinite(depth))[0])
        raise UserError(
            f"image_bins, column 'depth', image {str(once['image_id'].iloc[row])!r}: {str(once['depth'].iloc[row])!r} is no depth in m."
        )
    number = np.floor(np.maximum(depth + offset, 0) / thickness)
    counted = once.assign(bin=number).groupby(["sample_id", "bin"], sort=True).size().reset_index(name="n_images")
    return pd.DataFrame(
        {
            "sample_id": counted["sample_id"],
            "depth_top": counted["bin"] * thickness,
            "depth_bottom": (counted["bin"] + 1) * thickness,
            "n_images": counted["n_images"],
        }
    )


def look_time(triggers, *, min_processing=0.073):
    """Time in which an IFCB of the old generation could see, from the triggers of one bin.

    Run time is the last frame grab; while an image is processed (from its
    frame grab to the next opening of the trigger, at least `min_processing`)
    nothing is seen. One more `min_processing` is taken off, as pyifcb and
    ifcb-analysis do. Times after midnight run on.

    Parameters
    ----------
    triggers : pandas.DataFrame
        ``trigger`` (number), ``trigger_open_time``, ``frame_grab_time`` (s),
        in their order (columns 1, 8 and 9 of the old ``.adc``).
    min_processing : float
        0.073 s; pyifcb uses 0.05 s for IFCB5 from June 2015.

    Returns
    -------
    float
        Look time, s, for the rule ``ifcb-old``.

    Raises
    ------
    UserError
        No trigger, or times that are none.
    """
    names = ("trigger", "trigger_open_time", "frame_grab_time")
    missing = [name for name in names if name not in triggers]
    if missing or triggers.empty:
        raise UserError(
            f"look time: {len(triggers)} triggers with {list(triggers.columns)[:12]}; needed are at least 1 and {list(names)}."
        )
    once = triggers.drop_duplicates("trigger", keep="first")
    opened, grabbed = (pd.to_numeric(once[name], errors="coerce").to_numpy(dtype=float) for name in names[1:])
    if not (np.isfinite(opened).all() and np.isfinite(grabbed).all()):
        row = int(np.flatnonzero(~(np.isfinite(opened) & np.isfinite(grabbed)))[0])
        number = once["trigger"].iloc[row]
        raise UserError(
            f"look time: trigger {number} has times {opened[row]:g} and {grabbed[row]:g}, allowed are seconds."
        )
    opened, grabbed = (np.where(times < 0, times + 86400, times) for times in (opened, grabbed))
    processing = np.maximum(opened[1:] - grabbed[:-1], min_processing)
    return float(grabbed[-1] - processing.sum() - min_processing)


def trigger_times(triggers):
    """Run time and inhibit time of an IFCB of the new generation, from all triggers of one bin.

    The last trigger tells both, unless its cells are wrong: a trigger is good
    where its inhibit time is above 0 and differs by -0.1 to 5 s from that of
    the trigger before. Where some are not good, the usual step of the good
    ones is added to the last good one for each of the others. A run time that
    is more than 0.2 s from the clock of the trigger board (plus the median
    difference over the first 50 triggers) gives way to that clock. Where the
    counters do not start at 0 (more than 10 s at the second trigger), what
    they show there is taken off, and two steps of the inhibit time.

    Source: pyifcb, compute_ml_analyzed_s2_adc, and ifcb-analysis,
    IFCB_volume_analyzed_fromADC.m (f4ba75d, November 2022, its issue 33).
    Beside the source: a clock that stands still, or runs backwards in the
    last row, is not used, and one good trigger alone has no usual step.

    Parameters
    ----------
    triggers : pandas.DataFrame
        ``adc_time, run_time, inhibit_time`` (s; columns 2, 23 and 24 of the
        ``.adc``), in their order.

    Returns
    -------
    run_time, inhibit_time : float
        s; NaN where the triggers cannot tell (fewer than two, no inhibit
        time at all).
    words : list of str
        Flags: what had to be taken instead of the last trigger.
    """
    clock, run, inhibit = (
        pd.to_numeric(triggers[name], errors="coerce").to_numpy(dtype=float)
        for name in ("adc_time", "run_time", "inhibit_time")
    )
    if len(triggers) < 2 or not np.isfinite([run, inhibit]).all() or inhibit.sum() == 0:
        return np.nan, np.nan, ["triggers tell no times"]
    step, words = np.diff(inhibit), []
    good = np.r_[True, (inhibit[1:] > 0) & (step > -0.1) & (step < 5)]
    steps, seen = np.unique(np.round(np.diff(inhibit[good]), 4), return_counts=True)
    usual = float(steps[np.argmax(seen)]) if len(steps) else np.nan  # the least of those that are seen most
    told = np.isfinite(clock).all() and clock[-1] > clock[0]
    begun = run[1] - clock[1] if told else 0.0
    early, unseen = (begun, inhibit[1] + 2 * usual) if begun > 10 else (0.0, 0.0)
    if begun > 10:
        words.append("counters do not start at 0")
    last = int(np.flatnonzero(good)[-1])
    if good.all():
        inhibit_time = inhibit[-1] - unseen
    else:
        inhibit_time = inhibit[last] + (len(good) - good.sum()) * usual - unseen
        words.append("inhibit_time of the last good trigger")
    run_time = run[-1] - early
    by_clock = clock[-1] + float(np.median(run[:50] - clock[:50])) - early
    if told and abs(run_time - by_clock) > 0.2 and (clock[-1] >= clock[-2] or run[-1] < run[-2]):
        run_time = by_clock
        words.append("run_time of the trigger clock")
    return float(run_time), float(inhibit_time), words
