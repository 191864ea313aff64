"""A PostgreSQL server that lives as long as a test run, for whoever tests against the real thing."""

import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from carnet.testing.ports import HOST, free_port

_USERS = ("postgres", "nobody")
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "deadlock_timeout": "100ms",
}


class UnavailableError(Exception):
    """There is no PostgreSQL on this machine that could be started; the message says what is missing."""


def _binaries() -> Path:
    found = shutil.which("pg_ctl")
    if found is not None and Path(found).resolve().with_name("initdb").exists():
        return Path(found).resolve().parent
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if not installed:
        raise UnavailableError(
            "PostgreSQL's server is not installed (Debian: apt-get install postgresql): neither in PATH nor in "
            "/usr/lib/postgresql is there a pg_ctl with its initdb."
        )
    return max(installed, key=lambda path: int(path.parent.name))


def _user() -> pwd.struct_passwd:
    """Who runs the server: it refuses to be run by root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise UnavailableError("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody.")


class PostgresqlServer:
    """A server with an empty cluster in a temporary directory, on a free port of 127.0.0.1; a context manager.

    `durable=False` leaves out what protects against a loss of power: for tests that do not measure it.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._binaries = _binaries()
        self._user = _user()
        self._durable = durable
        self._names = count(1)
        self._port = 0
        self._directory = Path()

    def start(self) -> None:
        """Make the cluster, start the server and wait until it answers.

        Raises:
            UnavailableError: it did not start; its log is in the message.
        """
        self._directory = Path(tempfile.mkdtemp(prefix="carnet-postgresql-"))
        os.chown(self._directory, self._user.pw_uid, self._user.pw_gid)
        self._port = free_port()
        settings = {**_SETTINGS, "port": str(self._port), "fsync": "on" if self._durable else "off"}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        try:
            self._run("initdb", "-U", "carnet", "-A", "trust", "-E", "UTF8", "--locale=C", "-N", "-D", self._data)
            self._run("pg_ctl", "start", "-w", "-t", "60", "-D", self._data, "-l", self._log, "-o", options)
        except subprocess.CalledProcessError as error:
            log = Path(self._log).read_text(errors="replace") if Path(self._log).exists() else error.output
            shutil.rmtree(self._directory, ignore_errors=True)
            raise UnavailableError(f"PostgreSQL did not start:\n{log}") from error

    def stop(self) -> None:
        """End the server of this directory, and remove the directory."""
        try:
            self._run("pg_ctl", "stop", "-w", "-t", "60", "-m", "immediate", "-D", self._data)
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def create_database(self, *, like: str | None = None) -> str:
        """Make a database, empty or a copy of the one at this URL, to which nobody is connected; the answer is its URL."""
        name = f"carnet_{next(self._names)}"
        template = "template0" if like is None else like.rpartition("/")[2]
        self._run("createdb", "-h", HOST, "-p", str(self._port), "-U", "carnet", "-T", template, name)
        return f"postgresql://carnet@{HOST}:{self._port}/{name}"

    def drop_database(self, url: str) -> None:
        """Remove a database that `create_database` made, whoever is still connected to it."""
        name = url.rpartition("/")[2]
        self._run("dropdb", "-h", HOST, "-p", str(self._port), "-U", "carnet", "-f", name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _data(self) -> str:
        return str(self._directory / "data")

    @property
    def _log(self) -> str:
        return str(self._directory / "log")

    def _run(self, program: str, *arguments: str) -> None:
        as_other = os.geteuid() == 0
        subprocess.run(  # noqa: S603 - PostgreSQL's own programs, with arguments that are made here
            [self._binaries / program, *arguments],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=self._directory,
            user=self._user.pw_uid if as_other else None,
            group=self._user.pw_gid if as_other else None,
            extra_groups=[] if as_other else None,
        )
