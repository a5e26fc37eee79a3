"""PromQL: which series, how replicas become one, which symbols are shown.

Every expression goes through `latest` or `rate`, so none forgets the variables. Two replicas that
are told the same events show the same series twice: `max` (or `min`, where low is bad) over the
labels of a family makes one of them, before anything is added up.
"""

EXPORTER = 'job=~"$job", instance=~"$instance"'
ACCOUNT = f'{EXPORTER}, account=~"$account"'
SYMBOL = f'{ACCOUNT}, symbol=~"$symbol"'

# The labels of most families.
A = ("account",)
AS = ("account", "symbol")
I = ("instance",)  # noqa: E741 - beside A and AS


def scope(labels):
    """The variables that select series with these labels."""
    if "symbol" in labels:
        return SYMBOL
    return ACCOUNT if "account" in labels else EXPORTER


def select(metric, labels, where=""):
    """A selector; `where` holds further matchers."""
    return f"{metric}{{{scope(labels)}{', ' if where else ''}{where}}}"


def over(aggregate, labels, expression):
    """An aggregation by labels; without labels, over everything."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"{aggregate}{by} ({expression})"


def latest(metric, labels=A, where="", replicas="max"):
    """A gauge, one series for each value of its labels."""
    return over(replicas, labels, select(metric, labels, where))


def counted(function, metric, labels, where="", window="$__rate_interval", by=None):
    """What a counter gained, added up by some of its labels; the rest are those of the family."""
    gained = f"{function}({select(metric, labels, where)}[{window}])"
    one = over("max", labels, gained)
    return one if by is None or tuple(by) == tuple(labels) else over("sum", by, one)


def rate(metric, labels=A, where="", by=None):
    """What a counter gains a second."""
    return counted("rate", metric, labels, where, by=by)


def gain(metric, labels=A, where="", by=None, window="$__range"):
    """What a counter gained in the time shown."""
    return counted("increase", metric, labels, where, window, by=by)


def taken_away(metric):
    """The counter of what busts and corrections took away of another one."""
    return metric.removesuffix("_total") + "_reversed_total"


def quantile(q, metric, labels=A):
    """A quantile of a histogram in the time between two points."""
    buckets = rate(f"{metric}_bucket", (*labels, "le"))
    return f"histogram_quantile({q}, {buckets})"


# Exporters that were there in the last day, also when they are not there now.
SEEN = f"last_over_time(trading_exporter_build_info{{{EXPORTER}}}[1d])"


def firing(labels, severity=""):
    """Alerts about the exporters chosen and their accounts, by some of their labels."""
    where = 'alertstate="firing", job=~"$job", account=~"$account|"' + severity
    return over("max", labels, f"ALERTS{{{where}}} and on (job) {SEEN}")


def own(expression):
    """Of series that every job has, those of exporters.

    `$job` does not do that: all of its values together are every job there is.
    """
    return f"({expression} and on (job, instance) trading_exporter_build_info{{{EXPORTER}}})"


def age(metric, labels=A, where=""):
    """Seconds since the time that a gauge holds."""
    return f"time() - {latest(metric, labels, where)}"


def threshold(figure, severity, strictest):
    """The effective threshold of a figure; the strictest one, if those of accounts differ."""
    where = f'figure="{figure}", severity="{severity}"'
    return over(strictest, (), select("trading_threshold", A, where))


def outstanding(expression, pick, count, metric, where="", by="last_over_time"):
    """Of an expression by account and symbol, the symbols that a gauge ranks first or last.

    They are chosen once, at the end of the time shown, so that lines do not come and go.
    """
    ranking = f"{by}({select(metric, AS, where)}[$__range] @ end())"
    ranked = over("max" if pick == "topk" else "min", AS, ranking)
    return f"{expression} and on (account, symbol) {pick}({count}, {ranked})"
