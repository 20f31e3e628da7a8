"""A server that speaks TLS itself: what its files may be, and our clients against it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from headwater.client import connect
from headwater.config import ServerSettings, Settings
from headwater.errors import ConfigError
from headwater.lifetime import running
from headwater.server.http.client_script import BUILT
from headwater.server.http.forwarded import Proxies
from headwater.server.listen.addresses import Addresses
from headwater.server.listen.serve import HttpServer
from headwater.server.listen.tls import Renewal, read_tls
from support.command import environment
from support.ear import Ear
from support.node import find
from support.socket_server import answer
from support.steps_project import write
from support.tls import Pair, make_certificate, openssl

NPM = Path(__file__).parents[1] / "npm"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def read(project: Path, cert: str | Path = "", key: str | Path = "") -> ssl.SSLContext | None:
    server = ServerSettings(tls_cert=str(cert), tls_key=str(key))
    return read_tls(Settings(project=project, server=server))


def fault(project: Path, cert: str | Path = "", key: str | Path = "") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(project, cert, key)
    assert caught.value.hint
    return caught.value


def test_without_files_there_is_none(tmp_path: Path) -> None:
    assert read(tmp_path) is None


def test_paths_are_relative_to_the_project_and_one_file_may_hold_both(pair: Pair, tmp_path: Path) -> None:
    assert read(pair.cert.parent, pair.cert.name, pair.key.name)
    both = tmp_path / "both.pem"
    both.touch(0o600)
    both.write_text(pair.key.read_text() + pair.cert.read_text())
    assert read(tmp_path, "both.pem")


def test_each_fault_names_its_file_and_setting(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n")
    locked = tmp_path / "locked.key"
    openssl("pkey", "-in", str(pair.key), "-aes256", "-passout", "pass:secret", "-out", str(locked))
    other = make_certificate(tmp_path, "other")
    for cert, key, setting, says in [
        ("", pair.key, "tls_key", "tls_cert is not"),
        ("missing.pem", pair.key, "tls_cert", "No such file"),
        (tmp_path, pair.key, "tls_cert", "Is a directory"),
        (pair.cert, "missing.key", "tls_key", "No such file"),
        ("empty.pem", pair.key, "tls_cert", "no certificate"),
        ("broken.pem", pair.key, "tls_cert", "cannot be used"),
        (pair.cert, "empty.pem", "tls_key", "no private key"),
        (pair.cert, "", "tls_cert", "no private key"),
        (pair.cert, locked, "tls_key", "has a passphrase"),
        (pair.cert, other.key, "tls_key", "is not that of the certificate"),
    ]:
        error = fault(tmp_path, cert, key)
        assert error.details["setting"] == f"server.{setting}"
        assert f"[server] {setting}" in error.message
        assert says in error.message
        assert not setting.endswith("key") or "secret" not in error.message


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True), (0o620, True)])
def test_a_key_that_others_may_read_is_told(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, told: bool
) -> None:
    key = tmp_path / "a.key"
    key.write_text(pair.key.read_text())
    key.chmod(mode)
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path, pair.cert, key)
    assert [f"chmod 600 {key}" in record.getMessage() for record in caplog.records] == [True] * told


async def test_the_store_is_not_touched_when_a_file_is_at_fault(tmp_path: Path) -> None:
    settings = Settings(project=tmp_path, server=ServerSettings(port=0, tls_cert="missing.pem"))
    with pytest.raises(ConfigError):
        async with running(settings):
            raise AssertionError
    assert list(tmp_path.iterdir()) == []


STREAM = """
config = {"name": "room", "schema": {"type": "object"}, "baseConfig": {"storageType": "default"}}
"""
STEP = """
config = {"name": "put", "type": "api", "path": "/put", "method": "POST", "emits": []}
async def handler(req, ctx):
    await ctx.streams.room.set("g", "a", {"n": 1})
    return {"status": 200, "body": req["headers"]["host"]}
"""
SCRIPT = """
import WebSocket from 'ws'
const [script, url, transport] = process.argv.slice(1)
const { connect } = await import(script)
const client = connect(url, { WebSocket, transport })
client.group('room', 'g').addChangeListener((items) => {
  console.log(JSON.stringify(items))
  client.close()
})
"""


async def test_our_clients_speak_with_it(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"steps/room_stream.py": STREAM, "steps/put_step.py": STEP})
    server = ServerSettings(port=0, tls_cert=str(pair.cert), tls_key=str(pair.key))
    monkeypatch.setenv("SSL_CERT_FILE", str(pair.cert))
    async with running(Settings(project=tmp_path, server=server)) as site:
        assert site.url.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(verify=ssl.create_default_context(), base_url=site.url) as client:
            assert (await client.post("/put")).text
            page = await client.get("/headwater/client.js", headers={"origin": site.url})
            assert page.status_code == 200
        for url in (site.url, site.url.replace("https", "wss")):
            async with connect(url) as client:
                group = client.group("room", "g")
                assert [item["n"] for item in await anext(group)] == [1]
                await group.aclose()
        # Who speaks plain HTTP with it gets no answer and does no harm.
        async with httpx.AsyncClient() as plain:
            with pytest.raises(httpx.HTTPError):
                await plain.get(site.url.replace("https", "http"))
        for transport in ("websocket", "sse"):
            said = await asyncio.to_thread(from_node, site.url, transport, pair)
            assert [item["n"] for item in json.loads(said)] == [1]


async def test_who_never_ends_a_handshake_is_let_go(pair: Pair, tmp_path: Path) -> None:
    server = ServerSettings(port=0, read_timeout=0.2, tls_cert=str(pair.cert), tls_key=str(pair.key))
    tls = read_tls(Settings(project=tmp_path, server=server))
    async with HttpServer(answer, server, tls=tls) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        async with asyncio.timeout(30):  # By itself TLS waits for a minute.
            assert await reader.read() == b""
        writer.close()


async def test_who_never_shakes_hands_is_counted_and_holds_no_more_than_who_does(
    pair: Pair, tmp_path: Path
) -> None:
    server = ServerSettings(port=0, max_connections=20, tls_cert=str(pair.cert), tls_key=str(pair.key))
    tls = read_tls(Settings(project=tmp_path, server=server))
    ear = Ear()
    async with HttpServer(answer, server, observer=ear, tls=tls) as site:
        silent = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(100)]
        await ear.until("limited", 77)
        assert set(ear.limits()) == {"server.max_connections"}
        assert len(site._config.shaking) == 23
        refused = await get(site.port)
        assert refused == b"" or refused.startswith(b"HTTP/1.1 503 ")
        for _, writer in silent:
            writer.close()
        async with asyncio.timeout(30):
            while not (await get(site.port)).startswith(b"HTTP/1.1 200 "):
                await asyncio.sleep(0.01)


async def test_connections_of_one_address_count_before_their_handshake(pair: Pair, tmp_path: Path) -> None:
    server = ServerSettings(
        port=0, max_connections_per_address=5, tls_cert=str(pair.cert), tls_key=str(pair.key)
    )
    tls = read_tls(Settings(project=tmp_path, server=server))
    ear = Ear()
    async with HttpServer(answer, server, observer=ear, tls=tls) as site:
        addresses = Addresses(server, Proxies(server), excepts_loopback=False)
        site._config.addresses = addresses
        silent = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(5)]
        assert (await get(site.port)).startswith(b"HTTP/1.1 429 ")
        assert (await get(site.port, "127.0.0.2")).startswith(b"HTTP/1.1 200 ")
        for _, writer in silent:
            writer.close()
        async with asyncio.timeout(30):
            while addresses.held_by("127.0.0.1"):
                await asyncio.sleep(0.01)
    assert ear.limits() == ["server.max_connections_per_address"]


async def test_what_is_no_handshake_ends_its_connection_and_fills_no_log(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = ServerSettings(port=0, tls_cert=str(pair.cert), tls_key=str(pair.key))
    tls = read_tls(Settings(project=tmp_path, server=server))
    async with HttpServer(answer, server, tls=tls) as site:
        for odd in (b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", b"\x16\x03\x01\xff\xff", b"\0" * 5000):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(odd)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 30)
            writer.close()
        assert (await get(site.port)).startswith(b"HTTP/1.1 200 ")
        assert not site._config.shaking
    assert caplog.text == ""


async def get(port: int, address: str = "127.0.0.1") -> bytes:
    """The beginning of an answer by TLS; empty where the connection is cut."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=blind, local_addr=(address, 0))
    except OSError:
        return b""
    writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    try:
        return await asyncio.wait_for(reader.read(100), 30)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_renewed_certificate_is_taken_and_a_faulty_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, other = (make_certificate(tmp_path, name) for name in ("first", "second", "other"))
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    server = ServerSettings(port=0, tls_cert="cert.pem", tls_key="key.pem")
    settings = Settings(project=tmp_path, server=server)

    def place(of_cert: Path, of_key: Path) -> None:
        for source, target in ((of_cert, cert), (of_key, key)):
            fresh = tmp_path / "fresh"
            fresh.touch(0o600)
            fresh.write_bytes(source.read_bytes())
            fresh.replace(target)

    place(*first)
    tls = read_tls(settings)
    assert tls is not None
    renewal = Renewal(tls, settings)
    async with HttpServer(answer, server, tls=tls) as site:
        for placed, shown in [
            (first, first),
            ((second.cert, other.key), first),
            (second, second),
            ((Path("/dev/null"), second.key), second),
        ]:
            place(*placed)
            renewal.look()
            renewal.look()
            assert await shown_by(site.port) == ssl.PEM_cert_to_DER_cert(shown.cert.read_text())
    assert len([one for one in caplog.records if "is not taken" in one.getMessage()]) == 2


async def shown_by(port: int) -> bytes:
    """The certificate that a client is shown."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=blind)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return found


def from_node(url: str, transport: str, pair: Pair) -> str:
    """What the TypeScript client sees."""
    command = [str(find().node), "--input-type=module", "-e", SCRIPT, str(BUILT), url, transport]
    env = {**environment(), "NODE_EXTRA_CA_CERTS": str(pair.cert)}
    done = subprocess.run(command, env=env, cwd=NPM, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
    return done.stdout
