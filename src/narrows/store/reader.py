"""Reading the tensors of a store, every byte checked against its SHA-256. What it says in JSON is in `listing`.

Knows tensors by name only: no module, method or training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from narrows.errors import StoreError
from narrows.store import content, durable, mask_file, names, snapshot, tensors_file
from narrows.store.content import TaskContent
from narrows.store.durable import DamagedFileError
from narrows.store.header import RESTORE_STORE, FileRef, fingerprint
from narrows.store.listing import StoreListing, place_of
from narrows.store.mask_file import Outline
from narrows.subnet import Held, SubNetwork

_BASE_REMEDY = "restore this file from a backup; no task can be begun without it"
_CARRY_REMEDY = "restore this file from a backup; it only helps the next task, every task can be loaded"


class StoreReader(StoreListing):
    """A store at `path`, as it was when store.json was last read, with its tensors."""

    def blobs(self, name: str) -> dict[str, bytes]:
        """The files of the task `name` but task.json, by plain name. UnknownNameError or DamagedStoreError."""
        read = self._blob_reader(name)
        return {file: read(file) for file in names.BLOB_FILES}

    def content(self, name: str) -> TaskContent:
        """The tensors of the task `name`. UnknownNameError or DamagedStoreError."""
        return content.decode(self._blob_reader(name), self.shared, place_of(self._ref(name)))

    def subnet(self, name: str) -> SubNetwork:
        """What others may reuse of the task `name`: damage to what it keeps for itself does not matter.

        UnknownNameError or DamagedStoreError.
        """
        return content.decode_subnet(self._blob_reader(name), self.shared, place_of(self._ref(name)))

    def unproven_subnet(self, name: str) -> SubNetwork:
        """`subnet` of a task whose record is lost, so that nothing says whether its files are as they were written."""
        where = place_of(self._ref(name))
        return content.decode_subnet(
            lambda file: durable.read(self.path / where / file, where + file, self.header.base.bytes + (1 << 20)),
            self.shared,
            where,
        )

    def private_of(self, name: str) -> dict[str, Tensor]:
        """What the task `name` keeps for itself. UnknownNameError or DamagedStoreError."""
        return content.decode_private(self._blob_reader(name), place_of(self._ref(name)))

    def outline(self, name: str) -> Outline:
        """Which weights the task `name` claims, and which it reuses: mask.bin alone is read.

        UnknownNameError or DamagedStoreError.
        """
        where = place_of(self._ref(name))
        return mask_file.decode(self._blob_reader(name)(names.MASK_FILE), self.shared, where + names.MASK_FILE)

    def base(self) -> dict[str, Tensor]:
        """Every tensor of the network the store began from. DamagedStoreError."""
        tensors = self._tensors(self.header.base, _BASE_REMEDY)
        if fingerprint(self.shared, tensors) != self.header.fingerprint:
            what = "does not fit base.safetensors: the fingerprint is another"
            raise DamagedFileError(names.STORE_FILE, what, RESTORE_STORE)
        return tensors

    def is_like(self, tensors: Mapping[str, Tensor]) -> bool:
        """Whether they have the names, shapes and dtypes of the base network; its file is not read."""
        names = {spec.name for spec in self.shared}
        return names <= tensors.keys() and fingerprint(self.shared, tensors) == self.header.fingerprint

    def carry(self, method: str) -> dict[str, Tensor] | None:
        """The training state that the newest task with any left, if it was of this method; else None."""
        ref = self.header.carry
        return self._tensors(ref, _CARRY_REMEDY) if ref and ref.method == method else None

    def snapshot(self) -> Held | None:
        """What the first tasks hold, gathered by a commit; None where there is none that can be read."""
        ref = self.header.snapshot
        if ref is None:
            return None
        try:
            data = durable.read_checked(self.path / ref.file, ref.file, ref.sha256, ref.bytes, snapshot.REMEDY)
            return snapshot.decode(data, self.shared, self.task_names()[: ref.tasks], ref.file)
        except StoreError:
            return None  # the tasks say it all; verify names the damage

    def _blob_reader(self, name: str) -> Callable[[str], bytes]:
        record, where = self.record(name), place_of(self._ref(name))

        def read(file: str) -> bytes:
            blob = record.blobs[file]
            return durable.read_checked(self.path / where / file, where + file, blob["sha256"], blob["bytes"])

        return read

    def _tensors(self, ref: FileRef, remedy: str) -> dict[str, Tensor]:
        data = durable.read_checked(self.path / ref.file, ref.file, ref.sha256, ref.bytes, remedy)
        return tensors_file.decode(data, ref.file, remedy)
