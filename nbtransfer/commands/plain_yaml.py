"""YAML to plain Python data, with the line of every key. Nothing is constructed or evaluated.

Only mappings, lists and plain values are read. Numbers and words follow YAML 1.2, as users expect: `1e-3` is a number and
`no` is a word. In YAML 1.1, which PyYAML implements, it is the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from nbtransfer.errors import RecipeError

_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | dict.fromkeys(("true", "True", "TRUE"), True)
_WORDS |= dict.fromkeys(("false", "False", "FALSE"), False)
_WHOLE = re.compile(r"[-+]?\d{1,18}")
_NUMBER = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?")
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map", "timestamp", "merge", "value")
_OWN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in _KINDS}
_DEEPEST = 12


class Lines(dict[str, Any]):
    """A mapping that knows the line of each key."""

    def __init__(self) -> None:
        super().__init__()
        self.line: dict[str, int] = {}


def read(text: str) -> Any:
    """The parsed text; raises RecipeError with the line of the first error."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RecipeError(f"the text is not valid YAML: {' '.join(str(error).split())}") from error
    return None if node is None else _Reader().value(node, 0)


class _Reader:
    def __init__(self) -> None:
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, depth: int) -> Any:
        """One node of the text. Aliases repeat a node, so a short text could expand without limit: they are refused."""
        line = node.start_mark.line + 1
        if node.tag not in _OWN_TAGS:
            raise RecipeError(f"line {line}: tags such as !name are not supported; leave it out")
        if id(node) in self._seen:
            raise RecipeError(f"line {line}: anchors and aliases are not supported; write the value out")
        if depth > _DEEPEST:
            raise RecipeError(f"line {line}: this is nested too deeply for a recipe")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> Lines:
        found = Lines()
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise RecipeError(f"line {line}: a key should be a word")
            if key.value in found:
                raise RecipeError(f"line {line}: {key.value!r} is given twice, first on line {found.line[key.value]}")
            found[key.value] = self.value(item, depth + 1)
            found.line[key.value] = line
        return found


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    if node.style is not None:  # in quotes
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> RecipeError:
    mark = error.problem_mark or error.context_mark
    number = mark.line if mark else 0
    where = f"line {number + 1}: " if mark else ""
    lines = text.splitlines()
    if number < len(lines) and "\t" in lines[number]:
        return RecipeError(f"{where}there is a tab; indent with spaces")
    return RecipeError(f"{where}{' '.join(str(error.problem or error).split())}")


def line_of(mapping: Mapping[str, Any], key: str) -> str:
    """`line 3: `, or nothing if the mapping does not come from a text."""
    return f"line {mapping.line[key]}: " if isinstance(mapping, Lines) else ""
