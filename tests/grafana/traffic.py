"""Traffic for an exporter: four accounts with different anomaly levels.

equities is well, futures deserves warnings, crypto is critical, fx has too few orders to judge.
Beside the orders come heartbeats, positions, decisions of an operator, and what should not happen.
Bounded: it ends after `SECONDS`, with a fixed number of orders. An account's orders are the same in
every run, however fast the machine: what they become depends on their number, never on the clock.
"""

import json
import random
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

SECONDS = 60
STEP_SECONDS = 0.5


@dataclass(frozen=True)
class Account:
    """How an account trades: shares of outcomes, mean slippage and fill time at the end."""

    name: str
    symbols: tuple
    orders: int
    unfilled: float
    rejected: float
    slippage_bps: float
    fill_seconds: float
    currency: str = "USD"


ACCOUNTS = (
    Account("equities", ("NVDA", "AMZN", "JPM", "XOM"), 900, 0.02, 0.01, 2.0, 1.5),
    Account("futures", ("ESZ6", "NQZ6", "CLF7"), 600, 0.10, 0.058, 15.0, 42.0),
    Account(
        "crypto",
        ("BTC/USDT", "ETH/USDT", "SOL/USDT", "DOGE/USDT"),
        700,
        0.25,
        0.18,
        45.0,
        120.0,
        "USDT",
    ),
    Account("fx", ("EUR/USD",), 8, 0.0, 0.0, 0.8, 0.3),
)
REASONS = ("insufficient margin", "price outside bands", "rate limit exceeded", "market closed")


class Exporter:
    """The API of a running exporter, on loopback."""

    def __init__(self, base):
        self.base = base

    def call(self, path, body=None):
        """Returns status and answer, also of a rejection."""
        data = (
            None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        request = urllib.request.Request(self.base + path, data=data)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def post(self, events):
        """Posts events, all of which must be accepted."""
        status, answer = self.call("/api/v1/events", events)
        if status != 200 or answer["rejected"]:
            raise RuntimeError(f"{status}: {answer}")


class Traffic:
    """The traffic, step by step."""

    def __init__(self, exporter, seed=7):
        self.exporter, self.random = exporter, random.Random(seed)
        self.chances = {a.name: random.Random(f"{seed} {a.name}") for a in ACCOUNTS}
        self.sent = dict.fromkeys((a.name for a in ACCOUNTS), 0)
        self.lent = 0

    def run(self, now=time.time, wait=time.sleep):
        """Sends everything within `SECONDS`."""
        start = now()
        while (elapsed := now() - start) < SECONDS:
            self.step(elapsed / SECONDS, now())
            wait(STEP_SECONDS)
        self.step(1.0, now())

    def step(self, progress, at):
        """Sends the events that are due at this share of the time."""
        for account in ACCOUNTS:
            events = self.heartbeats(account, progress)
            while self.sent[account.name] < account.orders * progress:
                self.sent[account.name] += 1
                events += self.order(account, self.sent[account.name], at)
            self.exporter.post(events)
            if account.name != "fx" or progress < 0.4:
                self.exporter.post(self.books(account, progress, at))
        for share, tell in (
            (0.2, self.oddities),
            (0.5, self.operator),
            (0.7, self.mistakes),
            (0.8, self.alerts),
        ):
            if progress >= share and tell.__name__ not in self.sent:
                self.sent[tell.__name__] = 1
                tell(at)

    def order(self, account, number, at):
        """Sends one order from submission to its end. The account reaches its figures gradually."""
        chance = self.chances[account.name]
        id_, roll = f"T-{account.name}-{number}", chance.random()
        symbol = account.symbols[number % len(account.symbols)]
        price, worse = 100.0 + chance.random(), min(1.0, 2 * number / account.orders) * 1.6
        side = "buy" if chance.random() < 0.5 else "sell"
        sign = 1 if side == "buy" else -1
        quantity = chance.randint(1, 9) * 10
        slippage = chance.gauss(account.slippage_bps * worse / 1.2, 4.0)
        took = chance.expovariate(1 / (account.fill_seconds * worse / 1.2 + 0.05))
        common = {
            "account": account.name,
            "order_id": id_,
            "symbol": symbol,
            "side": side,
            "strategy": f"{account.name}-trend",
            "venue": "XSIM",
        }
        told = [
            {
                **common,
                "type": "order_submitted",
                "quantity": quantity,
                "order_type": "limit",
                "limit_price": f"{price * (1 + sign * 0.005):.4f}",
                "expected_price": f"{price:.4f}",
                "arrival_price": f"{price * (1 - sign * 0.0002):.4f}",
                "time": at - took,
            }
        ]

        def ended(kind, **more):
            told.append({**common, "type": kind, "time": at, **more})

        if roll < account.rejected * worse:
            ended("order_rejected", reason=chance.choice(REASONS))
            return told
        accepted = {**common, "type": "order_accepted", "time": at - took * 0.9}
        told.append(accepted)
        if roll < (account.rejected + account.unfilled) * worse:
            ended("order_cancelled", initiator="user") if roll * 1000 % 2 < 1 else ended(
                "order_expired"
            )
            return told
        ended(
            "order_filled",
            fill_id=f"F-{id_}",
            quantity=quantity,
            price=f"{price * (1 + sign * slippage / 1e4):.4f}",
            fee=f"{quantity * 0.01 * (1 if roll < 0.8 else -1):.2f}",
            fee_currency=account.currency,
        )
        return told

    def heartbeats(self, account, progress):
        """Component health: crypto's broker fails, futures' feed is late, fx becomes silent."""
        beats = {"engine": "healthy", "broker": "healthy", "data_feed": "healthy"}
        if account.name == "crypto" and progress > 0.5:
            beats["broker"] = "unhealthy"
        if account.name == "futures" and 0.3 < progress < 0.8:
            beats["data_feed"] = "degraded"
        if account.name == "fx" and progress > 0.3:
            beats = {"broker": "healthy"}
        return [
            {
                "type": "heartbeat",
                "account": account.name,
                "component": component,
                "status": status,
                "interval_seconds": 1,
                "latency_seconds": round(0.01 + self.random.random() / 50, 4),
            }
            for component, status in beats.items()
        ]

    def books(self, account, progress, at):
        """Both books: futures gets a small drift, crypto's drift is reconciled.

        The list of equities' broker is one step behind while a position goes up and down.
        """
        rows = {symbol: 100 * (n + 1) for n, symbol in enumerate(account.symbols)}
        local = dict(rows)
        if account.name == "futures" and progress > 0.4:
            local["CLF7"] -= 6
        if account.name == "crypto" and 0.3 < progress < 0.7:
            local["DOGE/USDT"] += 7
        told = []
        if account.name == "equities":
            before = self.lent
            self.lent = 5 - before if progress < 0.8 else before
            local["NVDA"] += self.lent
            rows["NVDA"] += before
            if self.lent != before:
                moved = {"symbol": "NVDA", "quantity": self.lent - before, "reason": "transfer"}
                common = {"type": "position_adjusted", "account": account.name, "time": at}
                told.append({**common, **moved})

        def snapshot(source, held):
            return {
                "type": "positions",
                "account": account.name,
                "source": source,
                "time": at,
                "complete": True,
                "positions": [
                    {"symbol": s, "quantity": q, "average_price": 10, "market_price": 10}
                    for s, q in held.items()
                ],
            }

        return [*told, snapshot("local", local), snapshot("broker", rows)]

    def oddities(self, at):
        """An overfill, a bust, a correction, a late fill, an unanswered order."""
        common = {"account": "equities", "symbol": "NVDA", "side": "buy", "time": at}

        def told(order, kind, **more):
            return {**common, "order_id": order, "type": kind, **more}

        events = []
        for order in ("X-1", "X-2", "X-3", "X-4"):
            events.append(told(order, "order_submitted", quantity=10, expected_price=100))
        events += [
            told("X-1", "order_filled", fill_id="a", quantity=12, price=100),
            told("X-2", "order_filled", fill_id="b", quantity=10, price=100),
            told("X-2", "fill_corrected", fill_id="b", quantity=10, price=101),
            told("X-3", "order_cancelled", initiator="venue"),
            told("X-3", "order_filled", fill_id="c", quantity=10, price=100),
            told("X-3", "fill_busted", fill_id="c"),
            told("X-5", "order_submitted", quantity=10),
            told("X-5", "order_filled", fill_id="d", quantity=10, price=100),
            told("X-6", "order_submitted", quantity=10, expected_price=100),
            told("X-6", "order_denied", reason="risk check"),
        ]
        self.exporter.post(events)

    def operator(self, _at):
        """An operator halts an account, releases it, and sets it to reducing."""
        who = {"account": "futures", "actor": "jo", "reason": "rehearsal"}
        for body, path in (
            ({"state": "halted"}, ""),
            ({}, "/release"),
            ({"state": "reducing"}, ""),
        ):
            if path:
                _, permit = self.exporter.call("/api/v1/permit?account=futures")
                body = {"epoch": permit["epoch"]}
            status, answer = self.exporter.call(f"/api/v1/halts{path}", {**who, **body})
            if status not in (200, 201):
                raise RuntimeError(f"{status}: {answer}")

    def alerts(self, at):
        """Alertmanager notifications: the Watchdog, and an alert that halts crypto, sent twice."""
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

        def notification(labels):
            alert = {
                "status": "firing",
                "labels": labels,
                "annotations": {},
                "startsAt": started,
                "endsAt": "0001-01-01T00:00:00Z",
                "fingerprint": "00c0ffee",
            }
            return {
                "version": "4",
                "groupKey": "{}",
                "truncatedAlerts": 0,
                "status": "firing",
                "receiver": "halt",
                "groupLabels": {},
                "commonLabels": {},
                "commonAnnotations": {},
                "externalURL": "",
                "alerts": [alert],
            }

        halting = {"alertname": "FillRatio", "account": "crypto", "action": "halt"}
        for labels in ({"alertname": "Watchdog"}, halting, halting):
            status, answer = self.exporter.call("/api/v1/alertmanager", notification(labels))
            if status != 200:
                raise RuntimeError(f"{status}: {answer}")

    def mistakes(self, at):
        """Invalid events: all are rejected, or counted and ignored."""
        beat = {"type": "heartbeat", "account": "fx", "component": "broker", "event_id": "same"}
        for body in (
            beat,
            beat,
            {**beat, "component": "engine"},
            {"type": "no_such_event"},
            {"type": "order_submitted", "order_id": "Y-1", "symbol": "A", "side": "buy"},
            b"{not json",
            {
                "type": "positions",
                "account": "equities",
                "source": "broker",
                "time": at - 3600,
                "complete": True,
                "positions": [],
            },
        ):
            self.exporter.call("/api/v1/events", body)
