"""What a service depends on, and whether each dependency works."""

from collections.abc import Callable


class Health:
    """State per dependency; a service is ready when all are ok and it is not stopping."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[bool, str]] = {}
        self._listeners: list[Callable[[], None]] = []
        self._stopping = False
        self._optional: set[str] = set()

    def set(self, dependency: str, ok: bool, detail: str = "") -> None:
        """Records the state of a dependency. Listeners are called only for changes."""
        if self._states.get(dependency) != (ok, detail):
            self._states[dependency] = (ok, detail)
            self._tell()

    def stop(self) -> None:
        """Marks the service as stopping, for good."""
        self._stopping = True
        self._tell()

    def tolerate(self, dependency: str) -> None:
        """Makes a dependency optional: the service is ready without it, and its state is still shown."""
        self._optional.add(dependency)

    @property
    def ready(self) -> bool:
        """Whether all dependencies it cannot do without are ok and the service is not stopping."""
        return not self._stopping and all(ok for name, (ok, _) in self._states.items() if name not in self._optional)

    def snapshot(self) -> dict[str, tuple[bool, str]]:
        """State and detail per dependency."""
        return dict(self._states)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Calls the listener after every change."""
        self._listeners.append(listener)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
