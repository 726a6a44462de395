"""Files: `client.files`."""

from tunery import _calls as calls
from tunery._callers import Caller
from tunery._inputs import id_of
from tunery._uploads import FileBody, OnProgress, Source, media_type_of, name_of
from tunery.types import File


class Files:
    """Uploaded files: `client.files`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def upload(
        self,
        source: Source,
        *,
        name: str | None = None,
        media_type: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> File:
        """Upload a path, bytes or an open binary file, in pieces; what arrived is checked.

        Raises:
            OSError: the file can't be read.
            InvalidArgument: the name does not say the media type, nor does `media_type`.
        """
        called = name or name_of(source)
        body = FileBody(source, on_progress)
        call = calls.upload_file(body, name=called, media_type=media_type or media_type_of(called))
        file = self._caller.send(call)
        body.check(file)
        return file

    def get(self, file: str | File) -> File:
        """Return a file's description."""
        return self._caller.send(calls.get_file(id_of(file)))

    def delete(self, file: str | File) -> None:
        """Delete a file; datasets that were made from it stay."""
        self._caller.send(calls.delete_file(id_of(file)))
