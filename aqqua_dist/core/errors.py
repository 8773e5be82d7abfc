"""Errors and warnings that are meant for the person who runs a study."""


class UserError(ValueError):
    """Something in a recipe or an input file is wrong.

    The message is one sentence with the value, what is allowed, and where it
    stands (file, row, column or recipe key). The command line prints it
    without a traceback.
    """


class RecipeError(UserError):
    """One or more faults of a recipe, all listed in one message.

    Parameters
    ----------
    place : str
        The recipe file.
    faults : list of str
        One sentence per fault.
    """

    def __init__(self, place, faults):
        self.place = str(place)
        self.faults = list(faults)
        listed = "\n".join(f"  - {fault}" for fault in self.faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"{self.place}: {count} in the recipe:\n{listed}")


class MethodWarning(UserWarning):
    """A setting that is allowed but known to change the result."""


class OnceWarning(MethodWarning):
    """A method warning that holds for the whole run: the command line prints its sentence once, whatever the numbers in it."""
