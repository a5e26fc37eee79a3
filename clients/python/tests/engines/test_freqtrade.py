"""Freqtrade's own Webhook class, strategy base and orders, against the real exporter."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable

import pytest
import requests
from freqtrade.configuration.config_validation import validate_config_schema
from freqtrade.enums import RPCMessageType, RunMode
from freqtrade.persistence import Order, Trade, init_db
from freqtrade.rpc.webhook import Webhook
from freqtrade.strategy import IStrategy

from harness import ROOT, SOON, Exporter, until
from trading_exporter.engines.freqtrade import ExporterMixin, Reporter

CONFIG = ROOT / "docs" / "engines" / "freqtrade-webhook.json"
NOW = datetime(2026, 3, 2, 14, 30, tzinfo=timezone.utc)

TOKENS = """
tokens:
  - {{name: engine, sha256: {engine}, scopes: [ingest]}}
  - {{name: reader, sha256: {reader}, scopes: [read, metrics, halt]}}
"""


def webhook(url: str, token: str, form: str = "json") -> Webhook:
    """The documented configuration, in one of Freqtrade's formats."""
    text = CONFIG.read_text().replace("http://freqtrade:TOKEN@127.0.0.1:10471", url)
    config = json.loads(text.replace("http://", f"http://freqtrade:{token}@"))
    hook = config["webhook"]
    hook["format"] = form
    for name, fields in hook.items() if form == "raw" else ():
        if isinstance(fields, dict):
            # The text of the body, a template with the braces of JSON doubled.
            hook[name] = {"data": "{" + json.dumps(fields) + "}"}
    return Webhook(None, config)


def message(kind: RPCMessageType, trade_id: int, **fields: Any) -> dict[str, Any]:
    """The messages of freqtrade's bot to its notifiers."""
    return {
        "type": kind,
        "trade_id": trade_id,
        "buy_tag": None,
        "enter_tag": "dip",
        "exchange": "Binance",
        "pair": "ETH/USDT",
        "base_currency": "ETH",
        "quote_currency": "USDT",
        "leverage": 1.0,
        "direction": "Long",
        "limit": 2451.47,
        "order_rate": 2451.47,
        "open_rate": 2451.47,
        "order_type": "limit",
        "stake_amount": 100.0,
        "stake_currency": "USDT",
        "fiat_currency": "USD",
        "amount": 0.0408,
        "open_date": NOW,
        "current_rate": 2451.0,
        "sub_trade": False,
        "gain": "profit",
        "close_rate": 2480.0,
        "profit_amount": 1.1,
        "profit_ratio": 0.01,
        "exit_reason": "roi",
        "close_date": NOW,
        "cumulative_profit": 1.1,
        "final_profit_ratio": 0.01,
        "is_final_exit": True,
        "reason": "timeout",
        **fields,
    }


@pytest.fixture
def guarded(exporter: Callable[..., Exporter]) -> Exporter:
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("engine", "reader")}
    made = exporter(TOKENS.format(**digests))
    made.storage = "journal"
    return made.start()


def test_freqtrades_webhook_posts_orders(
    guarded: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    hook = webhook(guarded.url, "engine")
    caplog.set_level(logging.WARNING)
    kinds = RPCMessageType
    hook.send_msg({"type": kinds.STARTUP, "status": "running"})
    for trade in (1, 2, 3):
        hook.send_msg(message(kinds.ENTRY, trade))
        # Freqtrade retries after a timeout.
        hook.send_msg(message(kinds.ENTRY, trade))
    for trade in (1, 2):
        hook.send_msg(message(kinds.ENTRY_FILL, trade, open_rate=2452.0))
        hook.send_msg(message(kinds.ENTRY_FILL, trade, open_rate=2452.0))
    hook.send_msg(message(kinds.ENTRY_CANCEL, 3))
    hook.send_msg(message(kinds.EXIT, 1, order_rate=2480.0))
    hook.send_msg(message(kinds.EXIT_FILL, 1, close_rate=2479.0))
    hook.send_msg(message(kinds.EXIT, 2, order_rate=2480.0))
    hook.send_msg(message(kinds.EXIT_CANCEL, 2))
    hook.send_msg({"type": kinds.EXCEPTION, "status": "an exchange error"})
    assert [r.message for r in caplog.records] == []

    answer = guarded.get("/api/v1/execution?account=freqtrade&symbol=ETH/USDT", "reader")
    counters = answer["counters"]
    own = {"submitted": 5, "filled": 3, "cancelled": 2, "fills": 3, "open": 0}
    assert {name: counters[name] for name in own} == own
    assert answer["ledger"] == "0.0408"
    (engine,) = guarded.get("/api/v1/health?account=freqtrade", "reader")["components"]
    assert (engine["component"], engine["status"]) == ("engine", "degraded")


def scraped(exporter: Exporter, *families: str) -> list[float]:
    """The samples of ETH/USDT on /metrics."""
    where = {"Authorization": "Bearer reader"}
    text = requests.get(f"{exporter.url}/metrics", headers=where, timeout=SOON).text
    labels = 'account="freqtrade",symbol="ETH/USDT"'
    found = []
    for family in families:
        name, _, more = family.partition(",")
        start = f"{name}{{{labels}{',' + more if more else ''}}} "
        (line,) = [line for line in text.splitlines() if line.startswith(start)]
        found.append(float(line.split()[-1]))
    return found


@pytest.mark.parametrize("form", ["json", "form", "raw"])
def test_each_format_of_the_webhook_survives_a_killed_exporter(
    form: str, guarded: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    hook = webhook(guarded.url, "engine", form)
    caplog.set_level(logging.WARNING)
    kinds = RPCMessageType
    hook.send_msg({"type": kinds.STARTUP, "status": 'a "running" bot' if form != "raw" else ""})
    hook.send_msg(message(kinds.ENTRY, 1))
    filled = message(kinds.ENTRY_FILL, 1, open_rate=2452.0)
    hook.send_msg(filled)
    hook.send_msg(message(kinds.ENTRY, 2, direction="Short"))
    assert scraped(guarded, "trading_orders_submitted_total", "trading_fills_total") == [2, 1]
    guarded.kill()
    assert [record.message for record in caplog.records] == []
    # Freqtrade tries again, and then gives the message up.
    hook.send_msg({"type": kinds.EXCEPTION, "status": "lost"})
    lost = [record.message for record in caplog.records if "Could not" in record.message]
    assert len(lost) == 4
    guarded.start()
    caplog.clear()
    # Its answer was lost with the exporter, as far as Freqtrade knows.
    hook.send_msg(filled)
    hook.send_msg(message(kinds.EXIT, 1, order_rate=2480.0))
    hook.send_msg(message(kinds.EXIT_FILL, 1, close_rate=2479.0, current_rate=None))
    hook.send_msg(message(kinds.ENTRY_CANCEL, 2, direction="Short"))
    assert [record.message for record in caplog.records] == []
    families = ("submitted", "filled", "cancelled", "rejected")
    orders = [f"trading_orders_{name}_total" for name in families]
    assert scraped(guarded, *orders, "trading_fills_total") == [3, 2, 1, 0, 2]
    assert scraped(
        guarded,
        "trading_filled_quantity_total",
        'trading_position_quantity,book="ledger"',
        'trading_slippage_bps,reference="expected"',
    ) == pytest.approx([0.0816, 0.0, ((2452 - 2451.47) / 2451.47 + 1 / 2480) * 1e4 / 2])


def test_freqtrade_reports_a_wrong_token(
    guarded: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    for token in ("wrong", "reader"):
        caplog.clear()
        webhook(guarded.url, token).send_msg(message(RPCMessageType.ENTRY, 1))
        assert ("401" if token == "wrong" else "403") in caplog.text


def test_the_token_in_a_url_decides_nothing(guarded: Exporter) -> None:
    url = f"{guarded.url}/api/v1/halts"
    body = {"account": "freqtrade", "reason": "a test", "actor": "a test"}
    answer = requests.post(url, json=body, auth=("freqtrade", "reader"), timeout=SOON)
    assert answer.status_code == 401
    url = f"{guarded.url}/api/v1/permit"
    assert requests.get(url, auth=("freqtrade", "reader"), timeout=SOON).status_code == 200


def test_freqtrade_accepts_the_configuration() -> None:
    config = json.loads(CONFIG.read_text())
    minimal = {
        "max_open_trades": 1,
        "timeframe": "5m",
        "stake_currency": "USDT",
        "stake_amount": 10,
        "dry_run": True,
        "exchange": {"name": "binance"},
        "stoploss": -0.1,
        "minimal_roi": {"0": 1},
        "entry_pricing": {},
        "exit_pricing": {},
        "pairlists": [{"method": "StaticPairList"}],
        "dataformat_ohlcv": "json",
        "dataformat_trades": "json",
        "trading_exporter": {"url": "http://127.0.0.1:10471"},
        **config,
    }
    validate_config_schema(minimal)


# The mix-in


class Dip(ExporterMixin, IStrategy):
    timeframe = "5m"

    def populate_indicators(self, dataframe: Any, metadata: Any) -> Any:
        return dataframe


@pytest.fixture
def trades() -> None:
    init_db("sqlite://")


def an_order(trade: Trade, order_id: str, side: str, amount: float, price: float) -> Order:
    order = Order(
        ft_order_side=side,
        ft_pair=trade.pair,
        ft_is_open=True,
        ft_amount=amount,
        ft_price=price,
        order_id=order_id,
        status="open",
        side=side,
        order_type="limit",
        price=price,
        amount=amount,
        filled=0.0,
        remaining=amount,
        order_date=NOW,
    )
    trade.orders.append(order)
    return order


def a_trade(pair: str) -> Trade:
    trade = Trade(
        pair=pair,
        exchange="binance",
        stake_amount=100.0,
        amount=0.0,
        open_rate=100.0,
        fee_open=0.001,
        fee_close=0.001,
        is_open=True,
        open_date=NOW,
        base_currency="X",
        stake_currency="USDT",
        leverage=1.0,
        is_short=False,
    )
    Trade.session.add(trade)
    return trade


def end(order: Order, status: str, filled: float, average: float) -> None:
    order.status, order.filled, order.average, order.ft_is_open = status, filled, average, False
    order.order_filled_date = NOW + timedelta(seconds=2)


@pytest.fixture
def strategy(
    shared: Exporter, account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = {
        "runmode": RunMode.DRY_RUN,
        "trading_exporter": {"url": shared.url, "account": account},
    }
    made = Dip(config)
    made.bot_start()
    yield made
    assert made.exporter is not None
    made.exporter.close()


def confirm(strategy: Dip) -> bool:
    return strategy.confirm_trade_entry(
        pair="A/USDT",
        order_type="limit",
        amount=1.0,
        rate=1.0,
        time_in_force="GTC",
        current_time=NOW,
        entry_tag=None,
        side="long",
    )


@pytest.mark.usefixtures("trades")
def test_a_strategy_reports_orders(strategy: Any, shared: Exporter, account: str) -> None:
    filled, cancelled, gone = a_trade("A/USDT"), a_trade("B/USDT"), a_trade("C/USDT")
    entry = an_order(filled, "1", "buy", 10.0, 100.0)
    partly = an_order(cancelled, "1", "buy", 10.0, 50.0)
    an_order(gone, "2", "buy", 10.0, 20.0)
    Trade.commit()
    strategy.bot_loop_start(NOW)
    end(entry, "closed", 10.0, 100.1)
    filled.amount, filled.open_rate = 10.0, 100.1
    strategy.order_filled("A/USDT", filled, entry, NOW)
    end(partly, "canceled", 4.0, 50.0)
    cancelled.amount, cancelled.open_rate = 4.0, 50.0
    Trade.session.delete(gone)
    Trade.commit()
    strategy.bot_loop_start(NOW)
    stop = an_order(filled, "9", "stoploss", 10.0, 95.0)
    stop.side = "sell"
    end(stop, "closed", 10.0, 94.9)
    strategy.order_filled("A/USDT", filled, stop, NOW)
    filled.is_open = False
    Trade.commit()
    strategy.bot_loop_start(NOW)
    # A restarted bot reports everything again.
    again = Reporter({"url": shared.url, "account": account}, "Dip")
    for trade in (filled, cancelled):
        for order in trade.orders:
            again.report(trade, order)
    assert strategy.exporter.client.flush(SOON)
    assert again.client.flush(SOON)
    again.close()

    counters = shared.counters(account)
    own = {"submitted": 4, "filled": 2, "cancelled": 2, "fills": 3, "open": 0}
    assert {name: counters[name] for name in own} == own
    a = shared.get(f"/api/v1/execution?account={account}&symbol=A/USDT")
    assert (a["ledger"], a["window"]["slippage_samples"]) == ("0", 2)
    assert a["window"]["slippage_bps"] == pytest.approx((10.0 + (95 - 94.9) / 95 * 1e4) / 2)
    rows = {r["symbol"]: r for r in shared.get(f"/api/v1/positions?account={account}")}
    assert rows["B/USDT"]["local_quantity"] == "4"
    assert strategy.exporter.client.stats().rejected == again.client.stats().rejected == 0


#: Amounts and averages as floats: some with more decimals than the exporter has, some with few
#: digits.
ODD = [
    (0.5, 3000.25),
    (1e6, 9.876543209876543e-06),
    (0.0012 - 0.0012 * 0.001, 3000.25),
    (0.1 + 0.2, 0.1 + 0.2),
    (5e-324, 1.7976931348623157e308),
]


@pytest.mark.usefixtures("trades")
@pytest.mark.parametrize(("amount", "rate"), ODD)
def test_positions_are_reported_for_any_floats(
    strategy: Any, shared: Exporter, account: str, amount: float, rate: float
) -> None:
    for pair, held, average in (("BTC/USDT", 0.001, 60000.0), ("PEPE/USDT", amount, rate)):
        trade = a_trade(pair)
        trade.amount, trade.open_rate = held, average
    Trade.commit()
    strategy.bot_loop_start(NOW)
    assert strategy.exporter.client.flush(SOON)
    books = {r["symbol"]: r for r in shared.get(f"/api/v1/positions?account={account}")}
    assert books["BTC/USDT"]["local_quantity"] == "0.001"
    if amount > 1e-12:
        assert float(books["PEPE/USDT"]["local_quantity"]) == pytest.approx(amount, rel=1e-12)
    assert strategy.exporter.client.stats().rejected == 0


@pytest.mark.usefixtures("trades")
def test_fees_are_reported_if_their_order_is_clear(
    strategy: Any, shared: Exporter, account: str
) -> None:
    """A fee in the base coin, a fee in another coin, and two entries that share a fee."""
    coin, other, twice = a_trade("A/USDT"), a_trade("B/USDT"), a_trade("C/USDT")
    for trade in (coin, other, twice):
        entries = [an_order(trade, "1", "buy", 10.0, 100.0)]
        if trade is twice:
            entries.append(an_order(trade, "2", "buy", 10.0, 100.0))
        for order in entries:
            end(order, "closed", 10.0, 100.0)
        if trade is not coin:
            trade.update_fee(0.75, "BNB", 0.001, "buy")
        else:
            entries[0].ft_fee_base = 0.0012 - 0.0012 * 0.001
    Trade.commit()
    strategy.bot_loop_start(NOW)
    assert strategy.exporter.client.flush(SOON)
    fees = {("A/USDT", "X"): 0.0011988, ("B/USDT", "BNB"): 0.75}
    assert shared.fees(account) == pytest.approx(fees)
    assert strategy.exporter.client.stats().rejected == 0


@pytest.mark.usefixtures("trades")
def test_a_later_fee_is_added_after_a_restart(
    strategy: Any, shared: Exporter, account: str
) -> None:
    trade = a_trade("A/USDT")
    order = an_order(trade, "1", "buy", 10.0, 100.0)
    end(order, "closed", 10.0, 100.0)
    Trade.commit()
    strategy.bot_loop_start(NOW)
    strategy.order_filled("A/USDT", trade, order, NOW)
    assert strategy.exporter.client.flush(SOON)
    trade.update_fee(0.75, "BNB", 0.001, "buy")
    Trade.commit()
    again = Reporter({"url": shared.url, "account": account}, "Dip")
    again.report(trade, order)
    assert again.client.flush(SOON)
    assert again.client.stats().rejected == 0
    again.close()
    assert shared.fees(account) == {("A/USDT", "BNB"): 0.75}
    assert shared.counters(account)["fills"] == 1


def test_entries_are_blocked_and_exits_are_not(
    strategy: Any, shared: Exporter, account: str
) -> None:
    until(lambda: confirm(strategy))
    body = {"account": account, "state": "halted", "reason": "a drill", "actor": "anna"}
    shared.post("/api/v1/halts", body)
    until(lambda: not confirm(strategy))
    assert strategy.confirm_trade_exit("A/USDT", None, "limit", 1.0, 1.0, "GTC", "roi", NOW), (
        "an exit makes a position smaller"
    )


def test_a_backtest_reports_nothing() -> None:
    strategy = Dip({"runmode": RunMode.BACKTEST})
    strategy.bot_start()
    assert strategy.exporter is None
    assert confirm(strategy)


def test_nothing_raised_here_reaches_the_bot(strategy: Any) -> None:
    """No database: every report fails."""
    strategy.order_filled("A/USDT", None, None, NOW)
    strategy.bot_loop_start(NOW)
    assert strategy.exporter is not None
