"""Embeddings to moments, components, novelty and morphotypes; ``aqqua_dist.embeddings(source, out)`` does it all."""

import sys
from importlib import import_module
from types import ModuleType


class _Verb(ModuleType):
    """A package that is a verb, too: the command is called as the folder of its modules."""

    def __call__(self, source, out, *, samples=None, scheduler=None, **options):
        """Means, components, novelty and morphotypes of samples; see `aqqua_dist.embeddings.collection.collected`."""
        collection = import_module(f"{self.__name__}.collection")
        return collection.collected(source, out, samples=samples, scheduler=scheduler, **options)


sys.modules[__name__].__class__ = _Verb
