"""Random streams by name: the only source of randomness of a study.

Two names never share a stream, and a stream depends on nothing but the seed
of the recipe and its names: not on what else was drawn, nor on the order of
the work. The functions that begin with ``legacy`` keep the streams by which
the published method (``reproduces: drago2022``) and the shipped recipes were
first computed, so that their numbers stay; nothing new may use them.
"""

import hashlib

import numpy as np

from aqqua_dist.core.errors import UserError


def sequence(seed, *names):
    """Seed sequence of one named stream.

    Parameters
    ----------
    seed : int
        Seed of the recipe, 0 or more.
    *names : str or int
        At least one; each name and its place count, and 1 is not '1'.

    Returns
    -------
    numpy.random.SeedSequence

    Raises
    ------
    UserError
        On a seed below 0, no name, or a name that is neither text nor integer.
    """
    wrong = [name for name in names if not isinstance(name, str | int | np.integer) or isinstance(name, bool)]
    if not names or wrong:
        raise UserError(f"random stream: names are {list(names)!r}; allowed are one or more texts or integers.")
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise UserError(f"random stream {names[0]!r}: seed is {seed!r}; allowed is an integer of 0 or more.")
    words = [f"{'s' if isinstance(name, str) else 'i'}{len(str(name))}:{name}" for name in names]
    digest = hashlib.sha256("".join(words).encode()).digest()
    return np.random.SeedSequence([int(seed), *np.frombuffer(digest, dtype="<u4").tolist()])


def stream(seed, *names):
    """Generator of one named stream.

    Parameters
    ----------
    seed : int
        Seed of the recipe, 0 or more.
    *names : str or int
        As in `sequence`.

    Returns
    -------
    numpy.random.Generator

    Examples
    --------
    >>> float(stream(1, "cruise", 3).random()) == float(stream(1, "cruise", 3).random())
    True
    """
    return np.random.default_rng(sequence(seed, *names))


def whole_seed(seed, *names):
    """Integer for libraries that take no generator.

    Parameters
    ----------
    seed : int
        Seed of the recipe, 0 or more.
    *names : str or int
        As in `sequence`.

    Returns
    -------
    int
        0 to 2**31 - 1.
    """
    return int(sequence(seed, *names).generate_state(1)[0] >> 1)


def legacy_members(seed, n):
    """Seeds of the fits of `n` members, from the seed of the recipe; the k-th does not depend on `n`.

    Parameters
    ----------
    seed : int or sequence of int
        0 or more.
    n : int
        Number of seeds.

    Returns
    -------
    list of int
        0 to 2**31 - 1.
    """
    return [int(child.generate_state(1)[0] >> 1) for child in np.random.SeedSequence(seed).spawn(n)]


def legacy_centre(seed):
    """Seed of the fit to all rows.

    Parameters
    ----------
    seed : int
        Seed of the recipe.

    Returns
    -------
    int
        0 to 2**31 - 1.
    """
    return legacy_members([seed, 1], 1)[0]


def legacy_cruises(seed):
    """Generator of the cruises that members draw, member after member.

    Parameters
    ----------
    seed : int
        Seed of the recipe.

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.default_rng([seed, 7])


def legacy_rows(seed):
    """Generator of stratified splits and folds of rows.

    Parameters
    ----------
    seed : int
        Seed of the recipe.

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.default_rng(seed)


def legacy_validation(seed):
    """Seed of the fits of cross-validation.

    Parameters
    ----------
    seed : int
        Seed of the recipe.

    Returns
    -------
    int
        0 to 2**31 - 1.
    """
    return int(np.random.RandomState(seed).randint(2**31 - 1))


def legacy_stream(*entropy):
    """Generator of the numbers that earlier versions made a stream from.

    Parameters
    ----------
    *entropy : int or numpy.random.SeedSequence
        One seed, or a seed and further numbers.

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.default_rng(entropy[0] if len(entropy) == 1 else list(entropy))


def legacy_spawn(seed, n):
    """Seed sequences of the parts of a simulated survey.

    Parameters
    ----------
    seed : int
        Seed of the recipe.
    n : int
        Number of parts.

    Returns
    -------
    list of numpy.random.SeedSequence
    """
    return np.random.SeedSequence(seed).spawn(n)
