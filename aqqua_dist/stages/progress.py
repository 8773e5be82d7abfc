"""One run in progress: the key of each stage, whether it is done, and the doing of it."""

from dataclasses import dataclass, field
from typing import NamedTuple

import click

from aqqua_dist.core import run_folder
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.core.provenance import code_hash, content_key, sha256_file
from aqqua_dist.recipe.context import provenance
from aqqua_dist.stages.base import Refused, Work
from aqqua_dist.stages.order import stages
from aqqua_dist.stages.record import read_marker, write_marker

CODE = "code of aqqua_dist"


DESCRIBING = ("vocabulary.yaml", "columns.yaml")


class _Now(NamedTuple):
    """Where a stage stands: its keys, and whether it is unchanged, described or stale."""

    target: object
    key: str
    words: str
    needs: dict
    state: str


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
    refused : dict of Target to str
        The others, and why.
    groups : dict of str to dict
        Of each stage that does targets together, what its ``groups`` gave.
    """

    context: object
    force: bool = False
    keys: dict = field(default_factory=dict)
    targets: tuple = ()
    refused: dict = field(default_factory=dict)
    groups: dict = field(default_factory=dict)
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
        now = self._state(stage, target)
        label = stage.name if target is None else f"{stage.name} {target.label} ({place})"
        if now.state == "unchanged":
            self.say(f"{label}: unchanged, skipped")
            return
        self._forget(stage, target)
        work = self._work(stage, now)
        self.say(f"{label}: {'described anew' if now.state == 'described' else 'running'}")
        try:
            outcome = (stage.describe if now.state == "described" else stage.run)(work)
        except UserError as error:
            if target is not None:
                self._refuse(stage, now, str(error))
            raise
        self._finish(stage, now, outcome)

    def do_together(self, stage, targets, places):
        """Do a stage for targets that belong together, unless it is done for all of them.

        Parameters
        ----------
        stage : Stage
            With ``groups``; its needs are done.
        targets : tuple of Target
            One of its groups.
        places : dict of Target to str
            As the ``place`` of `do`.

        Raises
        ------
        Refused
            What the stage refuses, and of which targets.
        """
        now = [self._state(stage, target) for target in targets]
        stale = any(one.state == "stale" for one in now)
        for one in now:
            if one.state != "described" or stale:
                told = "running" if stale else "unchanged, skipped"
                self.say(f"{stage.name} {one.target.label} ({places[one.target]}): {told}")
                continue
            self.do(stage, one.target, places[one.target])
        if not stale:
            return
        for target in targets:
            self._forget(stage, target)
        try:
            outcomes = stage.run([self._work(stage, one) for one in now])
        except UserError as error:
            those = error.targets if isinstance(error, Refused) else targets
            for one in now:
                if one.target in those:
                    self._refuse(stage, one, str(error))
            raise Refused(those, str(error)) from None
        for one, outcome in zip(now, outcomes, strict=True):
            self._finish(stage, one, outcome)

    def _state(self, stage, target):
        """Whether a stage is to be done; raises again what an earlier run has refused."""
        key, words, needs = self.key(stage, target)
        marker, refusal = (stage.marker(self.context.out, target, state) for state in ("done", "refused"))
        found = None if self.force else read_marker(marker)
        self.keys[(stage.name, target) if target else stage.name] = key
        if found is not None and found["key"] == key:
            return _Now(target, key, words, needs, "unchanged" if found["words"] == words else "described")
        before = None if self.force or target is None else read_marker(refusal)
        if before is not None and before["key"] == key:
            raise Refused((target,), f"{before['reason']}")
        return _Now(target, key, words, needs, "stale")

    def _work(self, stage, now):
        origin = provenance(self.context, stage.name, now.key, self._inputs[stage.name, now.target])
        folder = stage.place(self.context.out)
        return Work(self.context, folder, origin, now.target, self.targets, self.refused)

    def _finish(self, stage, now, outcome):
        for sentence in outcome.told:
            self.say(sentence)
        origin = provenance(self.context, stage.name, now.key, self._inputs[stage.name, now.target])
        marker = stage.marker(self.context.out, now.target)
        write_marker(marker, outcome.files, origin, {"words": now.words, "needs": now.needs})

    def _refuse(self, stage, now, reason):
        origin = provenance(self.context, stage.name, now.key, self._inputs[stage.name, now.target])
        about = {"words": now.words, "needs": now.needs, "reason": reason}
        write_marker(stage.marker(self.context.out, now.target, "refused"), [], origin, about)

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
        needs, read, together, made = {}, {}, self.targets if target is None else (target,), None
        if stage.groups is not None:
            together, made = next(
                ((t, m) for t, m in self.groups.get(stage.name, {}).items() if target in t), (together, None)
            )
        for need in (one for one in stages(self.context) if one.name in stage.needs):
            mine, inputs = self._need(need, target, together)
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
            together=made,
            refused={} if target else {one.key: reason for one, reason in self.refused.items()},
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

    def _need(self, need, target, together):
        """Keys and inputs that a stage takes from one that it needs."""
        name = need.name
        if need.scope == "target":
            keys = {f"{name} {one.key}": self.keys[name, one] for one in together}
            read = {}
            for one in together:
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
