"""The user's limits on transfers: how many run at once, how fast, and when one is given up (moby-behaviour 7.3).

Rule: bad values are refused here and nowhere else, in Moby's words.
"""

from __future__ import annotations

import msgspec

from headway.errors import InvalidSettingError

DEFAULT_DOWNLOADS = 3
DEFAULT_UPLOADS = 5
DEFAULT_ATTEMPTS = 5
DEFAULT_PATIENCE = 600.0


class TransferLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits in force.

    Attributes:
        max_concurrent_downloads: How many downloads run at once in this process; 0 for the default, as in Docker 28.
        max_concurrent_uploads: The same for uploads.
        max_download_attempts: How many attempts in a row may bring no new byte.
        download_patience: Seconds without a new byte after which a download is given up, once the attempts are used up
            as well; 0 lets the attempts alone decide, infinity waits for ever.
        max_download_rate: Bytes a second of all downloads together; 0 for no limit.
    """

    max_concurrent_downloads: int = DEFAULT_DOWNLOADS
    max_concurrent_uploads: int = DEFAULT_UPLOADS
    max_download_attempts: int = DEFAULT_ATTEMPTS
    download_patience: float = DEFAULT_PATIENCE
    max_download_rate: int = 0

    def checked(self) -> TransferLimits:
        """Return the limits with the defaults in place of zeros that mean them.

        Raises:
            InvalidSettingError: A limit is not valid.
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
