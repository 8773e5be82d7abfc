"""Readers by name: the one list that a new format enters."""

from aqqua_dist.readers import ecotaxa_summary, model_outputs, zooprocess
from aqqua_dist.readers.ecopart import export
from aqqua_dist.readers.ecotaxa.export import recognises, stream_ecotaxa
from aqqua_dist.readers.ifcb import bins, classes

READERS = {
    "ZooProcess metadata": (zooprocess.recognises, zooprocess.read_zooprocess),
    "IFCB bins": (bins.recognises, bins.read_ifcb),
    "EcoPart": (export.recognises, export.read_ecopart),
    "EcoTaxa summaries": (ecotaxa_summary.recognises, ecotaxa_summary.read_summaries),
    "EcoTaxa": (recognises, stream_ecotaxa),
    "IFCB classes": (classes.recognises, model_outputs.read_ifcb_outputs),
    "model outputs": (model_outputs.recognises, model_outputs.read_model_outputs),
}
"""Name of each format: what recognises a source, and what reads the sources of that format."""
OUTPUTS = (model_outputs.read_model_outputs, model_outputs.read_ifcb_outputs)
"""Readers of what models say about images, which are read first."""
STREAMS = (stream_ecotaxa,)
"""Readers that hand objects over in batches, for files that do not fit into memory."""
