"""Write into dvc.yaml what each stage's code depends on: DVC does not follow imports. Run by `make deps`."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML

from tasks.engine.imports import SOURCE_ROOT, import_closure, module_file

TEXT_SUFFIXES = (".html", ".css")


def code_deps(command: str) -> list[str]:
    """Every project file that `python -m MODULE` can read: its import closure and the templates beside it."""
    words = command.split()
    closure = import_closure(words[words.index("-m") + 1])
    files = {file for module in closure if (file := module_file(module)) is not None}
    texts = {
        text
        for file in files
        if file.name != "__init__.py"
        for text in file.parent.iterdir()
        if text.suffix in TEXT_SUFFIXES
    }
    return sorted(file.relative_to(SOURCE_ROOT).as_posix() for file in files | texts)


def is_code(dep: str) -> bool:
    """Whether a dep of dvc.yaml is one that `code_deps` gives."""
    return dep.endswith((".py", *TEXT_SUFFIXES))


def rewrite(file: Path) -> None:
    """Replace the code deps of every stage; data deps stay."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    content = yaml.load(file)
    for stage in content["stages"].values():
        data = [dep for dep in stage.get("deps", []) if not is_code(dep)]
        stage["deps"] = data + code_deps(stage["cmd"])
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(content, stream)


if __name__ == "__main__":
    rewrite(SOURCE_ROOT / "dvc.yaml")
