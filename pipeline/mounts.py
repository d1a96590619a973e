"""The kind of file system a path lies on, from the kernel's table of mounts."""

from __future__ import annotations

import re
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")

# File systems whose files other hosts may write at the same time.
NETWORK = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre"),
        *("ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs"),
        *("fuse.ceph", "fuse.ceph-fuse", "fuse.curlftpfs", "fuse.davfs", "fuse.davfs2", "fuse.gcsfuse"),
        *("fuse.glusterfs", "fuse.gvfsd-fuse", "fuse.juicefs", "fuse.mount-s3", "fuse.rclone", "fuse.s3fs"),
        *("fuse.smbnetfs", "fuse.sshfs"),
    }
)


def kind(path: Path, table: Path = TABLE) -> str:
    """The file system's name, such as ext4 or nfs4; empty when the table does not tell."""
    place = existing(path).resolve()
    found, depth = "", -1
    for line in table.read_text(errors="surrogateescape").splitlines():
        # ID PARENT DEVICE ROOT MOUNTPOINT OPTIONS [FIELDS...] - KIND SOURCE OPTIONS
        fields = line.split()
        mounted = Path(_plain(fields[4]))
        # The deepest mount point above the path holds it; of two on one point the later hides the earlier.
        if place.is_relative_to(mounted) and len(mounted.parts) >= depth:
            found, depth = fields[fields.index("-", 6) + 1], len(mounted.parts)
    return found


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _plain(escaped: str) -> str:
    """Blanks, tabs, newlines and backslashes stand in the table as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), escaped)
