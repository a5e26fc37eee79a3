"""The whole alert path on loopback: exporter, Prometheus, Alertmanager, and a fake Discord.

usage: alert_path.py EXPORTER

The shipped rules, routes and templates, with other addresses and a scrape each second, and with a low fill
ratio among what halts. Shown: a critical drift halts in the answer to the request that brings it; a low fill
ratio halts another account by way of Alertmanager, and quoting and cancelling does not; people are told by
severity, and the milder alert of a thing is not; a hundred alerts with long names, firing and ended ones
mixed, reach a Discord that refuses what is too long; the Watchdog comes back; the exporter, killed, is told
of and releases nothing; after a restart the halts stand; a release is told.
"""

import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOKENS = {
    "engine": "[ingest, read]",
    "witness": '["ingest:broker", read]',
    "scraper": "[metrics]",
    "halt": "[halt]",
    "desk": "[read, release]",
}
PLACEHOLDER = "https://discord.invalid/api/webhooks/DISCORD_WEBHOOK_PLACEHOLDER"


def token(name):
    return f"{name}-token-for-tests-alone"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def call(url, *, body=None, bearer=None):
    """An answer as JSON, or as text if it is not JSON."""
    headers = {"Content-Type": "application/json"}
    if bearer:
        headers["Authorization"] = f"Bearer {token(bearer)}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    return json.loads(text) if text[:1] in ("{", "[") else text


def wait_for(what, seconds, ask):
    """The first non-empty answer of `ask` within a deadline, and the time that it took."""
    began = time.monotonic()
    last = None
    while time.monotonic() - began < seconds:
        try:
            last = ask()
        except (OSError, KeyError) as error:
            last = None
            problem = error
        else:
            problem = None
        if last:
            took = time.monotonic() - began
            print(f"{took:6.1f} s  {what}", flush=True)
            return last
        time.sleep(0.2)
    raise SystemExit(f"not within {seconds} s: {what} ({problem})")


def units(text):
    """The length as Discord counts it at most: in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


class Discord:
    """A fake Discord webhook with Discord's limits."""

    def __init__(self):
        self.messages, self.refused = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told = [(embed["title"], embed["description"]) for embed in body["embeds"]]
                fits = all(0 < units(t) <= 256 and 0 < units(m) <= 4096 for t, m in told)
                fits = fits and sum(units(t) + units(m) for t, m in told) <= 6000
                (outer.messages if fits else outer.refused).extend(told)
                self.send_response(204 if fits else 400)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/webhooks/1/x"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self, title, *texts):
        """The messages with this title that contain these texts."""
        plain = [(t.replace("\\", ""), m.replace("\\", "")) for t, m in list(self.messages)]
        return [m for t, m in plain if re.fullmatch(title, t) and all(text in m for text in texts)]


class Stack:
    """The servers, in one directory."""

    def __init__(self, directory, exporter):
        self.directory, self.binary = directory, exporter
        self.discord = Discord()
        self.processes = {}
        self.ports = dict(zip(("exporter", "prometheus", "alertmanager"), free_ports(3), strict=True))
        self.exporter, self.prometheus, self.alertmanager = (
            f"http://127.0.0.1:{port}" for port in self.ports.values()
        )
        self.configure()

    def configure(self):
        shutil.copytree(ROOT / "alerts", self.directory / "alerts")
        secrets = self.directory / "alerts" / "secrets"
        secrets.mkdir()
        (secrets / "exporter-halt.token").write_text(token("halt"), encoding="utf-8")
        (self.directory / "metrics.token").write_text(token("scraper"), encoding="utf-8")
        tokens = [
            f"  - {{name: {name}, scopes: {scopes}, sha256: {hashlib.sha256(token(name).encode()).hexdigest()}}}"
            for name, scopes in TOKENS.items()
        ]
        (self.directory / "exporter.yml").write_text(
            "alerting: {halt_on: [PositionDriftCritical, FillRatioLowCritical]}\n"
            "tokens:\n" + "\n".join(tokens), encoding="utf-8")
        # To make another alert halt: name it, print the rules, and add it to the first route.
        subprocess.run([self.binary, "rules", "--config.file=exporter.yml", "--output.dir=alerts"],
                       cwd=self.directory, check=True, stdout=subprocess.DEVNULL)
        self.rewrite(
            ROOT / "alerts" / "alertmanager.yml",
            self.directory / "alerts" / "alertmanager.yml",
            {PLACEHOLDER: self.discord.url, "http://127.0.0.1:10471": self.exporter,
             'alertname="PositionDrift"\n': 'alertname=~"PositionDrift|FillRatioLow"\n'},
        )
        self.rewrite(
            ROOT / "deploy" / "prometheus.yml",
            self.directory / "prometheus.yml",
            {
                "rules/*.rules.yml": str(self.directory / "alerts" / "*.rules.yml"),
                "127.0.0.1:10471": f"127.0.0.1:{self.ports['exporter']}",
                "127.0.0.1:9093": f"127.0.0.1:{self.ports['alertmanager']}",
                "127.0.0.1:9090": f"127.0.0.1:{self.ports['prometheus']}",
                "scrape_interval: 15s": "scrape_interval: 1s",
                "evaluation_interval: 15s": "evaluation_interval: 1s",
                "scrape_interval: 5s": "scrape_interval: 1s",
                "scrape_timeout: 4s": "scrape_timeout: 1s",
                "    # authorization:\n    #   credentials_file: secrets/exporter-metrics.token":
                    f"    authorization:\n      credentials_file: {self.directory / 'metrics.token'}",
            },
        )

    @staticmethod
    def rewrite(source, target, changes):
        text = source.read_text(encoding="utf-8")
        for old, new in changes.items():
            if old not in text:
                raise SystemExit(f"{source.name} no longer says {old!r}")
            text = text.replace(old, new)
        target.write_text(text, encoding="utf-8")

    def start(self, name, *command):
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.directory, env={**os.environ, "TZ": "UTC"}
            )

    def start_exporter(self):
        self.start("exporter", self.binary, f"--web.listen-address=127.0.0.1:{self.ports['exporter']}",
                   "--config.file=exporter.yml", "--storage.mode=journal", "--storage.path=data")
        wait_for("the exporter is ready", 30, lambda: call(f"{self.exporter}/-/ready"))

    def start_all(self):
        self.start_exporter()
        self.start("alertmanager", "prometheus-alertmanager", "--config.file=alerts/alertmanager.yml",
                   "--storage.path=alertmanager", "--cluster.listen-address=",
                   f"--web.listen-address=127.0.0.1:{self.ports['alertmanager']}")
        self.start("prometheus", "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
                   "--rules.alert.resend-delay=5s",
                   f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}")
        wait_for("Alertmanager is ready", 30, lambda: call(f"{self.alertmanager}/-/ready"))
        wait_for("Prometheus is ready", 30, lambda: call(f"{self.prometheus}/-/ready"))

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def post(self, events, bearer):
        return call(f"{self.exporter}/api/v1/events", body=events, bearer=bearer)

    def permit(self, account):
        return call(f"{self.exporter}/api/v1/permit?account={account}", bearer="desk")

    def query(self, expression):
        quoted = urllib.parse.quote(expression)
        return call(f"{self.prometheus}/api/v1/query?query={quoted}")["data"]["result"]

    def alerts(self, **labels):
        found = call(f"{self.alertmanager}/api/v2/alerts")
        return [a for a in found if all(a["labels"].get(k) == v for k, v in labels.items())]


def books(account, local, broker, price):
    """Snapshots of both sides, dated now; the fields of each request."""
    now = datetime.now(UTC)

    def snapshot(source, quantity, at):
        row = {"symbol": "AAPL", "quantity": quantity, "average_price": price, "market_price": price}
        return {"type": "positions", "account": account, "source": source,
                "time": at.isoformat(), "positions": [row]}

    # The engine's list is newer, so the broker's list need not wait for another event of the engine.
    return snapshot("local", local, now), snapshot("broker", broker, now - timedelta(seconds=1))


def drift(stack, account, local, broker, price):
    """Causes a drift. Returns the trading state in the answer."""
    ours, theirs = books(account, local, broker, price)
    stack.post([ours], "engine")
    return stack.post([theirs], "witness")["states"][account]


def orders(account, filled, cancelled, initiator="venue"):
    events = []
    for n in range(filled + cancelled):
        order = {"account": account, "order_id": f"O-{n}"}
        events.append({"type": "order_submitted", **order, "symbol": "MSFT", "side": "buy",
                       "quantity": 10, "expected_price": 400})
        end = {"type": "order_filled", "price": 400, "quantity": 10, "fill_id": f"F-{n}"}
        cancel = {"type": "order_cancelled", "initiator": initiator}
        events.append({**order, **(end if n < filled else cancel)})
    return events


def expect(truth, what):
    if not truth:
        raise SystemExit(f"wrong: {what}")
    print(f"          {what}", flush=True)


def halts(stack):
    """Both lines."""
    state = drift(stack, "drifted", 100, 88, 187.5)
    expect(state == "halted", "a critical drift halts in the answer to the request that brings it")
    causes = [cause["kind"] for cause in stack.permit("drifted")["causes"]]
    expect(causes == ["drift"], "by the exporter itself, before any alert")
    drift(stack, "moderate", 100, 94, 1)
    answer = stack.post(orders("unfilled", 5, 15), "engine")
    expect(answer["states"]["unfilled"] == "active", "a low fill ratio does not halt at ingest")
    stack.post(orders("maker", 1, 40, initiator="user"), "engine")
    permit = wait_for(
        "the fill ratio halts the account by way of Alertmanager", 150,
        lambda: (permit := stack.permit("unfilled"))["state"] == "halted" and permit,
    )
    expect({cause["kind"] for cause in permit["causes"]} == {"alertmanager"}, "and nothing else does")
    expect(stack.permit("moderate")["state"] == "active", "a moderate drift halts nothing")
    expect(stack.permit("maker")["state"] == "active", "nor does it to quote and to cancel")


def messages(stack):
    """The messages to people."""
    told = stack.discord.told
    wait_for("Discord: critical drift", 60, lambda: told(
        "CRITICAL PositionDrift: drifted", "quantity_mismatch", "Local 100 and broker 88 differ by 12",
        "worth 2250", "symbol AAPL", "quantity 10, value 500", "halts trading", "Since 2"))
    wait_for("Discord: critical fill ratio", 60, lambda: told(
        "CRITICAL( ×2)? FillRatioLow: unfilled", "Fill ratio without user cancels of MSFT of unfilled is 25%", "20 orders", "75%"))
    for account in ("drifted", "unfilled"):
        wait_for(f"Discord: the halt of {account}", 60, lambda a=account: told(
            f"CRITICAL TradingHalted: {a}", f"Trading of {a} is halted", "until a person releases it"))
    wait_for("Discord: a minor alert", 150, lambda: told("MINOR ExporterRestarted", "was started"))
    wait_for("Discord: moderate drift", 150, lambda: told(
        "MODERATE PositionDrift: moderate", "Local 100 and broker 94 differ by 6", "quantity 5, value 100"))
    milder = stack.alerts(alertname="PositionDrift", account="drifted", severity="moderate")
    expect(milder and milder[0]["status"]["state"] == "suppressed", "the milder alert of a drift is inhibited")
    expect(not told("MODERATE PositionDrift: drifted"), "and nobody is told of it")
    expect(not told(".*Watchdog.*"), "the Watchdog is not told to people")
    expect(not told(".*FillRatioLow: maker"), "and neither is a maker that cancels")
    everything = [text for message in stack.discord.messages for text in message]
    for text in everything:
        if re.search(r"\{\{|<no value>|unknown|%!", text):
            raise SystemExit(f"not readable: {text}")
    page = call(f"{stack.exporter}/runbooks", bearer="scraper")
    anchors = set(re.findall(r"/runbooks#(\w+)", " ".join(everything)))
    expect(anchors and all(f'id="{anchor}"' in page for anchor in anchors), "links to runbooks lead to their sections")


def crowd(stack):
    """A hundred alerts in one group, with names of maximum length. Then half of them end."""
    account = "\u4e2d" * 42
    host = "https://" + "monitoring." * 20 + "example.com"

    def alerts(ended):
        now = datetime.now(UTC)
        for n in range(100):
            symbol = f"{n:03d}" + "_*@" * 41
            end = {"endsAt": (now - timedelta(seconds=1)).isoformat()} if n < ended else {}
            yield {"labels": {"alertname": "SlippageHigh", "severity": "critical", "account": account, "symbol": symbol},
                   "annotations": {"summary": f"Mean slippage of {symbol} of {account} is 25 bps",
                                   "description": f"Mean slippage of {symbol} of {account} is beyond. " * 9,
                                   "runbook_url": f"{host}/runbooks#slippagehigh",
                                   "dashboard_url": f"{host}/d/x?var-symbol={urllib.parse.quote(symbol)}"},
                   "startsAt": (now - timedelta(minutes=1)).isoformat(), **end}

    title = f"CRITICAL( ×[0-9]+)? SlippageHigh: {account}.*"
    for what, ended, texts in (
        ("a hundred that fire", 0, ("more firing, 100 in total",)),
        ("half of them ended", 50, ("more firing, 50 in total", "more ended, 50 in total")),
    ):
        call(f"{stack.alertmanager}/api/v2/alerts", body=list(alerts(ended)))
        wait_for(f"Discord: {what}", 150, lambda t=texts: stack.discord.told(title, *t))
    call(f"{stack.alertmanager}/api/v2/alerts", body=list(alerts(100)))
    wait_for("Discord: all of them ended", 150, lambda: stack.discord.told(
        f"NO LONGER FIRING SlippageHigh: {account}.*", "more ended"))
    longest = max(units(message) for _, message in stack.discord.messages)
    expect(longest > 3000, f"the longest message has {longest} characters")


def unsent(stack):
    """Checks that the fake Discord rejected nothing, and Alertmanager dropped nothing."""
    expect(not stack.discord.refused, "no message was longer than Discord takes")
    metrics = call(f"{stack.alertmanager}/metrics")

    def counted(name):
        # A receiver that never failed has no series.
        found = re.findall(rf'^alertmanager_{name}_total\{{integration="discord"[^}}]*\}} (\S+)', metrics, re.M)
        return sum(float(n) for n in found)

    sent, failed = counted("notifications"), counted("notifications_failed")
    expect(sent >= len(stack.discord.messages) > 9 and failed == 0,
           f"Alertmanager sent {sent:.0f} messages, and none failed")


def release(stack):
    """Releases the halts of the alerts, with the bodies from the permit."""
    # The halts of the symbol and of the account. Each release returns the epoch for the next.
    for _ in stack.permit("unfilled")["causes"]:
        body = {**stack.permit("unfilled")["causes"][0]["release"], "actor": "jo", "reason": "checked"}
        call(f"{stack.exporter}/api/v1/halts/release", body=body, bearer="desk")
    expect(stack.permit("unfilled")["state"] == "active", "the bodies of the permit release")
    wait_for("Discord: the release", 60, lambda: stack.discord.told(
        "MINOR TradingReleased: unfilled", "A halt of unfilled was released", "/api/v1/audit"))


def watchdog(stack):
    health = wait_for("the Watchdog comes back to the exporter", 60,
                      lambda: (h := stack.permit("drifted")["health"])["watchdog_age_seconds"] is not None and h)
    expect(health["watchdog_age_seconds"] < 130, "and its age stands in the permit")


def death(stack):
    """Kills the exporter: a message is sent, nothing is released, and halts remain after a restart."""
    accounts = ("drifted", "unfilled", "moderate")
    before = {account: stack.permit(account) for account in accounts}
    stack.processes["exporter"].send_signal(signal.SIGKILL)
    stack.processes["exporter"].wait()
    wait_for("Discord: the exporter does not answer", 90, lambda: stack.discord.told("CRITICAL ExporterDown.*"))
    stack.start_exporter()
    for account in accounts:
        now = stack.permit(account)
        same = all(now[k] == before[account][k] for k in ("state", "causes", "epoch"))
        expect(same, f"after kill -9 and a restart {account} is {now['state']} as before, causes and epoch too")
    ended = [{**alert, "status": "resolved"} for alert in stack.alerts(action="halt")]
    expect(ended, "alerts that halt are still there")
    notification = {"version": "4", "status": "resolved", "receiver": "halt", "groupKey": "x",
                    "truncatedAlerts": 0, "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
                    "externalURL": stack.alertmanager, "alerts": [
                        {k: a[k] for k in ("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL",
                                           "fingerprint")} for a in ended]}
    answer = call(f"{stack.exporter}/api/v1/alertmanager", body=notification, bearer="halt")
    expect(answer["resolved"] == len(ended), "the exporter takes notice that they ended")
    wait_for("Prometheus scrapes the exporter again", 30, lambda: stack.query('up{job="trading-exporter"} == 1'))
    wait_for("the halts are on /metrics again", 30, lambda: len(stack.query(
        'trading_state{account=~"drifted|unfilled"} == 2')) == 2)
    for account in accounts:
        expect(stack.permit(account)["state"] == before[account]["state"], f"nothing released {account}")
    audit = json.dumps(call(f"{stack.exporter}/api/v1/audit", bearer="desk"))
    expect('"release' not in audit, "no release stands in the audit trail")
    expect(not stack.discord.told("NO LONGER FIRING TradingHalted.*"), "nobody is told that a halt ended")


def main():
    exporter = Path(sys.argv[1]).resolve()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        stack = Stack(Path(directory), exporter)
        try:
            stack.start_all()
            wait_for("Prometheus scrapes the exporter", 30, lambda: stack.query(
                'up{job="trading-exporter"} == 1'))
            halts(stack)
            watchdog(stack)
            messages(stack)
            crowd(stack)
            death(stack)
            release(stack)
            unsent(stack)
        except BaseException:
            for name in stack.processes:
                log = (stack.directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                print(f"--- {name}\n{log[-3000:]}", file=sys.stderr)
            told = "\n".join(f"{title}: {message[:200]!r}" for title, message in stack.discord.messages)
            print(f"--- Discord\n{told}", file=sys.stderr)
            raise
        finally:
            stack.stop()
    print(f"{time.monotonic() - began:6.1f} s  all")


if __name__ == "__main__":
    main()
