"""One lock per dataset and name, among all processes that share the database."""

import contextlib
import os
import threading
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
from mongoengine.errors import DoesNotExist
from pymongo import ReturnDocument, WriteConcern
from pymongo.errors import DuplicateKeyError, PyMongoError

from .processes import has_ended, this_process

COLLECTION = "onlyone.locks"
SECONDS = 60.0  # of a lease: the wait for a machine that is gone


class Busy(RuntimeError):
    """Another operator runs on the same dataset and name."""


class LockLost(Busy):
    """Another operator has taken over the lock, because this process did not renew it in time."""


class Lease:
    """A lock that is held until it is released or, by the database's clock, expires.

    A thread renews it, so that a long computation keeps it. Another process takes over an expired lock; a process on the
    holder's machine takes it over as soon as the holder has ended.
    """

    def __init__(self, dataset: fo.Dataset, name: str):
        self._key = f"{dataset._doc.id}/{name}"
        self._title = f"{name!r} of the dataset {dataset.name!r}"
        self._seconds = float(os.environ.get("ONLYONE_LEASE_SECONDS", SECONDS))
        self._token = uuid.uuid4().hex
        self._released = threading.Event()
        locks = foo.get_db_conn()[COLLECTION]
        self._locks = locks.with_options(write_concern=WriteConcern("majority"))

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            Busy: if somebody else holds it
        """
        found = self._claim()
        if found["token"] != self._token and has_ended(found["owner"]):
            found = self._claim(instead_of=found["token"])
        if found["token"] != self._token:
            raise Busy(
                f"Another OnlyOne operator is at work on {self._title}: {_named(found)}. Wait for it to finish, or stop it, "
                f"then try again; if that machine is gone, in {self._seconds:g} s"
            )
        threading.Thread(target=self._keep, name=f"onlyone-{self._key}", daemon=True).start()

    def check(self) -> None:
        """Renew the lock, before a write: the write then has the whole lease before it.

        Raises:
            LockLost: if somebody else has taken it over
        """
        if self._renew():
            return
        found = self._locks.find_one({"_id": self._key})
        raise LockLost(
            f"This process stood still for longer than its lock lasts ({self._seconds:g} s), and another OnlyOne operator "
            f"took over {self._title}{': ' + _named(found) if found else ''}. Nothing was written since: run this again"
        )

    def release(self) -> None:
        """Release the lock; where the database cannot be reached, the lease expires."""
        self._released.set()
        with contextlib.suppress(PyMongoError):
            self._locks.delete_one({"_id": self._key, "token": self._token})

    def _claim(self, instead_of: str | None = None) -> dict[str, Any]:
        """Take the lock if it is free, expired, or still held by ``instead_of``; return its state afterwards."""
        free = {"$or": [{"$lte": ["$expires", "$$NOW"]}, {"$eq": ["$token", instead_of]}]}
        mine = {
            "_id": self._key,
            "token": self._token,
            "owner": {"$literal": this_process()},
            "expires": self._expiry(),
        }
        update = [{"$replaceWith": {"$cond": [free, mine, "$$ROOT"]}}]  # a missing expiry is before any time
        while True:
            with contextlib.suppress(DuplicateKeyError):  # two at once found none: the next attempt finds one
                return self._locks.find_one_and_update(
                    {"_id": self._key}, update, upsert=True, return_document=ReturnDocument.AFTER
                )

    def _renew(self) -> bool:
        mine = {"_id": self._key, "token": self._token}
        return self._locks.update_one(mine, [{"$set": {"expires": self._expiry()}}]).matched_count == 1

    def _expiry(self) -> dict[str, Any]:
        return {"$add": ["$$NOW", round(1000 * self._seconds)]}

    def _keep(self) -> None:
        """Renew the lock until it is released or lost."""
        while not self._released.wait(self._seconds / 4):
            with contextlib.suppress(PyMongoError):  # the next attempt may reach the database
                if not self._renew():
                    return


_HELD: ContextVar[tuple[Lease, ...]] = ContextVar("onlyone_held_locks", default=())


@contextlib.contextmanager
def lock(dataset: fo.Dataset, name: str) -> Iterator[Lease]:
    """Hold the lock ``name`` of a dataset; its runs and fields are then as the last holder left them.

    Raises:
        Busy: at once, if somebody else holds it
        ValueError: if the dataset was deleted
    """
    lease = Lease(dataset, name)
    lease.acquire()
    held = _HELD.set((*_HELD.get(), lease))
    try:
        try:
            dataset._doc.reload("name")  # FiftyOne loads by the name, which may have changed
        except DoesNotExist:
            raise ValueError(f"The dataset {dataset.name!r} was deleted") from None
        dataset._reload(hard=True)  # fields, runs and results, which FiftyOne caches
        dataset._run_cache.clear()
        yield lease
    finally:
        _HELD.reset(held)
        lease.release()


def check() -> None:
    """Check, before a write, that the running step still holds its locks.

    Raises:
        LockLost: if it does not
    """
    for lease in _HELD.get():
        lease.check()


def _named(found: dict[str, Any]) -> str:
    return f"process {found['owner']['pid']} on {found['owner']['host']}"
