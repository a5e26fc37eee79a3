"""Checks of the Alertmanager configuration: the receivers of each alert, and the messages.

usage: check_alertmanager.py [--update]

Routes are asked of amtool with the shipped configuration, and with the receivers in it that are
commented out. Messages are rendered by amtool from alerts/tests/messages/*.json and compared with the text
beside each; --update writes the texts anew. Messages of every shape (firing and ended alerts mixed, long
names, long hosts, a hundred alerts) are held against what their receivers take.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote_plus

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "alerts"
CONFIG = ALERTS / "alertmanager.yml"

# Labels of an alert, and its receivers, in order.
ROUTES = [
    ("alertname=PositionDrift severity=critical action=halt account=paper symbol=AAPL", "halt,discord-critical"),
    ("alertname=PositionDrift severity=critical action=Reduce account=paper", "halt,discord-critical"),
    # Only halting alerts: no other critical one, no less severe one, none without an action.
    ("alertname=PositionDrift severity=critical account=paper", "discord-critical"),
    ("alertname=FillRatioLow severity=critical account=paper", "discord-critical"),
    ("alertname=FillRatioLow severity=critical action=halt account=paper", "discord-critical"),
    ("alertname=PositionDrift severity=moderate action=halt account=paper", "discord-moderate"),
    ("alertname=SystemUnhealthy severity=critical action=halt account=paper", "discord-critical"),
    ("alertname=SlippageHigh severity=critical account=paper", "discord-critical"),
    ("alertname=PositionDrift severity=moderate account=paper", "discord-moderate"),
    ("alertname=PositionDrift severity=minor account=paper", "discord-minor"),
    ("alertname=TradingHalted severity=critical account=*", "discord-halt"),
    ("alertname=OrdersWhileHalted severity=critical account=paper", "discord-halt"),
    ("alertname=TradingReleased severity=minor account=paper", "discord-halt"),
    ("alertname=Watchdog severity=none", "watchdog"),
    ("alertname=ExporterDown severity=critical", "discord-critical"),
    # The catch-all.
    ("alertname=SomethingElse", "discord-other"),
    ("alertname=SomethingElse severity=page", "discord-other"),
]


def amtool(*arguments):
    run = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr


def check_ends():
    """Alerts end when the exporter is killed: nobody may receive a message that a halt has ended."""
    text = CONFIG.read_text(encoding="utf-8")
    for name in ("halt", "watchdog", "discord-halt"):
        block = text.split(f"  - name: {name}\n")[1].split("\n  - name:")[0]
        if "send_resolved: false" not in block:
            yield f"the receiver {name} is told of ends"


def check_routes():
    receivers = set()
    for labels, expected in ROUTES:
        receivers.update(expected.split(","))
        code, out, err = amtool("config", "routes", "test", f"--config.file={CONFIG}",
                                f"--verify.receivers={expected}", *labels.split())
        if code:
            yield f"{labels}: {out}{err}"
    named = {line.split("name:")[1].strip() for line in CONFIG.read_text(encoding="utf-8").splitlines()
             if line.startswith("  - name:")}
    if named != receivers:
        yield f"receivers without a test of their route: {sorted(named - receivers)}"
    # The check must be able to fail.
    code, _, _ = amtool("config", "routes", "test", f"--config.file={CONFIG}",
                        "--verify.receivers=halt", "alertname=SomethingElse")
    if code == 0:
        yield "amtool takes a wrong receiver for right"


def render(data, *templates):
    """Renders each template with the data."""
    text = "\n=====\n".join('{{ template "%s" . }}' % template for template in templates)
    code, out, err = amtool("template", "render", f"--template.glob={ALERTS}/templates/*.tmpl",
                            f"--template.data={data}", "--template.text", text)
    if code:
        raise SystemExit(f"{data}: {out}{err}")
    return out.split("\n=====\n")


def rendered(data):
    parts = render(data, "trading.discord.title", "trading.discord.message")
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def alert(n, status, name, host):
    """An alert with names and addresses of a given length."""
    symbol = f"{n}-{name}"[:len(name)]
    return {
        "status": status,
        "labels": {"alertname": "PositionDrift", "severity": "critical", "action": "halt", "account": name,
                   "symbol": symbol, "component": name, "drift": "quantity_mismatch", "job": "trading-exporter"},
        "annotations": {
            "summary": f"CRITICAL drift: quantity_mismatch of 12 in {symbol} of {name}",
            "description": f"Local 100 and broker 88 of {symbol} of {name} differ by 12 units, worth 2250 in the "
                           "account's currency. Thresholds of critical: quantity 10, value 500. Trading of the account "
                           "is halted. Set the wrong book right, then release by hand.",
            "runbook_url": f"{host}:10471/runbooks#positiondrift",
            "dashboard_url": f"{host}:3000/d/trading-positions?from=now-3h&to=now&var-job=trading-exporter"
                             f"&var-account={quote_plus(name)}&var-symbol={quote_plus(symbol)}"},
        "startsAt": "2026-11-30T01:02:03Z",
        "endsAt": "2026-11-30T01:12:03Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus", "fingerprint": f"{n:016x}"}


def check_lengths():
    """Messages stay within every receiver's limits, and omitted alerts are counted."""
    hosts = ("http://127.0.0.1", "https://" + "monitoring." * 20 + "example.com")
    names = ("AAPL", "BTC/USDT:USDT", "x" * 128, "_*" * 64, "\u4e2d" * 42, "\U0001f600" * 32, "@" * 128)
    shapes = ((1, 0), (5, 1), (5, 3), (4, 3), (0, 3), (100, 0), (50, 50), (0, 100))
    # The receivers' limits in their own units: UTF-16 code units for Discord; a margin for the others.
    limits = {"trading.discord.title": 256, "trading.discord.message": 4096,
              "trading.text.title": 256, "trading.text.message": 2800}
    longest = dict.fromkeys(limits, 0)
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "data.json"
        for host, name, (firing, ended) in ((h, n, s) for h in hosts for n in names for s in shapes):
            alerts = [alert(n, "firing", name, host) for n in range(firing)]
            alerts += [alert(n, "resolved", name, host) for n in range(ended)]
            data.write_text(json.dumps({
                "receiver": "discord-critical", "status": "firing" if firing else "resolved", "alerts": alerts,
                "groupLabels": {"alertname": "PositionDrift" * 9, "account": name},
                "commonLabels": {"severity": "critical" * 9}, "commonAnnotations": {},
                "externalURL": "http://alertmanager"}), encoding="utf-8")
            what = f"{firing} firing and {ended} ended alerts of {name[:8]} at {host[:16]}"
            for (template, limit), text in zip(limits.items(), render(data, *limits), strict=True):
                units = len(text.encode("utf-16-le")) // 2
                longest[template] = max(longest[template], units)
                if units > limit:
                    yield f"{what}: {template} has {units} characters, and {limit} are taken"
            told = text.count("Since ") + text.count("It ended")
            left = sum(int(n) for n in re.findall(r"and (\d+) more (?:firing|ended)", text))
            if told + left != firing + ended or not text.strip():
                yield f"{what}: {told} are told and {left} are counted"
    print(f"the longest messages: {longest}")


def check_commented():
    """The receivers that are commented out are valid once uncommented."""
    text = re.sub(r"^#(  - name| {4})", r"\1", CONFIG.read_text(encoding="utf-8"), flags=re.M)
    with tempfile.TemporaryDirectory() as directory:
        shipped = Path(directory) / "alertmanager.yml"
        shipped.write_text(text, encoding="utf-8")
        (Path(directory) / "templates").symlink_to(ALERTS / "templates")
        code, out, err = amtool("check-config", str(shipped))
    receivers = len(re.findall(r"^  - name:", text, flags=re.M))
    if code or f"{receivers} receivers" not in out or receivers < 11:
        yield f"with every receiver: {out}{err}"


def check_messages(update):
    found = sorted((ALERTS / "tests" / "messages").glob("*.json"))
    if len(found) < 4:
        yield f"only {len(found)} messages"
    for data in found:
        json.loads(data.read_text(encoding="utf-8"))
        golden = data.with_suffix(".txt")
        text = rendered(data)
        if update:
            golden.write_text(text, encoding="utf-8")
        elif not golden.exists() or golden.read_text(encoding="utf-8") != text:
            yield f"{golden.name} is not what amtool renders now:\n{text}"
        title = text.split("\n", maxsplit=1)[0]
        if len(title) > 256 or len(text) > 4096:
            yield f"{data.name}: longer than Discord shows"
        if re.search(r"@(everyone|here)|<@[!&]?\d", text):
            yield f"{data.name}: a mention gets through"


def main():
    wrong = [*check_routes(), *check_ends(), *check_commented(), *check_lengths(),
             *check_messages("--update" in sys.argv[1:])]
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(ROUTES)} routes and all messages are as they should be")


if __name__ == "__main__":
    main()
