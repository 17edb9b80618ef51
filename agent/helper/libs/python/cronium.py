"""What a script can ask of Cronium, which runs it.

    import cronium

    data = cronium.input()            # what the run was started with
    cronium.output({"rows": 3})       # what the run gives back
    cronium.set_condition(True)       # what follows on a condition
    print(cronium.event()["name"])    # the event that is run

The same names with ``await`` are methods of AsyncCronium.
"""

import json as _json
import os as _os

__all__ = [
    "input", "output", "event", "set_condition", "call", "AsyncCronium",
    "CroniumError", "CroniumAPIError", "CroniumTimeoutError",
]

_MAX_OUTPUT = 3 << 20


class CroniumError(Exception):
    """Something that was asked of Cronium did not work."""


class CroniumAPIError(CroniumError):
    """Cronium refused a call. status_code is as in HTTP."""

    def __init__(self, status_code, message):
        super().__init__(message)
        self.status_code = status_code


class CroniumTimeoutError(CroniumError):
    """No answer came in the time that the caller gave."""


def _place(name):
    directory = _os.environ.get("CRONIUM_DIR")
    if not directory:
        raise CroniumError("This script was not started by Cronium: CRONIUM_DIR is not set.")
    return _os.path.join(directory, name)


def _read(name):
    with open(_place(name), encoding="utf-8") as file:
        return _json.load(file)


def _write(name, text):
    path = _place(name)
    part = "%s.%d" % (path, _os.getpid())
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
    _os.replace(part, path)


def input():
    """The input of this run, None if it has none."""
    return _read("input.json")


def event():
    """The event that is run: a dict with its id, name and more."""
    return _read("event.json")


def output(data):
    """Set the output of this run: anything that JSON can hold. The last call counts."""
    try:
        text = _json.dumps(data, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CroniumError("The output cannot be written as JSON: %s" % error) from error
    if len(text) > _MAX_OUTPUT:
        raise CroniumError("The output is %d bytes of JSON; at most %d are kept." % (len(text), _MAX_OUTPUT))
    _write("output.json", text)


def set_condition(value):
    """Set the condition of this run to True or False. The last call counts."""
    if not isinstance(value, bool):
        raise CroniumError("A condition is True or False, not %r." % (value,))
    _write("condition.json", "true" if value else "false")


def call(method, params=None, timeout=None):
    """Call the server and return its answer. It waits while no server is there.

    timeout is in seconds; None waits as long as the run may take.
    """
    import socket

    request = _json.dumps({"id": 1, "method": method, "params": params}, allow_nan=False)
    path = _os.environ.get("CRONIUM_SOCKET")
    if not path:
        raise CroniumError("This script was not started by Cronium: CRONIUM_SOCKET is not set.")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
            connection.sendall(request.encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        except socket.timeout:
            raise CroniumTimeoutError("No answer to %r within %s s." % (method, timeout)) from None
        except OSError as error:
            raise CroniumError("The agent cannot be reached: %s" % error) from error
    if not line:
        raise CroniumError("The agent ended the connection without an answer to %r." % method)
    answer = _json.loads(line)
    if "error" in answer:
        raise CroniumAPIError(answer["error"]["status"], answer["error"]["message"])
    return answer.get("result")


class AsyncCronium:
    """The same for asyncio: ``value = await AsyncCronium().call("method")``."""

    async def input(self):
        return input()

    async def event(self):
        return event()

    async def output(self, data):
        output(data)

    async def set_condition(self, value):
        set_condition(value)

    async def call(self, method, params=None, timeout=None):
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(None, call, method, params, timeout)
