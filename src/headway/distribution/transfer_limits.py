"""How many transfers run at once, and when one is given up: the limits that a user sets (moby-behaviour 7.3).

Rule: they are refused in Moby's words, here and nowhere else.
"""

from __future__ import annotations

import msgspec

from headway.errors import InvalidSettingError

DEFAULT_DOWNLOADS = 3
DEFAULT_UPLOADS = 5
DEFAULT_ATTEMPTS = 5
DEFAULT_PATIENCE = 600.0


class TransferLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits in force.

    Attributes:
        max_concurrent_downloads: Downloads at once in this process; 0 means the default, as in Docker 28.
        max_concurrent_uploads: The same for uploads.
        max_download_attempts: Consecutive attempts, in total, that brought no new byte.
        download_patience: Seconds without a new byte after which a download is given up, once the attempts are used
            up too; 0 lets attempts alone decide, infinity waits for ever.
        max_download_rate: Bytes a second of all downloads together; 0 sets no limit.
    """

    max_concurrent_downloads: int = DEFAULT_DOWNLOADS
    max_concurrent_uploads: int = DEFAULT_UPLOADS
    max_download_attempts: int = DEFAULT_ATTEMPTS
    download_patience: float = DEFAULT_PATIENCE
    max_download_rate: int = 0

    def checked(self) -> TransferLimits:
        """Return the limits with defaults where a zero asks for them.

        Raises:
            InvalidSettingError: One cannot be.
        """
        if self.max_download_attempts <= 0:
            raise InvalidSettingError(f"invalid max download attempts: {self.max_download_attempts}")
        for what in ("downloads", "uploads"):
            value = getattr(self, f"max_concurrent_{what}")
            if value < 0:
                raise InvalidSettingError(f"invalid max concurrent {what}: {value}")
        if not self.download_patience >= 0:
            raise InvalidSettingError(f"invalid download patience: {self.download_patience}")
        if self.max_download_rate < 0:
            raise InvalidSettingError(f"invalid max download rate: {self.max_download_rate}")
        return msgspec.structs.replace(
            self,
            max_concurrent_downloads=self.max_concurrent_downloads or DEFAULT_DOWNLOADS,
            max_concurrent_uploads=self.max_concurrent_uploads or DEFAULT_UPLOADS,
        )
