"""Servers of a team, real ones: each on 127.0.0.1 and a free port, in a folder of its own, gone with the session."""

from __future__ import annotations

import getpass
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import requests
from psycopg2 import sql
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tasks.engine import keeper

START_SECONDS = 120.0
USER = "team"
PASSWORD = "an-open-secret"


@dataclass
class Server:
    """A program that listens on a port of 127.0.0.1 until it is stopped; may be started again."""

    words: list[str]
    port: int
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    health: str | None = None
    """A path that is answered with 200 once it serves; None where an open port says so."""
    keeper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        surroundings = {
            key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))
        }
        with self.log.open("ab") as stream:
            self.keeper = keeper.start(
                self.words, env={**surroundings, **self.environment}, stdout=stream, stderr=stream
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.keeper.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"{self.words[0]} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it with all that it has started; nothing when it does not run."""
        if self.keeper is not None:
            self.keeper.terminate()
            self.keeper.wait()

    def kill(self) -> None:
        """End it at once, with no leave to end anything first."""
        assert self.keeper is not None
        for process in psutil.Process(self.keeper.pid).children(recursive=True):
            process.kill()
        self.keeper.wait()

    def _answers(self) -> bool:
        if self.health is None:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        try:
            return requests.get(f"{self.url}{self.health}", timeout=5).ok
        except requests.RequestException:
            return False


@dataclass
class Postgres(Server):
    """A PostgreSQL cluster that asks everybody for a password."""

    def database(self, like: str = "template1") -> str:
        """URL of a new database; `like` names one whose tables it has too, nobody may be connected to that."""
        name = f"db{secrets.token_hex(4)}"
        words = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(like))
        connection = psycopg2.connect(self.address("postgres"))
        connection.autocommit = True
        try:
            connection.cursor().execute(words)
        finally:
            connection.close()
        return self.address(name)

    def address(self, name: str, password: str = PASSWORD) -> str:
        """URL of a database."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{name}"

    def _answers(self) -> bool:
        # The port is open while it still starts up.
        try:
            psycopg2.connect(self.address("postgres")).close()
        except psycopg2.OperationalError:
            return False
        return True


@dataclass
class MlflowServer(Server):
    """`mlflow server` on PostgreSQL, artefacts through it into `artifacts`."""

    database: str = ""
    artifacts: Path = Path()
    log_in: Mapping[str, str] = field(default_factory=dict)
    """MLflow's own variables for who asks it; empty where it asks nobody."""

    @property
    def variables(self) -> dict[str, str]:
        """What a user sets to be with this server."""
        return {"MLFLOW_TRACKING_URI": self.url, **self.log_in}


@dataclass(frozen=True)
class Remote:
    """A place for `dvc remote add NAME URL`, with the options that `dvc remote modify --local` sets."""

    url: str
    options: Mapping[str, str]
    folder: Path | None = None
    """Where what is pushed lies on this machine, if it is files."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def debian(program: str, package: str, *places: str) -> str:
    """Path of the newest version of a program; skips the test where Debian's package is missing."""
    found = sorted(
        file
        for place in ("/usr/sbin", "/usr/bin", *places)
        for file in Path("/").glob(f"{place[1:]}/{program}")
    )
    if not found:
        pytest.skip(f"{program} is not here: install Debian's package {package}")
    return str(found[-1])


@pytest.fixture(scope="session")
def servers() -> Iterator[ExitStack]:
    """Ends what is entered into it with the session, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def server_folder(servers: ExitStack) -> Path:
    """A folder that other accounts of this machine may enter, as PostgreSQL's must."""
    folder = Path(tempfile.mkdtemp(prefix="attrec-servers-"))
    folder.chmod(0o755)
    servers.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


@pytest.fixture(scope="session")
def postgres(servers: ExitStack, server_folder: Path) -> Postgres:
    """Debian's PostgreSQL; `database()` makes a new one, `stop()` and `start()` take it away for a while."""
    initdb = debian("initdb", "postgresql", "/usr/lib/postgresql/*/bin")
    data, secret = server_folder / "postgres", server_folder / "password"
    data.mkdir()
    secret.write_text(f"{PASSWORD}\n")
    # PostgreSQL refuses to run as root.
    account: list[str] = []
    if os.getuid() == 0:
        account = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
        user = pwd.getpwnam("postgres")
        os.chown(data, user.pw_uid, user.pw_gid)
    made = subprocess.run(
        [
            *(*account, initdb, "--pgdata", str(data), "--username", USER, "--pwfile", str(secret)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
        ],
        cwd=server_folder,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "off",
        "max_connections": "200",
    }
    words = [*account, str(Path(initdb).with_name("postgres")), "-D", str(data)]
    words += [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    server = Postgres(words, port, server_folder / "postgres.log")
    servers.callback(server.stop)
    server.start()
    return server


@pytest.fixture(scope="session")
def mlflow_database(postgres: Postgres) -> Callable[[], str]:
    """Gives the URL of a new database that has MLflow's tables: to make them takes longer than to copy them."""
    first = postgres.database()
    upgrade = [sys.executable, "-m", "mlflow", "db", "upgrade", first]
    made = subprocess.run(upgrade, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-3000:]
    return lambda: postgres.database(like=first.rpartition("/")[2])


@pytest.fixture(scope="session")
def new_mlflow_server(
    servers: ExitStack, server_folder: Path, mlflow_database: Callable[[], str]
) -> Callable[..., MlflowServer]:
    """Makes another `mlflow server` on a database of its own; not started yet.

    With `basic_auth=True` it asks for a name and a password; `artifacts` names another destination of the artefacts.
    """

    def make(
        basic_auth: bool = False, artifacts: Path | None = None, database: str | None = None
    ) -> MlflowServer:
        port = free_port()
        folder = server_folder / f"mlflow-{port}"
        folder.mkdir()
        destination = folder / "artifacts" if artifacts is None else artifacts
        database = mlflow_database() if database is None else database
        words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
        words += ["--workers", "1", "--backend-store-uri", database]
        words += ["--serve-artifacts", "--artifacts-destination", str(destination)]
        surroundings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        log_in: dict[str, str] = {}
        if basic_auth:
            words += ["--app-name", "basic-auth"]
            settings = folder / "auth.ini"
            settings.write_text(
                "[mlflow]\n"
                "default_permission = READ\n"
                f"database_uri = sqlite:///{folder / 'auth.db'}\n"
                "admin_username = admin\n"
                f"admin_password = {PASSWORD}\n"
                "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            )
            surroundings |= {
                "MLFLOW_AUTH_CONFIG_PATH": str(settings),
                "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
            }
            log_in = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
        server = MlflowServer(
            words, port, folder / "server.log", surroundings, "/health", None, database, destination, log_in
        )
        servers.callback(server.stop)
        return server

    return make


@pytest.fixture(scope="session")
def mlflow_server(new_mlflow_server: Callable[..., MlflowServer]) -> MlflowServer:
    """A running `mlflow server` on PostgreSQL, one for all tests that leave it as it is."""
    server = new_mlflow_server()
    server.start()
    return server


def ask_prefect(api: str, path: str, body: Any = None, secret: str = "") -> Any:
    """What a Prefect API answers to a POST.

    Args:
        api: Ends in /api.
        secret: `user:password`.
    """
    # Prefect says 503 while its SQLite file is locked, which its own client too takes as "try again".
    again = Retry(total=5, backoff_factor=0.5, status_forcelist=[503], allowed_methods=["POST"])
    user, _, password = secret.partition(":")
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=again))
        answer = session.post(f"{api}{path}", json=body or {}, auth=(user, password), timeout=30)
    answer.raise_for_status()
    return answer.json()


@pytest.fixture(scope="session")
def prefect_server_on_postgres(servers: ExitStack, server_folder: Path, postgres: Postgres) -> Server:
    """A running Prefect server on PostgreSQL; `url` lacks the `/api` of PREFECT_API_URL."""
    port = free_port()
    words = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    surroundings = {
        "PREFECT_HOME": str(server_folder / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": postgres.database().replace("://", "+asyncpg://"),
    }
    server = Server(words, port, server_folder / "prefect.log", surroundings, "/api/health")
    servers.callback(server.stop)
    server.start()
    return server


@pytest.fixture(scope="session")
def ssh_remote(servers: ExitStack, server_folder: Path) -> Remote:
    """OpenSSH's server for the current user, who has a key and no password."""
    sshd = debian("sshd", "openssh-server")
    keygen = debian("ssh-keygen", "openssh-client")
    folder = server_folder / "ssh"
    store = folder / "store"
    store.mkdir(parents=True)
    for key in ("host_key", "user_key"):
        made = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(folder / key)]
        subprocess.run(made, check=True)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nPidFile none\n"
        f"HostKey {folder / 'host_key'}\nAuthorizedKeysFile {folder / 'user_key.pub'}\n"
        f"AllowUsers {getpass.getuser()}\nPermitRootLogin prohibit-password\nAuthenticationMethods publickey\n"
        "StrictModes no\nUsePAM no\nSubsystem sftp internal-sftp\n"
    )
    server = Server([sshd, "-D", "-e", "-f", str(folder / "config")], port, folder / "server.log")
    servers.callback(server.stop)
    server.start()
    options = {"user": getpass.getuser(), "port": str(port), "keyfile": str(folder / "user_key")}
    return Remote(f"ssh://127.0.0.1{store}", options, store)


@pytest.fixture(scope="session")
def s3_remote(servers: ExitStack, server_folder: Path) -> Remote:
    """A bucket of moto's server, which speaks the protocol of S3."""
    import boto3

    port = free_port()
    words = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    server = Server(words, port, server_folder / "s3.log", health="/moto-api/")
    servers.callback(server.stop)
    server.start()
    options = {
        "endpointurl": server.url,
        "access_key_id": "team",
        "secret_access_key": "secret",
        "region": "us-east-1",
    }
    boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id="team",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    ).create_bucket(Bucket="attrec")
    return Remote("s3://attrec/store", options)


@pytest.fixture(scope="session")
def webdav_remote(servers: ExitStack, server_folder: Path) -> Remote:
    """lighttpd with mod_webdav, which asks for a name and a password."""
    lighttpd = debian("lighttpd", "lighttpd")
    debian("mod_webdav.so", "lighttpd-mod-webdav", "/usr/lib/lighttpd")
    folder = server_folder / "webdav"
    store = folder / "www" / "store"
    store.mkdir(parents=True)
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
    port = free_port()
    (folder / "config").write_text(
        'server.modules = ("mod_auth", "mod_authn_file", "mod_webdav")\n'
        'server.bind = "127.0.0.1"\n'
        f"server.port = {port}\n"
        f'server.document-root = "{folder / "www"}"\n'
        f'server.upload-dirs = ("{folder}")\n'
        'webdav.activate = "enable"\n'
        # What DVC pulls is asked for without a Depth, which means this.
        'webdav.opts = ("propfind-depth-infinity" => "enable")\n'
        'auth.backend = "plain"\n'
        f'auth.backend.plain.userfile = "{folder / "users"}"\n'
        'auth.require = ("" => ("method" => "basic", "realm" => "store", "require" => "valid-user"))\n'
    )
    server = Server([lighttpd, "-D", "-f", str(folder / "config")], port, folder / "server.log")
    servers.callback(server.stop)
    server.start()
    return Remote(f"webdav://127.0.0.1:{port}/store", {"user": USER, "password": PASSWORD}, store)
