"""`trading-exporter-broker`: the command line.

Input: arguments, files and the environment. Output: an exit status: 0 ended or posted, 1 a single
poll failed, 2 usage. Invariant: tokens and keys come from files or the environment, because other
users of a machine can read command lines.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, NoReturn, Optional

from ..client import DEFAULT_URL, Client
from ..errors import ExporterError
from . import alpaca, ccxt, ib
from .listing import Source
from .poll import Poller
from .runner import Pace, Runner

TOKEN_VARIABLE = "TRADING_EXPORTER_BROKER_TOKEN"  # noqa: S105

_DESCRIPTION = """\
Asks a broker for its positions, and posts them to trading-exporter as the broker's side.

A failed request is posted as failed, never as a flat account."""

_EPILOG = f"""\
The exporter's token (scope ingest:broker) is in --token-file or {TOKEN_VARIABLE}.

exit status: 0 ended by a signal, or --once succeeded; 1 --once failed; 2 wrong usage"""


class UsageError(Exception):
    """The command cannot run as it was called."""


class Ended(BaseException):
    """A signal asked the process to end. Raised wherever the main thread is."""


class Prepared(NamedTuple):
    """A broker that is ready to be asked."""

    name: str
    make: Callable[[], Source]
    secrets: tuple[str, ...]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command, and returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        _handle_signals()
        _log()
        return _run(options)
    except Ended:
        # A single poll that was interrupted has not succeeded.
        return 1 if options.once or options.dry_run else 0
    except UsageError as error:
        sys.stderr.write(f"trading-exporter-broker: {error}\n")
        return 2


def _run(options: argparse.Namespace) -> int:
    token = _token(options.token_file)
    prepared: Prepared = options.prepare(options)
    poller = Poller(prepared.make, options.timeout, (*prepared.secrets, token or ""))
    try:
        client = Client(
            options.url,
            account=options.account,
            broker_token=token,
            ca_file=options.ca_file,
            spill_folder=None,
            flush_timeout_seconds=0.2,
        )
    except ExporterError as error:
        raise UsageError(str(error)) from error
    runner = Runner(prepared.name, client, poller, Pace(options.interval))
    try:
        if options.dry_run:
            return _dry_run(runner, poller)
        if options.once:
            return 0 if runner.run_once(options.timeout) else 1
        runner.run()
        return 0
    finally:
        client.close(0.2)


def _dry_run(runner: Runner, poller: Poller) -> int:
    answer = poller.ask()
    event = runner.events(answer)[0]
    sys.stdout.write(json.dumps(event, indent=2) + "\n")
    return 0 if answer.listing is not None else 1


# The brokers


def _ccxt(options: argparse.Namespace) -> Prepared:
    _need("ccxt", "ccxt")
    fields = _credentials(options.credentials_file)
    try:
        blank = ccxt.new_exchange(options.exchange, {})
    except ValueError as error:
        raise UsageError(str(error)) from error
    names = [name for name, is_needed in blank.requiredCredentials.items() if is_needed]
    variables = {name: f"{options.exchange.upper()}_{name.upper()}" for name in names}
    keys = {name: fields.get(name) or os.environ.get(variables[name], "") for name in names}
    # Some exchanges need a password only for some keys.
    keys.update(
        {name: value for name, value in fields.items() if name in blank.requiredCredentials}
    )
    missing = [variables[name] for name in names if not keys[name]]
    if missing:
        raise UsageError(
            f"{options.exchange} needs {' and '.join(missing)} in the environment, or"
            " --credentials-file: a JSON object of " + ", ".join(names)
        )
    wanted = ccxt.Wanted(
        positions=options.positions or not options.balances,
        balances=options.balances,
        quote=options.quote,
        symbols=frozenset(options.symbols or ()),
        params=tuple(options.params or [{}]),
        unit=ccxt.Unit(options.unit),
    )
    for is_wanted, method in (
        (wanted.positions, "fetchPositions"),
        (wanted.balances, "fetchBalance"),
    ):
        if is_wanted and not blank.has.get(method):
            hint = ": pass --balances" if method == "fetchPositions" else ""
            raise UsageError(f"{options.exchange} has no {method} in ccxt{hint}")

    def make() -> Source:
        exchange = ccxt.new_exchange(
            options.exchange,
            keys,
            timeout_seconds=options.timeout,
            default_type=options.default_type,
            sandbox=options.sandbox,
            base_url=options.base_url,
        )
        return ccxt.CcxtSource(exchange, wanted)

    return Prepared(options.exchange, make, tuple(keys.values()))


def _alpaca(options: argparse.Namespace) -> Prepared:
    _need("alpaca", "alpaca")
    fields = _credentials(options.credentials_file)
    key = fields.get("key_id") or os.environ.get("APCA_API_KEY_ID", "")
    secret = fields.get("secret_key") or os.environ.get("APCA_API_SECRET_KEY", "")
    if not key or not secret:
        raise UsageError(
            "alpaca needs APCA_API_KEY_ID and APCA_API_SECRET_KEY in the environment, or"
            " --credentials-file: a JSON object of key_id, secret_key"
        )

    def make() -> Source:
        client = alpaca.new_client(
            key,
            secret,
            paper=not options.live,
            base_url=options.base_url,
            timeout_seconds=options.timeout * 0.8,
        )
        return alpaca.AlpacaSource(client)

    return Prepared("alpaca", make, (key, secret))


def _ib(options: argparse.Namespace) -> Prepared:
    _need("ib_async", "ib")
    library = ib.new_library()
    # It logs each failed connection. The result of a poll is logged here, when it changes.
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)

    def make() -> Source:
        return ib.IbSource(
            library,
            options.host,
            options.port,
            options.client_id,
            options.ib_account,
            # For the connection, and again for the positions.
            options.timeout * 0.4,
        )

    return Prepared("ib", make, ())


def _need(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise UsageError(f"{module} is not installed here: pip install 'trading-exporter[{extra}]'")


# Files and the environment


def _token(path: Optional[str]) -> Optional[str]:
    if path is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None
    token = _read(path).strip()
    if not token:
        raise UsageError(f"{path} is empty")
    return token


def _credentials(path: Optional[str]) -> Mapping[str, str]:
    if path is None:
        return {}
    try:
        fields = json.loads(_read(path))
    except ValueError:
        # The text of the error could quote the file.
        raise UsageError(f"{path} is not JSON") from None
    if not isinstance(fields, dict) or not all(isinstance(v, str) for v in fields.values()):
        raise UsageError(f"{path} is not a JSON object of strings")
    return fields


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {type(error).__name__}") from error


# The process


def _handle_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)


def _end(*_: Any) -> NoReturn:
    # A second signal changes nothing, while the first one ends the process.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise Ended


def _log() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    own = logging.getLogger("trading_exporter")
    own.handlers[:] = [handler]
    own.setLevel(logging.INFO)


# The arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trading-exporter-broker",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    brokers = parser.add_subparsers(title="brokers", metavar="BROKER", required=True)
    _add_ccxt(brokers)
    _add_alpaca(brokers)
    _add_ib(brokers)
    return parser


def _add(brokers: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = brokers.add_parser(
        name,
        help=text,
        description=text,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(prepare={"ccxt": _ccxt, "alpaca": _alpaca, "ib": _ib}[name])
    common = parser.add_argument_group("the exporter")
    common.add_argument("--url", default=DEFAULT_URL, help="address (default: %(default)s)")
    common.add_argument(
        "--account", default="default", help="account in the exporter (default: %(default)s)"
    )
    common.add_argument("--token-file", metavar="FILE", help="file with the broker's token")
    common.add_argument(
        "--ca-file", metavar="FILE", help="authority of the exporter's certificate, in PEM"
    )
    loop = parser.add_argument_group("the polls")
    loop.add_argument(
        "--interval",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="time between two polls (default: 60)",
    )
    loop.add_argument(
        "--timeout",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="longest wait for the broker (default: 30)",
    )
    loop.add_argument("--once", action="store_true", help="poll once, and end")
    loop.add_argument(
        "--dry-run", action="store_true", help="poll once, print the event, post nothing"
    )
    return parser


def _add_ccxt(brokers: Any) -> None:
    parser = _add(brokers, "ccxt", "an exchange that ccxt knows")
    group = parser.add_argument_group("the exchange")
    group.add_argument("--exchange", required=True, help="ccxt's id of it, such as binanceusdm")
    group.add_argument("--positions", action="store_true", help="its positions (the default)")
    group.add_argument("--balances", action="store_true", help="its balances, as positions")
    group.add_argument(
        "--quote",
        default="USDT",
        help="a balance of BTC is the position BTC/QUOTE (default: %(default)s)",
    )
    group.add_argument(
        "--symbols",
        nargs="+",
        metavar="SYMBOL",
        help="only these, in ccxt's names; the list is then partial",
    )
    group.add_argument(
        "--unit",
        choices=[unit.value for unit in ccxt.Unit],
        default=ccxt.Unit.COINS.value,
        help="what a quantity of a contract counts (default: %(default)s)",
    )
    group.add_argument(
        "--params",
        action="append",
        type=_object,
        metavar="JSON",
        help="parameters of fetch_positions; each --params is a request, all are one list",
    )
    group.add_argument("--default-type", metavar="TYPE", help="ccxt's defaultType: swap, spot ...")
    group.add_argument("--sandbox", action="store_true", help="the exchange's test network")
    group.add_argument("--base-url", metavar="URL", help="scheme and host of a proxy")
    group.add_argument("--credentials-file", metavar="FILE", help="JSON: apiKey, secret ...")


def _add_alpaca(brokers: Any) -> None:
    parser = _add(brokers, "alpaca", "Alpaca, by alpaca-py")
    group = parser.add_argument_group("Alpaca")
    group.add_argument("--live", action="store_true", help="the live account, not the paper one")
    group.add_argument("--base-url", metavar="URL", help="another address of the trading API")
    group.add_argument("--credentials-file", metavar="FILE", help="JSON: key_id, secret_key")


def _add_ib(brokers: Any) -> None:
    parser = _add(brokers, "ib", "Interactive Brokers' TWS or gateway, by ib_async")
    group = parser.add_argument_group("TWS or the gateway")
    group.add_argument("--host", default="127.0.0.1", help="(default: %(default)s)")
    group.add_argument("--port", type=int, default=4001, help="(default: %(default)s)")
    group.add_argument(
        "--client-id", type=int, default=71, metavar="N", help="not used by others (default: 71)"
    )
    group.add_argument(
        "--ib-account", metavar="ACCOUNT", help="needed if the login has several, such as DU123"
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.0 < seconds <= 86_400.0:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 86400")
    return seconds


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("is not a JSON object")
    return value
