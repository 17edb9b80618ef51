"""The calls for asyncio."""

from __future__ import annotations

from . import _agent, _requests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

_LONGEST = 64 << 20  # bytes of one answer
_MISSING: Any = object()


class AsyncCronium:
    """The same calls as coroutines: ``value = await AsyncCronium().get_variable("KEY")``."""

    async def input(self) -> Any:
        return _agent.read("input.json")

    async def event(self) -> Dict[str, Any]:
        return _agent.read("event.json")

    async def output(self, data: Any) -> None:
        import cronium

        cronium.output(data)

    async def set_condition(self, value: bool) -> None:
        import cronium

        cronium.set_condition(value)

    async def call(self, method: str, params: Any = None, timeout: Optional[float] = None) -> Any:
        import asyncio

        line = _agent.request(method, params)
        path = _agent.setting("CRONIUM_SOCKET")

        async def ask() -> bytes:
            reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST)
            try:
                writer.write(line)
                await writer.drain()
                return await reader.readline()
            finally:
                writer.close()

        try:
            answer = await asyncio.wait_for(ask(), timeout)
        except asyncio.TimeoutError:
            raise _agent.late(method, timeout) from None
        except OSError as error:
            raise _agent.unreachable(error) from error
        return _agent.result(method, answer)

    async def _ask(self, request: _requests.Request, timeout: Optional[float]) -> Any:
        method, params, field = request
        return _requests.taken(await self.call(method, params, timeout), field)

    async def get_variable(self, key: str, default: Any = _MISSING, *, timeout: Optional[float] = None) -> Any:
        try:
            return await self._ask(_requests.get_variable(key), timeout)
        except _agent.CroniumAPIError as error:
            if error.status_code == 404 and default is not _MISSING:
                return default
            raise

    async def set_variable(self, key: str, value: Any, *, timeout: Optional[float] = None) -> None:
        await self._ask(_requests.set_variable(key, value), timeout)

    async def delete_variable(self, key: str, *, timeout: Optional[float] = None) -> bool:
        return await self._ask(_requests.delete_variable(key), timeout)

    async def variable_exists(self, key: str, *, timeout: Optional[float] = None) -> bool:
        return await self._ask(_requests.variable_exists(key), timeout)

    async def increment_variable(self, key: str, by: float = 1, *, timeout: Optional[float] = None) -> Any:
        return await self._ask(_requests.increment_variable(key, by), timeout)

    async def append_variable(self, key: str, value: Any, *, timeout: Optional[float] = None) -> int:
        return await self._ask(_requests.append_variable(key, value), timeout)

    async def list_variables(self, prefix: str = "", *, timeout: Optional[float] = None) -> List[Dict[str, Any]]:
        return await self._ask(_requests.list_variables(prefix), timeout)

    async def compare_and_set(
        self, key: str, expected: Any, value: Any, *, timeout: Optional[float] = None
    ) -> bool:
        return await self._ask(_requests.compare_and_set(key, expected, value), timeout)

    compare_and_set_variable = compare_and_set

    async def save_artifact(
        self, source: _requests.Source, name: Optional[str] = None, *, timeout: Optional[float] = None
    ) -> Dict[str, Any]:
        kept: Any = None
        for request in _requests.artifact(source, name):
            kept = await self._ask(request, timeout)
        return kept
