"""Writers for data centres: Darwin Core archives, and predictions that EcoTaxa imports.

Darwin Core: Wieczorek et al. 2012, doi 10.1371/journal.pone.0029715; measurements as OBIS asks for them (extended
measurement or fact), with the terms that EcoTaxa uses (NERC vocabularies P01 and P06).
"""

import io
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import replacing
from aqqua_dist.core.statuses import STATUSES
from aqqua_dist.core.tables import summed
from aqqua_dist.organisms.labels import parse_label, read_words
from aqqua_dist.organisms.taxonomy import taxa, taxon_record

NERC = "http://vocab.nerc.ac.uk/collection/"
TERMS = "http://rs.tdwg.org/dwc/terms/"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
LIFE_STAGES = ("egg", "larva", "cyst")
HUMAN, MACHINE = "ValidatedByHuman", "PredictedByMachine"
STATUS = {"validated": HUMAN, "predicted": MACHINE}
MODELS = ("top1", "thresholded", "probabilistic", "acc", "pacc", "em")
"""Methods by which a model counts; their taxa are predicted by a machine."""
SPLIT_RULES = r"^(?:zooscan|zoocam|scanner|PSSdb|planktoscope|flowcam)"
"""Rules whose volume is that of the imaged part of a sample and not of the sampled water, which `VOLUME` would mislead about."""
COUNT = ("Count (in assayed sample) of biological entity specified elsewhere", "OCOUNT01", "", "")
ABUNDANCE = (
    "Abundance of biological entity specified elsewhere per unit volume of the water body",
    "SDBIOL01",
    "Number per cubic metre",
    "UPMM",
)
BIOVOLUME = (
    "Biovolume of biological entity specified elsewhere per unit volume of the water body",
    "CVOLUKNB",
    "Cubic millimetres per cubic metre",
    "CMCM",
)
VOLUME = ("Volume sampled of the water body", "VOLWBSMP", "Cubic metres", "MCUB")
"""Text, P01 code, unit and P06 code of each measurement."""
FILES = {
    "event.txt": (
        "Event",
        [
            "eventID",
            "type",
            "institutionCode",
            "datasetName",
            "eventDate",
            "decimalLatitude",
            "decimalLongitude",
            "minimumDepthInMeters",
            "maximumDepthInMeters",
        ],
    ),
    "occurrence.txt": (
        "Occurrence",
        [
            "eventID",
            "occurrenceID",
            "basisOfRecord",
            "identificationVerificationStatus",
            "identifiedBy",
            "scientificName",
            "scientificNameID",
            "verbatimIdentification",
            "lifeStage",
            "occurrenceRemarks",
            "occurrenceStatus",
        ],
    ),
    "extendedmeasurementorfact.txt": (
        "http://rs.iobis.org/obis/terms/ExtendedMeasurementOrFact",
        [
            "occurrenceID",
            "measurementType",
            "measurementTypeID",
            "measurementValue",
            "measurementUnit",
            "measurementUnitID",
        ],
    ),
}


@dataclass(frozen=True)
class Dataset:
    """What an archive says of itself.

    Attributes
    ----------
    title : str
        Title of the data set.
    institution : str
        Code of the institution.
    licence : str
        Such as ``CC-BY-4.0``.
    creator, email : str
        Who answers for it.
    model : str
        Model that made the predictions, with its DOI where it has one.
    sources : tuple of tuple of str
        File and licence of each source that has a licence of its own.
    """

    title: str
    institution: str
    licence: str
    creator: str
    email: str = ""
    model: str = ""
    sources: tuple = ()


def status_of_method(method):
    """Who has identified what was counted by a method.

    Parameters
    ----------
    method : str
        Of `aqqua_dist.core.tables.COUNTS`: statuses of the objects
        (``validated+predicted``), perhaps with a least score, or a model's.

    Returns
    -------
    str or None
        `HUMAN` where all objects were validated, `MACHINE` where any need
        not have been; None for an unknown word.
    """
    word = str(method).partition(",")[0].strip()
    if word in MODELS or word == "all":
        return MACHINE
    parts = word.split("+")
    if not all(part in STATUSES for part in parts):
        return None
    return HUMAN if parts == ["validated"] else MACHINE


def write_darwin_core(path, samples, counts, dataset, hierarchy=None):
    """Darwin Core archive of samples as events and counts as occurrences.

    Human and machine identifications of a taxon in a sample are two
    occurrences; rows of one method (size classes, fractions of a net) are
    summed, each with its weight. A count of zero is an occurrence that is ``absent``. Labels
    are taken apart (`aqqua_dist.organisms.labels.parse_label`): the taxon becomes the
    scientific name, eggs and larvae a life stage, other qualifiers a remark;
    labels that are not living, or of which nobody has said, are left out.

    Parameters
    ----------
    path : str or os.PathLike
        The zip archive to write or replace.
    samples : pandas.DataFrame
        Columns of `aqqua_dist.core.tables.SAMPLES`; volume in m3.
    counts : pandas.DataFrame
        Columns of `aqqua_dist.core.tables.COUNTS`; biovolume in mm3,
        ``method`` as `status_of_method` knows it. Rows of a sample, taxon
        and method that also have the same size class (``esd_low``, where it
        is given) and weight are refused as repeated.
    dataset : Dataset
        Title, institution, licence, creator, model.
    hierarchy : dict of str to str, optional
        Hierarchy of each label.

    Raises
    ------
    UserError
        A sample has no time or position, a count belongs to no sample, has an
        unknown method or stands twice.
    """
    _refuse(samples, counts, dataset)
    events = _events(samples, dataset)
    occurrences, measurements = _occurrences(samples, counts, dataset, hierarchy or {})
    tables = {"event.txt": events, "occurrence.txt": occurrences, "extendedmeasurementorfact.txt": measurements}
    with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, table in tables.items():
            text = io.StringIO()
            table[["id", *FILES[name][1]]].to_csv(text, sep="\t", index=False, lineterminator="\n")
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), text.getvalue(), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("meta.xml", ZIP_TIME), _meta(), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("eml.xml", ZIP_TIME), _eml(dataset), zipfile.ZIP_DEFLATED)


def _refuse(samples, counts, dataset):
    for name in ("title", "institution", "licence", "creator"):
        if not getattr(dataset, name).strip():
            raise UserError(f"a Darwin Core archive needs a {name}, found {getattr(dataset, name)!r}.")
    for column in ("time", "lat", "lon"):
        missing = samples[column].isna()
        if missing.any():
            raise UserError(
                f"sample {samples.loc[missing, 'sample_id'].iloc[0]!r} has no {column}, every event needs one; {int(missing.sum())} such samples."
            )
    strange = counts["method"].map(status_of_method).isna()
    if strange.any():
        raise UserError(
            f"counts: method {counts.loc[strange, 'method'].iloc[0]!r} is not one of {[*STATUSES, *MODELS]}; {int(strange.sum())} such rows."
        )
    outside = ~counts["sample_id"].isin(samples["sample_id"])
    if outside.any():
        raise UserError(
            f"counts: sample_id {counts.loc[outside, 'sample_id'].iloc[0]!r} is not among the samples; {int(outside.sum())} such rows."
        )
    keys = ["sample_id", "taxon", "method", *(name for name in ("weight", "esd_low", "esd_high") if name in counts)]
    twice = counts.duplicated(keys)
    if twice.any():
        row = counts[twice].iloc[0]
        raise UserError(
            f"counts: {row['taxon']!r} stands twice in sample {row['sample_id']!r} as {row['method']}; {int(twice.sum())} such rows."
        )


def _events(samples, dataset):
    return pd.DataFrame(
        {
            "id": samples["sample_id"],
            "eventID": samples["sample_id"],
            "type": "sample",
            "institutionCode": dataset.institution,
            "datasetName": dataset.title,
            "eventDate": samples["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "decimalLatitude": samples["lat"].map("{:.6f}".format),
            "decimalLongitude": samples["lon"].map("{:.6f}".format),
            "minimumDepthInMeters": samples["depth_top"],
            "maximumDepthInMeters": samples["depth_bottom"],
        }
    )


def _summed(counts):
    """One row per sample, taxon and method: objects seen, and objects and biovolume that they stand for."""
    weight = counts["weight"].fillna(1.0).astype(float) if "weight" in counts else 1.0
    table = counts.assign(standing=counts["n"] * weight, volume=counts["biovolume"] * weight)
    found = summed(table, ["sample_id", "taxon", "method"], ["n", "standing", "volume"])
    return found.assign(status=found["method"].map(status_of_method))


def _sampled(samples, counts):
    """Volume of the sampled water, where the volume of a sample is not that of an imaged part."""
    part = (
        samples["effort_rule"].astype("string").str.contains(SPLIT_RULES).fillna(False)
        if "effort_rule" in samples
        else pd.Series(False, index=samples.index)
    )
    split = counts.loc[counts["weight"].fillna(1.0) != 1.0, "sample_id"] if "weight" in counts else []
    return samples[~part.to_numpy(dtype=bool) & ~samples["sample_id"].isin(split) & np.isfinite(samples["volume"])]


def _occurrences(samples, counts, dataset, hierarchy):
    volumes = samples.set_index("sample_id")["volume"]
    words = read_words()
    records = {label: _named(label, words, hierarchy.get(label)) for label in counts["taxon"].unique()}
    counts = counts[counts["taxon"].map(lambda label: records[label] is not None).astype(bool)]
    rows = []
    facts = [_fact(row.sample_id, "", VOLUME, row.volume) for row in _sampled(samples, counts).itertuples()]
    for row in _summed(counts).itertuples():
        (record, stage, remark), volume = records[row.taxon], volumes[row.sample_id]
        occurrence = f"{row.sample_id}_{row.taxon}_{row.method}".replace("\t", " ")
        told = "" if row.method in STATUS else f"counted by method {row.method}"
        rows.append(
            {
                "id": row.sample_id,
                "eventID": row.sample_id,
                "occurrenceID": occurrence,
                "basisOfRecord": "MachineObservation",
                "identificationVerificationStatus": row.status,
                "identifiedBy": dataset.model if row.status == MACHINE else "",
                "scientificName": record.name,
                "scientificNameID": record.lsid,
                "verbatimIdentification": row.taxon,
                "lifeStage": stage,
                "occurrenceRemarks": "; ".join(filter(None, (remark, told))),
                "occurrenceStatus": "present" if row.n > 0 else "absent",
            }
        )
        facts.append(_fact(row.sample_id, occurrence, COUNT, row.n))
        if np.isfinite(volume):
            facts.append(_fact(row.sample_id, occurrence, ABUNDANCE, row.standing / volume))
            if np.isfinite(row.volume):
                facts.append(_fact(row.sample_id, occurrence, BIOVOLUME, row.volume / volume))
    columns = {name: ["id", *parts[1]] for name, parts in FILES.items()}
    return pd.DataFrame(rows, columns=columns["occurrence.txt"]), pd.DataFrame(
        facts, columns=columns["extendedmeasurementorfact.txt"]
    )


def _named(label, words, hierarchy=None):
    """Record of the taxon of a label, its life stage and a remark; None where it is not known to live."""
    if label in taxa():
        return taxon_record(label), "", ""
    parts = parse_label(label, hierarchy, words=words)
    if not parts.living:
        return None
    stage = parts.qualifier if parts.qualifier in LIFE_STAGES else ""
    return parts.record, stage, "" if stage else parts.qualifier


def _fact(sample, occurrence, measurement, value):
    text, code, unit, unit_code = measurement
    return {
        "id": sample,
        "occurrenceID": occurrence,
        "measurementType": text,
        "measurementTypeID": f"{NERC}P01/current/{code}/",
        "measurementValue": f"{value:.9g}",
        "measurementUnit": unit,
        "measurementUnitID": f"{NERC}P06/current/{unit_code}/" if unit_code else "",
    }


def _meta():
    """Descriptor of the archive: each file, its type and the term of each column."""
    root = ElementTree.Element("archive", {"xmlns": "http://rs.tdwg.org/dwc/text/", "metadata": "eml.xml"})
    shape = {
        "encoding": "UTF-8",
        "fieldsTerminatedBy": "\\t",
        "linesTerminatedBy": "\\n",
        "fieldsEnclosedBy": '"',
        "ignoreHeaderLines": "1",
    }
    for name, (kind, columns) in FILES.items():
        core = name == "event.txt"
        row_type = kind if kind.startswith("http") else TERMS + kind
        table = ElementTree.SubElement(root, "core" if core else "extension", shape | {"rowType": row_type})
        ElementTree.SubElement(ElementTree.SubElement(table, "files"), "location").text = name
        ElementTree.SubElement(table, "id" if core else "coreid", {"index": "0"})
        for index, column in enumerate(columns, start=1):
            ElementTree.SubElement(table, "field", {"index": str(index), "term": _term(column)})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _term(column):
    if column == "type":
        return "http://purl.org/dc/terms/type"
    if column in ("measurementTypeID", "measurementUnitID"):
        return f"http://rs.iobis.org/obis/terms/{column}"
    return TERMS + column


def _eml(dataset):
    root = ElementTree.Element(
        "eml:eml",
        {"xmlns:eml": "https://eml.ecoinformatics.org/eml-2.2.0", "packageId": dataset.title, "system": "aqqua-dist"},
    )
    body = ElementTree.SubElement(root, "dataset")
    ElementTree.SubElement(body, "title").text = dataset.title
    for role in ("creator", "contact"):
        person = ElementTree.SubElement(body, role)
        ElementTree.SubElement(ElementTree.SubElement(person, "individualName"), "surName").text = dataset.creator
        if dataset.email:
            ElementTree.SubElement(person, "electronicMailAddress").text = dataset.email
    ElementTree.SubElement(ElementTree.SubElement(body, "intellectualRights"), "para").text = dataset.licence
    for file, licence in dataset.sources:
        ElementTree.SubElement(body.find("intellectualRights"), "para").text = f"{file}: {licence}"
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
