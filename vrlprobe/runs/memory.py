"""HDF5 files made in memory: the library does not survive a write that fails."""

import io


class Memory(io.BytesIO):
    """A file in memory that HDF5 writes to; `getbuffer` gives its bytes.

    `truncate` makes a file longer, too, as a system's does. HDF5 counts on it: the file's header
    says how long the file is, and a shorter one is cut off.
    """

    def truncate(self, size: int | None = None) -> int:
        """Cut the file, or fill it up with zeros, to `size` bytes; where it stands, if None."""
        wanted = self.tell() if size is None else size
        there = self.getbuffer().nbytes
        if wanted <= there:
            return super().truncate(wanted)
        stands = self.tell()
        self.seek(there)
        self.write(bytes(wanted - there))
        self.seek(stands)
        return wanted
