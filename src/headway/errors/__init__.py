"""Every exception, grouped by whose fault it is: one module for each side, and all names here.

Rule 1: adapters translate what their libraries raise into these, in one place each; nothing else leaves them.
Rule 2: facts are attributes, and the message is built from them, so that a caller never parses text.
Rule 3: a side is named only where it is proved (`Side`); silence is better than a guess.
"""

from __future__ import annotations

from headway.errors.content import ChangedMeanwhileError as ChangedMeanwhileError
from headway.errors.content import DigestMismatchError as DigestMismatchError
from headway.errors.content import IntegrityError as IntegrityError
from headway.errors.content import InvalidArchiveError as InvalidArchiveError
from headway.errors.content import InvalidDocumentError as InvalidDocumentError
from headway.errors.content import InvalidLayerError as InvalidLayerError
from headway.errors.content import NoImagesError as NoImagesError
from headway.errors.content import WindowTooLargeError as WindowTooLargeError
from headway.errors.here import DAMAGED as DAMAGED
from headway.errors.here import FULL as FULL
from headway.errors.here import NO_MORE_FILES as NO_MORE_FILES
from headway.errors.here import UNREADABLE as UNREADABLE
from headway.errors.here import KeyDamagedError as KeyDamagedError
from headway.errors.here import NoDaemonError as NoDaemonError
from headway.errors.here import NoDockerError as NoDockerError
from headway.errors.here import NoRecipeError as NoRecipeError
from headway.errors.here import NoRoomError as NoRoomError
from headway.errors.here import NoSuchOwnerError as NoSuchOwnerError
from headway.errors.here import ShortageError as ShortageError
from headway.errors.here import StoreBusyError as StoreBusyError
from headway.errors.here import StoreCorruptError as StoreCorruptError
from headway.errors.here import StoreError as StoreError
from headway.errors.here import StoreFullError as StoreFullError
from headway.errors.here import StoreReadOnlyError as StoreReadOnlyError
from headway.errors.here import StoreTooNewError as StoreTooNewError
from headway.errors.registry import Fault as Fault
from headway.errors.registry import FetchRefusedError as FetchRefusedError
from headway.errors.registry import ForgetfulRegistryError as ForgetfulRegistryError
from headway.errors.registry import HeldBackError as HeldBackError
from headway.errors.registry import MisbehavedError as MisbehavedError
from headway.errors.registry import ProxyRefusedError as ProxyRefusedError
from headway.errors.registry import RefusedError as RefusedError
from headway.errors.registry import RegistryError as RegistryError
from headway.errors.registry import RejectedError as RejectedError
from headway.errors.registry import ThrottledError as ThrottledError
from headway.errors.registry import TooLargeError as TooLargeError
from headway.errors.registry import UnavailableError as UnavailableError
from headway.errors.registry import UnreachableError as UnreachableError
from headway.errors.registry import WebPageError as WebPageError
from headway.errors.registry import WrongSizeError as WrongSizeError
from headway.errors.request import AmbiguousNameError as AmbiguousNameError
from headway.errors.request import ConflictError as ConflictError
from headway.errors.request import ConflictingKindError as ConflictingKindError
from headway.errors.request import InvalidChangeError as InvalidChangeError
from headway.errors.request import InvalidDigestError as InvalidDigestError
from headway.errors.request import InvalidFilterError as InvalidFilterError
from headway.errors.request import InvalidNameError as InvalidNameError
from headway.errors.request import InvalidPathError as InvalidPathError
from headway.errors.request import InvalidPlatformError as InvalidPlatformError
from headway.errors.request import InvalidReferenceError as InvalidReferenceError
from headway.errors.request import InvalidSettingError as InvalidSettingError
from headway.errors.request import InvalidTimeError as InvalidTimeError
from headway.errors.request import MountNotFoundError as MountNotFoundError
from headway.errors.request import NotADirectoryPathError as NotADirectoryPathError
from headway.errors.request import NotFoundError as NotFoundError
from headway.errors.request import NotMountedError as NotMountedError
from headway.errors.request import PlatformMismatchError as PlatformMismatchError
from headway.errors.request import RequestError as RequestError
from headway.errors.request import UnsupportedError as UnsupportedError
from headway.errors.side import HeadwayError as HeadwayError
from headway.errors.side import OutOfOrderError as OutOfOrderError
from headway.errors.side import Side as Side
from headway.errors.transfer import GaveUpError as GaveUpError
from headway.errors.transfer import OverBudgetError as OverBudgetError
from headway.errors.transfer import PullIncompleteError as PullIncompleteError
from headway.errors.transfer import PullStoppedError as PullStoppedError
from headway.errors.transfer import PushIncompleteError as PushIncompleteError
from headway.errors.transfer import root_cause as root_cause
