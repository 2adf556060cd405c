"""One tree out of a pipeline file, the bases that it includes, and the overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lfvpipe import storage
from lfvpipe.config import schema, suggestions
from lfvpipe.config.interpolation import interpolate
from lfvpipe.config.problems import ConfigError, Problem, problem
from lfvpipe.config.reading import parse, parse_value, read
from lfvpipe.config.scalars import scalar
from lfvpipe.config.tree import Node, Place, Scalar, lay, merge, put

# Two files that include each other's bases twice would double with each level.
DEEPEST_INCLUDE = 8
MOST_FILES = 32


def compose(
    file: Path, overrides: Sequence[str], env: Mapping[str, str]
) -> tuple[Node, list[Problem]]:
    """Return `file` over its bases and under `overrides`, and what is wrong so far.

    Raises:
        ConfigError: A file cannot be used at all.
    """
    composition = _Composition(env)
    tree = composition.file(file, str(file), ())
    for argument in overrides:
        tree = composition.override(tree, argument, file.absolute().parent)
    return settle(tree), composition.problems


@dataclass
class _Composition:
    env: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    files: int = 0

    def file(self, file: Path, shown: str, chain: tuple[Path, ...]) -> Node:
        data = read(file, shown)
        node, problems = parse(data, shown, file.absolute().parent)
        self.problems += problems
        return self._over_bases(self._interpolate(node), (*chain, file.resolve()))

    def _interpolate(self, node: Node) -> Node:
        node, problems = interpolate(node, self.env)
        self.problems += problems
        return node

    def _over_bases(self, node: Node, chain: tuple[Path, ...]) -> Node:
        """Return `node` laid over the files that its ``include`` names, later ones on top."""
        assert isinstance(node.value, Mapping)
        keys = dict(node.value)
        own = replace(node, value=keys)
        include = keys.pop("include", None)
        if include is None or include.value is None:
            return own
        base: Node | None = None
        for name in include.value if isinstance(include.value, tuple) else (include,):
            if not (isinstance(name.value, str) and name.value):
                hint = "Write `include: base.yaml`, or a list of files."
                self.problems.append(problem(name.place, "a file name is wanted", hint))
                continue
            following = self._base(name, name.value, chain)
            base = merge(base, following) if base and following else following or base
        return merge(base, own) if base else own

    def _base(self, name: Node, text: str, chain: tuple[Path, ...]) -> Node | None:
        """Return the included file `text`, written at `name`; None, with a problem, if it fails."""
        if "://" in text:
            hint = "Fetch it and include the file."
            self.problems.append(problem(name.place, "only local files can be included", hint))
            return None
        try:
            path = name.place.folder / Path(text).expanduser()
            self._check(path, name, chain)
            # Messages call it as seen from where the user stands, as they do the file itself.
            beside = Path(name.place.file).parent
            return self.file(path, str(path if Path(text).is_absolute() else beside / text), chain)
        except ConfigError as error:
            self.problems += error.problems
        except (OSError, ValueError, RuntimeError) as error:
            hint = "Check the path."
            self.problems.append(problem(name.place, f"{text} cannot be included: {error}", hint))
        return None

    def _check(self, path: Path, name: Node, chain: tuple[Path, ...]) -> None:
        """Refuse circles, and more files than anyone means: each costs time and memory."""
        self.files += 1
        hint = "Remove the include here."
        if path.resolve() in chain:
            raise ConfigError([problem(name.place, f"{path.name} includes itself", hint)])
        if len(chain) > DEEPEST_INCLUDE:
            message = f"includes go more than {DEEPEST_INCLUDE} files deep"
            raise ConfigError([problem(name.place, message, hint)])
        if self.files > MOST_FILES:
            raise ConfigError([problem(name.place, f"more than {MOST_FILES} includes", hint)])
        if not path.is_file():
            message = f"the included file {name.value} is not there"
            looked = f"It was looked for at {path}; the path is relative to the including file."
            raise ConfigError([problem(name.place, message, looked)])

    def override(self, tree: Node, argument: str, folder: Path) -> Node:
        """Return `tree` with the ``key=value`` of `argument` laid over it."""
        place = Place(f"--set {storage.without_secrets_within(argument)}", 0, 0, folder)
        dotted, equals, text = argument.partition("=")
        head, dot, rest = dotted.strip().partition(".")
        # A key of the matrix is one with its dots: matrix.sample.percent names sample.percent.
        where = (head, rest) if dot and head == "matrix" else tuple(dotted.strip().split("."))
        if not (equals and all(where)):
            hint = "Write --set key=value, such as --set sample.percent=100."
            self.problems.append(problem(place, "this is not key=value", hint))
            return tree
        if where == ("include",):
            hint = "Include it in the file."
            self.problems.append(problem(place, "include cannot be set here", hint))
            return tree
        if schema.at(where) is None:
            self.problems.append(problem(place, *suggestions.unknown(where)))
            return tree
        value = self._interpolate(self._value(text, place))
        return _override_matrix(merge(tree, lay(where, value)), where)

    def _value(self, text: str, place: Place) -> Node:
        try:
            node, problems = parse_value(text, place)
        except ConfigError as error:
            # A glob such as **/*.png is no YAML, but nobody quotes twice for the shell.
            if text.lstrip()[:1] not in ("*", "&", "%", "@", "`", "!"):
                self.problems += error.problems
            return Node(text, place, place)
        self.problems += problems
        return node


def _override_matrix(tree: Node, where: tuple[str, ...]) -> Node:
    """Take a key that was set on the command line out of the matrix: the command line wins."""
    assert isinstance(tree.value, Mapping)
    matrix, dotted = tree.value.get("matrix"), ".".join(where)
    if matrix is None or not isinstance(matrix.value, Mapping) or dotted not in matrix.value:
        return tree
    kept = {key: value for key, value in matrix.value.items() if key != dotted}
    return put(tree, ("matrix",), replace(matrix, value=kept))


def settle(tree: Node) -> Node:
    """Return `tree` with the type that the schema wants where the text leaves it open.

    That is where a variable was put in, and in ``--set``: ``${env:PERCENT}`` may be a number,
    and ``--set model.description=40`` is text.
    """
    return _settle(tree, ())


def _settle(node: Node, where: tuple[str | int, ...]) -> Node:
    if isinstance(node.value, Mapping):
        value = {key: _settle(child, (*where, key)) for key, child in node.value.items()}
        return replace(node, value=value)
    if isinstance(node.value, tuple):
        items = (_settle(child, (*where, index)) for index, child in enumerate(node.value))
        return replace(node, value=tuple(items))
    if node.text is None:
        return node
    settled: Scalar = node.value
    wanted = schema.at(where) or {}
    types = schema.types(wanted)
    if settled is None or "enum" in wanted or not types:
        pass  # the schema does not say, or any of its words will do
    elif "string" not in types:
        try:
            settled = scalar(node.text) if node.text else ""  # an empty variable is no value
        except ValueError:
            settled = node.text
    elif isinstance(settled, int | float) and not {"number", "integer"} & set(types):
        settled = node.text
    return replace(node, value=settled, text=None)
