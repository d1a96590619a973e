from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import mounts

TABLE = r"""
22 27 0:21 / / rw,relatime shared:1 - ext4 /dev/sda rw
23 22 0:22 / /home rw - xfs /dev/sdb rw
24 22 0:23 / /mnt/team\040share rw shared:7 master:2 - nfs4 server:/x rw
25 22 0:24 / /mnt/hidden rw - ext4 /dev/sdc rw
26 22 0:25 / /mnt/hidden rw - cifs //server/x rw
27 24 0:26 / /mnt/team\040share/local rw - tmpfs tmpfs rw
28 22 0:27 / /ho rw - 9p host rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/no/such/thing", "ext4"),
        ("/home/me/.local/pixmill.db", "xfs"),
        ("/homeless", "ext4"),
        ("/mnt/team share/a/b.db", "nfs4"),
        ("/mnt/team share/local/b.db", "tmpfs"),
        ("/mnt/hidden/b.db", "cifs"),
    ],
)
def test_the_deepest_and_latest_mount_holds_a_path(
    path: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE.strip())
    monkeypatch.setattr(mounts, "existing", lambda path: path)  # the mounts above are not there
    assert mounts.kind(Path(path), table) == kind


def test_a_link_is_followed(tmp_path: Path) -> None:
    real, link, table = tmp_path / "real", tmp_path / "link", tmp_path / "mountinfo"
    real.mkdir()
    link.symlink_to(real)
    table.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {real} rw - nfs x rw\n")
    assert mounts.kind(link / "new" / "pixmill.db", table) == "nfs"
    assert mounts.kind(tmp_path / "else" / "pixmill.db", table) == "ext4"


def test_this_machine_has_a_table() -> None:
    assert mounts.kind(Path("/proc/self")) == "proc"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs"])
def test_network_file_systems_are_known(kind: str) -> None:
    assert kind in mounts.NETWORK


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuse.mergerfs"])
def test_local_file_systems_are_not_refused(kind: str) -> None:
    assert kind not in mounts.NETWORK
