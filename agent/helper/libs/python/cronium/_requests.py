"""Each call as the server knows it: its method, its parameters, and what of its answer is given to the script."""

from __future__ import annotations

import base64
import hashlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Dict, Iterator, Optional, Tuple, Union

    Request = Tuple[str, Dict[str, Any], Optional[str]]
    Source = Union[str, "os.PathLike[str]", BinaryIO]

_PART = 512 << 10  # bytes of a file that one call carries


def get_variable(key: str) -> Request:
    return "variable.get", {"key": key}, "value"


def set_variable(key: str, value: Any) -> Request:
    return "variable.set", {"key": key, "value": value}, None


def delete_variable(key: str) -> Request:
    return "variable.delete", {"key": key}, "deleted"


def variable_exists(key: str) -> Request:
    return "variable.exists", {"key": key}, "exists"


def increment_variable(key: str, by: float) -> Request:
    return "variable.increment", {"key": key, "by": by}, "value"


def append_variable(key: str, value: Any) -> Request:
    return "variable.append", {"key": key, "value": value}, "length"


def list_variables(prefix: str) -> Request:
    return "variable.list", {"prefix": prefix}, "keys"


def compare_and_set(key: str, expected: Any, value: Any) -> Request:
    return "variable.compare_and_set", {"key": key, "expected": expected, "value": value}, "swapped"


def artifact(source: Source, name: Optional[str]) -> Iterator[Request]:
    """The calls that send a file, in their order; the last one's answer counts."""
    if name is None:
        path = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError("an artifact that is not read from a path needs a name")
        name = os.path.basename(os.fspath(path))
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            yield from _parts(file, name)
    else:
        yield from _parts(source, name)


def _parts(file: BinaryIO, name: str) -> Iterator[Request]:
    upload = os.urandom(16).hex()
    digest = hashlib.sha256()
    offset = 0
    while True:
        data = file.read(_PART)
        if not data:
            break
        digest.update(data)
        text = base64.b64encode(data).decode()
        yield "artifact.part", {"upload": upload, "name": name, "offset": offset, "data": text}, None
        offset += len(data)
    yield "artifact.end", {"upload": upload, "name": name, "size": offset, "sha256": digest.hexdigest()}, ""


def taken(answer: Any, field: Optional[str]) -> Any:
    """The part of an answer that the script gets: a field, "" for all of it, None for nothing."""
    if field is None:
        return None
    return answer[field] if field else answer
