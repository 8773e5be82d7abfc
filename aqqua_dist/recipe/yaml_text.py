"""Strict YAML 1.2 text: repeated keys and octal numbers are refused, faults told by line."""

import yaml


class StrictLoader(yaml.SafeLoader):
    """YAML 1.2 (core schema) without duplicate keys.

    Only ``true`` and ``false`` are truth values, so that ``no`` stays text;
    ``1e-3`` is a number, ``1:30`` and dates are text, ``010`` is ten.
    """

    yaml_implicit_resolvers = {}


def strict_mapping(loader, node, deep=False):
    """Mapping of a YAML text in which no key stands twice.

    Parameters
    ----------
    loader : yaml.SafeLoader
        Reads the text.
    node : yaml.MappingNode
        The mapping.
    deep : bool
        Whether nested values are made at once.

    Returns
    -------
    dict
        Keys and values.
    """
    seen = {}
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be one word, not a list or a mapping", key_node.start_mark
            )
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} stands twice, first in line {seen[key] + 1}", key_node.start_mark
            )
        seen[key] = key_node.start_mark.line
    return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)


def decimal_integer(loader, node):
    """Whole number in decimal digits (YAML 1.2: 010 is ten, not eight).

    Parameters
    ----------
    loader : yaml.SafeLoader
        Reads the text.
    node : yaml.ScalarNode
        The number.

    Returns
    -------
    int
        The number.
    """
    return int(loader.construct_scalar(node))


def yaml_fault(error):
    """What is wrong with a YAML text, with its line and column.

    Parameters
    ----------
    error : yaml.YAMLError
        As the parser raised it.

    Returns
    -------
    str
        Half a sentence.
    """
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    problem = getattr(error, "problem", None) or str(error).split("\n")[0]
    return f"not valid YAML{where}: {problem}"
