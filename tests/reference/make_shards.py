"""Tar files of every dialect, written by Python's tarfile and GNU tar, and what tarfile reads in them.

    python tests/reference/make_shards.py

Writes tests/data/shards/*.tar and members.json. Needs GNU tar.
"""

import io
import json
import pathlib
import subprocess
import tarfile
import tempfile

OUT = pathlib.Path(__file__).parent.parent / "data" / "shards"
LONG = "a/" * 60 + "st.peter-" + "x" * 60 + "-é.jpg"


def member(tar, name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def python_tars():
    formats = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}
    for name, format in formats.items():
        with tarfile.open(OUT / f"{name}.tar", "w", format=format) as tar:
            member(tar, "folder", type=tarfile.DIRTYPE)
            member(tar, "folder/1.txt", b"one")
            if name != "ustar":
                member(tar, LONG, b"long name")
                member(tar, "link.jpg", type=tarfile.SYMTYPE, linkname=LONG)
            member(tar, "hard.jpg", type=tarfile.LNKTYPE, linkname="folder/1.txt")
            member(tar, "pipe", type=tarfile.FIFOTYPE)
            member(tar, "empty.txt")
            if name == "pax":
                member(tar, "field.txt", b"field", pax_headers={"comment": "a=b", "mtime": "1.5"})
            member(tar, "last.txt", b"x" * 512)


def gnu_tars():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "1.txt").write_bytes(b"one")
        with open(folder / "holes.jpg", "wb") as file:
            for i in range(6):
                file.seek(i * 100_000)
                file.write(b"data")
        (folder / "2.txt").write_bytes(b"two")
        names = ["1.txt", "holes.jpg", "2.txt"]
        for name, options in {
            "sparse-old": ["--format=oldgnu", "-S"],
            "sparse-pax": ["--format=pax", "-S"],
            "v7": ["--format=v7"],
        }.items():
            files = ["1.txt", "2.txt"] if name == "v7" else names
            command = ["tar", "-b1", *options, "--mtime=@0", "--owner=0", "--group=0"]
            subprocess.run([*command, "-cf", OUT / f"{name}.tar", *files], cwd=folder, check=True)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    python_tars()
    gnu_tars()
    members = {}
    for path in sorted(OUT.glob("*.tar")):
        with tarfile.open(path) as tar:
            members[path.name] = [
                {
                    "name": info.name,
                    "offset": info.offset_data,
                    "kind": "sparse" if info.issparse() else
                    {"0": "file", "\0": "file", "5": "folder", "1": "link", "2": "link"}.get(
                        info.type.decode(), "other"
                    ),
                    "text": tar.extractfile(info).read().decode()
                    if info.isfile() and not info.issparse()
                    else "",
                }
                for info in tar
            ]
    text = json.dumps(members, indent=1, ensure_ascii=False)
    (OUT / "members.json").write_text(text + "\n")


main()
