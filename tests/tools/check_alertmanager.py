"""What Alertmanager does with alerts: where each goes, and what a message says.

usage: check_alertmanager.py [--update]

Routes are asked of amtool with the shipped configuration. Messages are rendered by amtool from
alerts/tests/messages/*.json and compared with the text beside each; --update writes the texts anew.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "alerts"
CONFIG = ALERTS / "alertmanager.yml"

# Labels of an alert, and the receivers that take it, in order.
ROUTES = [
    ("alertname=PositionDrift severity=critical action=halt account=paper symbol=AAPL", "halt,discord-critical"),
    ("alertname=FillRatioLow severity=critical action=halt account=paper", "halt,discord-critical"),
    ("alertname=FillRatioLow severity=critical action=reduce account=paper", "halt,discord-critical"),
    # Only its own alerts: no other critical one, no milder one, none without an action.
    ("alertname=PositionDrift severity=critical account=paper", "discord-critical"),
    ("alertname=PositionDrift severity=moderate action=halt account=paper", "discord-moderate"),
    ("alertname=SystemUnhealthy severity=critical action=halt account=paper", "discord-critical"),
    ("alertname=SlippageHigh severity=critical account=paper", "discord-critical"),
    ("alertname=PositionDrift severity=moderate account=paper", "discord-moderate"),
    ("alertname=PositionDrift severity=minor account=paper", "discord-minor"),
    ("alertname=TradingHalted severity=critical account=*", "discord-halt"),
    ("alertname=OrdersWhileHalted severity=critical account=paper", "discord-halt"),
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
    """A killed exporter ends every alert of it: neither it nor people are told that a halt ended."""
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
             if line.strip().startswith("- name:")}
    if named != receivers:
        yield f"receivers without a test of their route: {sorted(named - receivers)}"
    # It must be able to fail.
    code, _, _ = amtool("config", "routes", "test", f"--config.file={CONFIG}",
                        "--verify.receivers=halt", "alertname=SomethingElse")
    if code == 0:
        yield "amtool takes a wrong receiver for right"


def rendered(data):
    parts = []
    for name in ("title", "message"):
        code, out, err = amtool("template", "render", f"--template.glob={ALERTS}/templates/*.tmpl",
                                f"--template.data={data}",
                                "--template.text", '{{ template "trading.discord.%s" . }}' % name)
        if code:
            raise SystemExit(f"{data.name}: {out}{err}")
        parts.append(out.rstrip("\n") + "\n")
    return "\n".join(parts)


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
    wrong = [*check_routes(), *check_ends(), *check_messages("--update" in sys.argv[1:])]
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(ROUTES)} routes and all messages are as they should be")


if __name__ == "__main__":
    main()
