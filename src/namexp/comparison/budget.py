"""How much a page may weigh."""

from __future__ import annotations

PAGE_BYTES = 30_000_000  # what a browser opens at once and a mail still carries


class Budget:
    """Bytes that are left."""

    def __init__(self, limit: int) -> None:
        self.left = limit

    def take(self, size: int) -> bool:
        """Spend ``size`` bytes if they are there; False, and nothing spent, if not."""
        if size > self.left:
            return False
        self.left -= size
        return True


def base64_size(size: int) -> int:
    """Bytes of ``size`` bytes in base64."""
    return 4 * ((size + 2) // 3)
