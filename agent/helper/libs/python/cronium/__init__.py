"""What a script can ask of Cronium, which runs it.

    import cronium

    data = cronium.input()                     # what the run was started with
    cronium.output({"rows": 3})                # what the run gives back
    cronium.set_condition(True)                # what follows on a condition
    print(cronium.event()["name"])             # the event that is run
    key = cronium.get_variable("API_KEY")      # a variable or secret of the workspace
    cronium.save_artifact("report.csv")        # a file that is kept with the run

The same names with ``await`` are methods of AsyncCronium. Calls that the server
answers wait while it is away; they take ``timeout`` in seconds.
"""

from __future__ import annotations

from . import _agent, _requests
from ._agent import CroniumAPIError, CroniumError, CroniumTimeoutError, call
from ._async import AsyncCronium

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

__all__ = [
    "input", "output", "event", "set_condition",
    "get_variable", "set_variable", "delete_variable", "variable_exists", "increment_variable",
    "append_variable", "list_variables", "compare_and_set", "compare_and_set_variable",
    "save_artifact", "call", "AsyncCronium", "CroniumError", "CroniumAPIError", "CroniumTimeoutError",
]

_MISSING: Any = object()


def input() -> Any:
    """The input of this run, None if it has none."""
    return _agent.read("input.json")


def event() -> Dict[str, Any]:
    """The event that is run: a dict with its id, name and more."""
    return _agent.read("event.json")


def output(data: Any) -> None:
    """Set the output of this run: anything that JSON can hold. The last call counts."""
    text = _agent.to_json("The output", data)
    if len(text) > _agent.MAX_OUTPUT:
        raise CroniumError("The output is %d bytes of JSON; at most %d are kept." % (len(text), _agent.MAX_OUTPUT))
    _agent.write("output.json", text)


def set_condition(value: bool) -> None:
    """Set the condition of this run to True or False. The last call counts."""
    if not isinstance(value, bool):
        raise CroniumError("A condition is True or False, not %r." % (value,))
    _agent.write("condition.json", "true" if value else "false")


def _ask(request: _requests.Request, timeout: Optional[float]) -> Any:
    method, params, field = request
    return _requests.taken(call(method, params, timeout), field)


def get_variable(key: str, default: Any = _MISSING, *, timeout: Optional[float] = None) -> Any:
    """The value of a variable or secret. Without a default, CroniumAPIError with status 404 if there is none."""
    try:
        return _ask(_requests.get_variable(key), timeout)
    except CroniumAPIError as error:
        if error.status_code == 404 and default is not _MISSING:
            return default
        raise


def set_variable(key: str, value: Any, *, timeout: Optional[float] = None) -> None:
    """Set a variable to anything that JSON can hold."""
    _ask(_requests.set_variable(key, value), timeout)


def delete_variable(key: str, *, timeout: Optional[float] = None) -> bool:
    """Delete a variable; False if there was none."""
    return _ask(_requests.delete_variable(key), timeout)


def variable_exists(key: str, *, timeout: Optional[float] = None) -> bool:
    """Whether there is such a variable."""
    return _ask(_requests.variable_exists(key), timeout)


def increment_variable(key: str, by: float = 1, *, timeout: Optional[float] = None) -> Any:
    """Add to a number and return it, as one step. A variable that is not there is 0."""
    return _ask(_requests.increment_variable(key, by), timeout)


def append_variable(key: str, value: Any, *, timeout: Optional[float] = None) -> int:
    """Append to a list, or to a text, as one step, and return its length."""
    return _ask(_requests.append_variable(key, value), timeout)


def list_variables(prefix: str = "", *, timeout: Optional[float] = None) -> List[Dict[str, Any]]:
    """The variables whose names begin with prefix: dicts with key, secret and type."""
    return _ask(_requests.list_variables(prefix), timeout)


def compare_and_set(key: str, expected: Any, value: Any, *, timeout: Optional[float] = None) -> bool:
    """Set a variable if its value is the expected one, None if it is not there; tells whether it was set."""
    return _ask(_requests.compare_and_set(key, expected, value), timeout)


compare_and_set_variable = compare_and_set


def save_artifact(
    source: _requests.Source, name: Optional[str] = None, *, timeout: Optional[float] = None
) -> Dict[str, Any]:
    """Keep a file with the run: a path, or a binary file that is read to its end.

    It is sent in parts, so it need not fit into memory; timeout is for each part. A
    file of the same name is replaced. Returns a dict with id, name, size and sha256.
    """
    kept: Any = None
    for request in _requests.artifact(source, name):
        kept = _ask(request, timeout)
    return kept
