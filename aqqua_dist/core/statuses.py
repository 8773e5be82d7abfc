"""The one vocabulary of statuses: who has said what an object is."""

STATUSES = ("validated", "predicted", "dubious", "unclassified")
NO_WORDS = ("", "nan", "na", "n/a", "<na>", "none", "null", "nat")
"""Words that stand for none, in lower case."""
STATUS_WORDS = (
    {name: name for name in STATUSES}
    | {"v": "validated", "p": "predicted", "d": "dubious", "u": "unclassified"}
    | dict.fromkeys(NO_WORDS, "unclassified")
)
"""Status of every word that exports use, in lower case: EcoTaxa's letters and words, and none."""


def status_of(word):
    """Status that a word stands for.

    Parameters
    ----------
    word : str or None
        Letter or word of any case; none is ``unclassified``.

    Returns
    -------
    str or None
        One of `STATUSES`; None for a word that nobody knows.
    """
    return STATUS_WORDS.get("" if word is None else str(word).strip().lower())
