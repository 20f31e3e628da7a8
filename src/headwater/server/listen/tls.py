"""The certificate of a server that speaks TLS itself. Owns what is wrong with its files, in words: those of
OpenSSL name neither the file nor the fault.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import stat
from pathlib import Path

from headwater.config import Settings
from headwater.errors import ConfigError

log = logging.getLogger("headwater.server")

_CERT, _KEY = "server.tls_cert", "server.tls_key"
LOOK_SECONDS = 60.0
"""How often the files are looked at."""

_MAKE = (
    "for a try, `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
    "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem` makes both"
)


def read_tls(settings: Settings) -> ssl.SSLContext | None:
    """TLS by `[server] tls_cert` and `tls_key`, whose paths are relative to the project; None without them.
    A key that others on this machine may read is told in the log.

    :raises ConfigError: a file is missing, cannot be read, holds something else, has a passphrase, or they do
        not belong together; `details` name `setting` and `file`.
    """
    if not settings.server.tls_cert:
        if settings.server.tls_key:
            raise _fault(_KEY, "tls_key is set, and tls_cert is not", "tls_cert names the certificate's file")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load(context, settings)
    return context


class Renewal:
    """Takes a certificate anew when its files change: they are replaced every few weeks, and a server that
    goes on with the old one is cut off from everybody on the day that ends."""

    def __init__(self, tls: ssl.SSLContext, settings: Settings) -> None:
        self._tls = tls
        self._settings = settings
        self._seen = self._marks()

    async def run(self) -> None:
        """Look every minute, until cancelled. In the loop, not beside it: no handshake may be under way in
        OpenSSL while its context changes."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Take what has changed, for connections from now on; a fault is told, and what there was stays."""
        marks = self._marks()
        if marks == self._seen:
            return
        try:
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self._settings)
            _load(self._tls, self._settings)
        except ConfigError as error:
            text = "The certificate has changed and is not taken, the one before stays: %s %s"
            log.warning(text, error.message, error.hint)
        else:
            log.info("The certificate has changed and is taken for connections from now on")
        self._seen = marks

    def _marks(self) -> list[tuple[int, int] | None]:
        marks: list[tuple[int, int] | None] = []
        for path in _files(self._settings)[:2]:
            try:
                found = path.stat()
            except OSError:
                marks.append(None)
            else:
                marks.append((found.st_mtime_ns, found.st_ino))
        return marks


def _files(settings: Settings) -> tuple[Path, Path, str]:
    """The certificate's, the key's, and the setting that names that."""
    server = settings.server
    cert = settings.project / server.tls_cert
    return (cert, settings.project / server.tls_key, _KEY) if server.tls_key else (cert, cert, _CERT)


def _load(context: ssl.SSLContext, settings: Settings) -> None:
    cert, key, key_setting = _files(settings)
    if "-----BEGIN CERTIFICATE-----" not in _read(cert, _CERT):
        raise _fault(_CERT, f'"{cert}" holds no certificate in PEM', _MAKE, cert)
    text = _read(key, key_setting)
    if "PRIVATE KEY-----" not in text:
        hint = "tls_key names the file of the private key" if key == cert else _MAKE
        raise _fault(key_setting, f'"{key}" holds no private key in PEM', hint, key)
    if "ENCRYPTED" in text:
        hint = (
            f"nobody types it when the server starts; `openssl pkey -in {key} -out FILE` writes one without"
        )
        raise _fault(key_setting, f'the private key in "{key}" has a passphrase', hint, key)
    _see_who_may_read(key)
    try:
        context.load_cert_chain(cert, key, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            told = f'the private key in "{key}" is not that of the certificate in "{cert}"'
            hint = "the certificate of the server comes first in its file, those of authorities behind it"
            raise _fault(key_setting, told, hint, key) from None
        told = f'"{cert}" and "{key}" cannot be used for TLS: {error.reason or "they are damaged"}'
        raise _fault(_CERT, told, _MAKE, cert) from None


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text("latin-1")
    except OSError as error:
        hint = "paths are relative to the project; the user of the server must be allowed to read it"
        told = f'"{path}" cannot be read: {error.strerror}'
        raise _fault(setting, told, hint, path) from None


def _see_who_may_read(key: Path) -> None:
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        text = 'The private key "%s" is open to others on this machine (mode %o); `chmod 600 %s` closes it'
        log.warning(text, key, mode, key)


def _fault(setting: str, told: str, hint: str, path: Path | None = None) -> ConfigError:
    section, _, name = setting.partition(".")
    file = {} if path is None else {"file": str(path)}
    return ConfigError(f"[{section}] {name}: {told}.", hint=hint, setting=setting, **file)
