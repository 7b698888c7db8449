"""The wire to Redis: the real server behind it, and a seed's faults on the way.

It stands in for redis-py's client, so the ledger above it is the product's own, scripts and all.
"""

from collections.abc import Callable
from typing import Any

import redis

from tests.model.faults import Faults
from tests.model.stage import Stage

#: Scripts are registered as text; the last line tells which one it is.
NAMED = "\n-- script: "


class Wire:
    """A client whose every round trip gives the turn away, may fail, and may be made twice.

    `run_id` changes when the simulated server restarts.
    """

    def __init__(self, stage: Stage, faults: Faults, url: str) -> None:
        self._stage, self._faults = stage, faults
        self._client: Any = redis.Redis.from_url(url, decode_responses=True)
        self.server: Any = redis.Redis.from_url(url)
        self.run_id = 1
        self._ends_ms: dict[str, int] = {}
        self.answered: Callable[[str, list[Any], Any], None] = lambda *_: None
        self._snapshot: list[tuple[bytes, bytes]] = []

    def _call(self, what: str, go: Callable[[], Any]) -> Any:
        self._stage.yields(what)
        if self._faults.redis_is_away(self._stage.now_ms):
            self._stage.tell("Redis is away")
            raise redis.ConnectionError("away")
        answer = go()
        if self._faults.strikes("redis_repeated"):
            # As the client does when a restart cuts its connection.
            answer = go()
            self._stage.tell("done twice")
        if self._faults.strikes("redis_reply_lost"):
            self._stage.tell("done, and the reply is lost")
            raise redis.ConnectionError("the reply was lost")
        return answer

    def register_script(self, text: str) -> Callable[..., Any]:
        script, name = self._client.register_script(text), text.rpartition(NAMED)[2]

        def run(args: list[Any]) -> Any:
            def go() -> Any:
                answer = script(args=args)
                self.answered(name, args, answer)
                return answer

            return self._call(f"{name} {' '.join(map(_short, args[1:4]))}", go)

        return run

    def info(self, section: str) -> dict[str, Any]:
        return {"run_id": str(self.run_id)}

    def pipeline(self, *, transaction: bool = True) -> "Pipeline":
        return Pipeline(self, self._client.pipeline(transaction=transaction))

    def __getattr__(self, command: str) -> Callable[..., Any]:
        method = getattr(self._client, command)
        return lambda *args, **options: self._call(
            f"{command} {' '.join(map(_short, args[:2]))}", lambda: method(*args, **options)
        )

    def set(self, key: str, value: Any, *, nx: bool = False, px: int | None = None) -> Any:
        """The server's own clock does not stand still: what ends by it ends here by the virtual one."""

        def go() -> Any:
            now = self._stage.now_ms
            if self._ends_ms.get(key, now + 1) <= now:
                self._client.delete(key)
            done = self._client.set(key, value, nx=nx)
            if done and px is not None:
                self._ends_ms[key] = now + px
            return done

        return self._call(f"set {key}", go)

    def close(self) -> None:
        self._client.close()
        self.server.close()

    # what happens to the server

    def flushall(self) -> None:
        self.server.flushdb()

    def snapshot(self) -> None:
        """What an append-only file holds that then loses its tail."""
        keys = self.server.keys()
        with self.server.pipeline(transaction=True) as pipe:
            for key in keys:
                pipe.dump(key)
            self._snapshot = [*zip(keys, pipe.execute(), strict=True)]

    def rollback(self) -> None:
        """The server restarts with its last snapshot."""
        self.run_id += 1
        with self.server.pipeline(transaction=True) as pipe:
            pipe.flushdb()
            for key, dump in self._snapshot:
                pipe.restore(key, 0, dump)
            pipe.execute()


class Pipeline:
    """Commands that go in one round trip."""

    def __init__(self, wire: Wire, pipe: Any) -> None:
        self._wire, self._pipe = wire, pipe

    def __enter__(self) -> "Pipeline":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.reset()

    def __getattr__(self, command: str) -> Any:
        return getattr(self._pipe, command)

    def execute(self) -> Any:
        stack = list(self._pipe.command_stack)

        def go() -> Any:
            self._pipe.command_stack = list(stack)
            return self._pipe.execute()

        return self._wire._call("pipeline", go)


def _short(arg: Any) -> str:
    return str(arg)[:24]
