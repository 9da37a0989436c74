"""Lists the files of a model's weights: those that its index names, or all; each tensor is in one of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ValidationError

from tasks.artifact import first_problem, read_json, read_tensor_info
from tasks.errors import one_line

INDEX = "model.safetensors.index.json"
PATTERN = "model*.safetensors"


class _Index(BaseModel):
    weight_map: dict[str, str]


def weight_files(folder: Path) -> dict[str, str]:
    """{tensor: file} of a model's folder, by the headers of its files; no tensor is read.

    Where there is an index, a file that it does not name is none of the model's.

    Raises:
        ValueError: a file is missing or damaged, a tensor is in two files, or not in the one that the index names.
    """
    index = _index(folder)
    names = sorted(path.name for path in folder.glob(PATTERN)) if index is None else sorted({*index.values()})
    files: dict[str, str] = {}
    for name in names:
        if Path(name).name != name:
            raise ValueError(f"{INDEX} names a file outside the folder: {one_line(name)}")
        if not (folder / name).exists():
            raise ValueError(f"{INDEX} names {one_line(name)}, which is not there; fetch the model again")
        try:
            tensors = read_tensor_info(folder / name)
        except ValueError as error:
            raise ValueError(f"{one_line(name)} cannot be read: {error}") from error
        for tensor in tensors:
            if files.setdefault(tensor, name) != name:
                raise ValueError(
                    f"{one_line(tensor)} is in two files, {files[tensor]} and {one_line(name)}; move the one that is "
                    "not the model's to another folder" + ("" if index else f", or add its {INDEX}")
                )
    for tensor, name in (index or {}).items():
        if files.get(tensor) != name:
            raise ValueError(f"{INDEX} names {one_line(tensor)} in {one_line(name)}, which does not contain it")
    return files


@contextmanager
def only_these(folder: Path, files: set[str]) -> Iterator[Path]:
    """The folder itself; where it has weights that are not the model's, one of links to all but those."""
    if files == {path.name for path in folder.glob(PATTERN)}:
        yield folder
        return
    with TemporaryDirectory() as aside:
        for path in folder.iterdir():
            if path.name in files or path.suffix != ".safetensors":
                name = path.name if path.name not in files or path.match(PATTERN) else f"model-{path.name}"
                (Path(aside) / name).symlink_to(path.resolve())
        yield Path(aside)


def _index(folder: Path) -> dict[str, str] | None:
    path = folder / INDEX
    if not path.exists():
        return None
    try:
        return _Index.model_validate(read_json(path, 64 << 20)).weight_map
    except ValidationError as error:
        raise ValueError(f"{INDEX} cannot be read: {first_problem(error)}") from error
    except ValueError as error:
        raise ValueError(f"{INDEX} cannot be read: {error}") from error
