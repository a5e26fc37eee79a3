"""PromQL expressions: selection of series, merging of replicas, choice of symbols.

Every expression is built with `latest` or `rate`, which apply the variables of the dashboard. Two
replicas that receive the same events expose the same series twice: `max` (or `min`, if low is bad)
over the labels of a family merges them, before anything is summed.
"""

EXPORTER = 'job=~"$job", instance=~"$instance"'
ACCOUNT = f'{EXPORTER}, account=~"$account"'
SYMBOL = f'{ACCOUNT}, symbol=~"$symbol"'

# The labels of most families.
A = ("account",)
AS = ("account", "symbol")
I = ("instance",)  # noqa: E741 - beside A and AS


def scope(labels):
    """Matchers of the dashboard variables, for series with these labels."""
    if "symbol" in labels:
        return SYMBOL
    return ACCOUNT if "account" in labels else EXPORTER


def select(metric, labels, where=""):
    """A selector. `where` has further matchers."""
    return f"{metric}{{{scope(labels)}{', ' if where else ''}{where}}}"


def over(aggregate, labels, expression):
    """An aggregation by labels. Without labels, over all series."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"{aggregate}{by} ({expression})"


def latest(metric, labels=A, where="", replicas="max"):
    """A gauge, with replicas merged."""
    return over(replicas, labels, select(metric, labels, where))


def counted(function, metric, labels, where="", window="$__rate_interval", by=None):
    """The increase or rate of a counter, with replicas merged, summed by the labels `by`."""
    gained = f"{function}({select(metric, labels, where)}[{window}])"
    one = over("max", labels, gained)
    return one if by is None or tuple(by) == tuple(labels) else over("sum", by, one)


def rate(metric, labels=A, where="", by=None):
    """The rate of a counter per second."""
    return counted("rate", metric, labels, where, by=by)


def gain(metric, labels=A, where="", by=None, window="$__range"):
    """The increase of a counter in the time range."""
    return counted("increase", metric, labels, where, window, by=by)


def reversed_total(metric):
    """The counter of reversals (busts and corrections) of another counter."""
    return metric.removesuffix("_total") + "_reversed_total"


def quantile(q, metric, labels=A):
    """A quantile of a histogram, for each interval between two points."""
    buckets = rate(f"{metric}_bucket", (*labels, "le"))
    return f"histogram_quantile({q}, {buckets})"


# Exporters seen in the last day, including those that are gone now.
SEEN = f"last_over_time(trading_exporter_build_info{{{EXPORTER}}}[1d])"


def firing(labels, severity=""):
    """Firing alerts about the selected exporters and accounts, by labels."""
    where = 'alertstate="firing", job=~"$job", account=~"$account|"' + severity
    return over("max", labels, f"ALERTS{{{where}}} and on (job) {SEEN}")


def own(expression):
    """Restricts series that every job has to those of exporters.

    `$job` is not enough: if "All" is selected, it matches every job in Prometheus.
    """
    return f"({expression} and on (job, instance) trading_exporter_build_info{{{EXPORTER}}})"


def age(metric, labels=A, where=""):
    """Seconds since the timestamp in a gauge."""
    return f"time() - {latest(metric, labels, where)}"


def threshold(figure, severity, strictest):
    """The effective threshold of a figure. If accounts differ, the strictest one."""
    where = f'figure="{figure}", severity="{severity}"'
    return over(strictest, (), select("trading_threshold", A, where))


def outstanding(expression, pick, count, metric, where="", by="last_over_time"):
    """Limits an expression by account and symbol to the symbols with the highest or lowest gauge.

    They are chosen once, at the end of the time range, so that lines do not appear and disappear.
    """
    ranking = f"{by}({select(metric, AS, where)}[$__range] @ end())"
    ranked = over("max" if pick == "topk" else "min", AS, ranking)
    return f"{expression} and on (account, symbol) {pick}({count}, {ranked})"
