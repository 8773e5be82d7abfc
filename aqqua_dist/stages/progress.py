"""One run in progress: the key of each stage, whether it is done, and the doing of it."""

from dataclasses import dataclass, field

import click

from aqqua_dist.core import run_folder
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.core.provenance import code_hash, content_key, sha256_file
from aqqua_dist.recipe.context import provenance
from aqqua_dist.stages.base import Work
from aqqua_dist.stages.order import stages
from aqqua_dist.stages.record import read_marker, write_marker

CODE = "code of aqqua_dist"


DESCRIBING = ("vocabulary.yaml", "columns.yaml")


@dataclass
class Progress:
    """What is known of a run so far.

    Attributes
    ----------
    context : Context
        The study.
    force : bool
        Do everything again.
    keys : dict
        Key of each finished stage: stage name, or (stage name, target).
    targets : tuple of Target
        Those whose stages are all done.
    """

    context: object
    force: bool = False
    keys: dict = field(default_factory=dict)
    targets: tuple = ()
    _hashes: dict = field(default_factory=dict)
    _inputs: dict = field(default_factory=dict)

    def do(self, stage, target=None, place=""):
        """Do a stage, unless it is done.

        Parameters
        ----------
        stage : Stage
            Its needs are done.
        target : Target, optional
            Of a target stage.
        place : str
            Which target it is, for the screen, such as ``3/39``.

        Raises
        ------
        UserError
            What the stage refuses; of a target it is recorded, and raised
            again by the next run without another trial.
        """
        key, words, needs = self.key(stage, target)
        marker, refusal = (stage.marker(self.context.out, target, state) for state in ("done", "refused"))
        label = stage.name if target is None else f"{stage.name} {target.label} ({place})"
        found = None if self.force else read_marker(marker)
        again = found is not None and found["key"] == key and found["words"] != words
        self.keys[(stage.name, target) if target else stage.name] = key
        if found is not None and found["key"] == key and not again:
            self.say(f"{label}: unchanged, skipped")
            return
        before = None if self.force or target is None else read_marker(refusal)
        if before is not None and before["key"] == key:
            raise UserError(f"{before['reason']}")
        self._forget(stage, target)
        origin = provenance(self.context, stage.name, key, self._inputs[stage.name, target])
        work = Work(self.context, stage.place(self.context.out), origin, target, self.targets)
        self.say(f"{label}: {'described anew' if again else 'running'}")
        try:
            outcome = (stage.describe if again else stage.run)(work)
        except UserError as error:
            if target is not None:
                write_marker(refusal, [], origin, {"words": words, "needs": needs, "reason": str(error)})
            raise
        for sentence in outcome.told:
            self.say(sentence)
        write_marker(marker, outcome.files, origin, {"words": words, "needs": needs})

    def recall(self, name, key, inputs, target=None):
        """Take a stage as done, as an earlier run has recorded it.

        Parameters
        ----------
        name : str
            Name of the stage.
        key : str
            Its key.
        inputs : dict of str to str
            Hashes of its inputs.
        target : Target, optional
            Of a target stage.
        """
        self.keys[(name, target) if target else name] = key
        self._inputs[name, target] = inputs

    def key(self, stage, target=None):
        """Key of a stage whose needs are done.

        Parameters
        ----------
        stage : Stage
            The stage.
        target : Target, optional
            Of a target stage.

        Returns
        -------
        tuple of (str, str, dict of str to str)
            Key of the work, key of the words that its files repeat, and the
            keys of its needs.
        """
        needs, read = {}, {}
        for need in (one for one in stages(self.context) if one.name in stage.needs):
            mine, inputs = self._need(need, target)
            needs |= mine
            read |= inputs
        read_always = {name: package_data(name) for name in DESCRIBING}  # every table is written with their words
        hashes = {name: self.hash(path) for name, path in (read_always | stage.files(self.context)).items()}
        self._inputs[stage.name, target] = (
            read | hashes | {f"stage {name}": key for name, key in needs.items()} | {CODE: code_hash()}
        )
        whole = self.context.recipe.model_dump(mode="json")
        key = content_key(
            stage=stage.name,
            target=[target.taxon, target.zone] if target else [],
            sections={name: _section(whole, name) for name in stage.sections},
            files=hashes,
            needs=needs,
            code=code_hash(),
        )
        return key, content_key(words={name: _section(whole, name) for name in stage.describes}), needs

    def hash(self, path):
        """Hash of a file, computed once per run.

        Parameters
        ----------
        path : pathlib.Path
            The file.

        Returns
        -------
        str
            SHA-256, 64 hexadecimal digits.
        """
        if path not in self._hashes:
            self._hashes[path] = sha256_file(path)
        return self._hashes[path]

    def say(self, text):
        """Show a line, unless the user wants none.

        Parameters
        ----------
        text : str
            The line.
        """
        if self.context.progress:
            click.echo(text, err=True)

    def _need(self, need, target):
        """Keys and inputs that a stage takes from one that it needs."""
        name = need.name
        if need.scope == "target":
            mine = (target,) if target else self.targets
            keys = {f"{name} {one.key}": self.keys[name, one] for one in mine}
            read = {}
            for one in mine:
                read |= self._inputs.get((name, one), {})
        elif need.part is not None and target is not None:
            keys = {f"{name}, rows of {target.label}": need.part(self.context, target)}
            read = self._inputs.get((name, None), {})
        else:
            keys, read = {name: self.keys[name]}, self._inputs.get((name, None), {})
        return keys, {name: value for name, value in read.items() if not name.startswith("stage ")}

    def _forget(self, stage, target):
        """What says that work is done goes before the work begins."""
        for state in ("done", "refused"):
            stage.marker(self.context.out, target, state).unlink(missing_ok=True)
        if stage.name not in ("scores", "budget", "compare", "figures"):
            (self.context.out / run_folder.TARGETS).unlink(missing_ok=True)


def _section(whole, name):
    """Part of a recipe by its dotted name; None where the recipe's branch has no such key."""
    for key in name.split("."):
        whole = whole.get(key) if isinstance(whole, dict) else None
    return whole
