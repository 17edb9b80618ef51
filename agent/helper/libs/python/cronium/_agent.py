"""How the library reaches the agent: files in the box that both share, and its socket."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

MAX_OUTPUT = 3 << 20  # bytes of JSON that the agent keeps of one output


class CroniumError(Exception):
    """Something that was asked of Cronium did not work."""


class CroniumAPIError(CroniumError):
    """Cronium refused a call. status_code is as in HTTP: 404 for what is not there."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


class CroniumTimeoutError(CroniumError):
    """No answer came in the time that the caller gave."""


def setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise CroniumError("This script was not started by Cronium: %s is not set." % name)
    return value


def read(name: str) -> Any:
    with open(os.path.join(setting("CRONIUM_DIR"), name), encoding="utf-8") as file:
        return json.load(file)


def write(name: str, text: str) -> None:
    path = os.path.join(setting("CRONIUM_DIR"), name)
    part = "%s.%d" % (path, os.getpid())
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(part, path)


def to_json(what: str, value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise CroniumError("%s cannot be written as JSON: %s" % (what, error)) from error


def request(method: str, params: Any) -> bytes:
    return to_json("What was given to %r" % method, {"id": 1, "method": method, "params": params}).encode() + b"\n"


def result(method: str, line: bytes) -> Any:
    """What one line of the agent says."""
    if not line:
        raise CroniumError("The agent ended the connection without an answer to %r." % method)
    answer = json.loads(line)
    if "error" in answer:
        raise CroniumAPIError(answer["error"]["status"], answer["error"]["message"])
    return answer.get("result")


def late(method: str, timeout: Optional[float]) -> CroniumTimeoutError:
    return CroniumTimeoutError("No answer to %r within %s s." % (method, timeout))


def unreachable(error: OSError) -> CroniumError:
    return CroniumError("The agent cannot be reached: %s" % error)


def call(method: str, params: Any = None, timeout: Optional[float] = None) -> Any:
    """Call the server and return its answer. It waits while no server is there.

    timeout is in seconds; None waits as long as the run may take.
    """
    import socket

    line = request(method, params)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(setting("CRONIUM_SOCKET"))
            connection.sendall(line)
            with connection.makefile("rb") as answers:
                return result(method, answers.readline())
        except socket.timeout:
            raise late(method, timeout) from None
        except OSError as error:
            raise unreachable(error) from error
