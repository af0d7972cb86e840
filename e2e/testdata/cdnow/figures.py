#!/usr/bin/env python3
"""Computes retention figures of the CDNOW logs straight from their definitions, independently of Regulars.

Usage: figures.py LOG [LOG...] > figures.json

It uses exact fractions and plain dictionaries, no library, and is slow on purpose. The tests compare what Regulars
answers with the committed output; run it again only when a definition changes.
"""
import json
import sys
from calendar import monthrange
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction


def load(path):
    """Orders as (customer, day, cents, position); customer ids are those of the full log."""
    rows = []
    with open(path) as log:
        for position, line in enumerate(log):
            cells = line.split()
            if not cells or not cells[0].isdigit():
                continue
            customer, day, amount = cells[0], cells[-3], cells[-1]
            whole, cents = amount.split(".")
            rows.append((customer, date(int(day[:4]), int(day[4:6]), int(day[6:])), int(whole) * 100 + int(cents), position))
    return rows


def ratio(a, b):
    return None if b == 0 else {"numerator": a, "denominator": b, "value": float(Fraction(a, b))}


def money(cents):
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def rounded(numerator, denominator):
    """Half away from zero."""
    return (2 * numerator + denominator) // (2 * denominator)


def active(orders, day, window):
    """Customers with an order in the last `window` days up to and with `day`."""
    return {c for c, on, _, _ in orders if day - timedelta(days=window - 1) <= on <= day}


def report(rows, as_of, start, end, window):
    known = [r for r in rows if r[1] <= as_of]
    inside = [r for r in known if start <= r[1] <= end]
    buyers = {r[0] for r in inside}
    gross = sum(r[2] for r in inside)
    times = defaultdict(int)
    for r in known:
        times[r[0]] += 1
    repeat = sum(1 for n in times.values() if n >= 2)
    w = max(window, (end - start).days + 1)
    at_start = active(known, start - timedelta(days=1), w)
    at_end = active(known, end, w)
    retained = len(at_start & at_end)
    return {
        "as_of": str(as_of), "from": str(start), "to": str(end), "window": window, "window_days": w,
        "customers": len(times), "orders": len(inside), "buyers": len(buyers),
        "gross_revenue": money(gross), "net_revenue": money(gross),
        "average_check": None if not inside else money(rounded(gross, len(inside))),
        "active_customers": len(at_end),
        "repeat_customer_rate": ratio(repeat, len(times)),
        "purchase_frequency": ratio(len(inside), len(buyers)),
        "crr": ratio(retained, len(at_start)),
        "churn": ratio(len(at_start) - retained, len(at_start)),
    }


GRID = {
    5: ["new", "potential_loyalist", "potential_loyalist", "champions", "champions"],
    4: ["promising", "potential_loyalist", "potential_loyalist", "loyal", "loyal"],
    3: ["about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"],
    2: ["hibernating", "hibernating", "at_risk", "at_risk", "cant_lose"],
    1: ["lost", "lost", "at_risk", "at_risk", "cant_lose"],
}


def scores(values):
    """1 + floor(5 * B / N), B the customers that are strictly worse; a greater value is better."""
    n = len(values)
    ranked = sorted(values.values())
    below = {}
    for i, v in enumerate(ranked):
        below.setdefault(v, i)
    return {c: 1 + 5 * below[v] // n for c, v in values.items()}


def segments(rows, as_of, window):
    known = [r for r in rows if r[1] <= as_of]
    last, count, net = {}, defaultdict(int), defaultdict(int)
    for c, on, cents, _ in known:
        last[c] = max(last.get(c, on), on)
        count[c] += 1
        net[c] += cents
    r = scores({c: -(as_of - on).days for c, on in last.items()})
    f, m = scores(count), scores(net)
    sizes, value = defaultdict(int), defaultdict(int)
    for c in last:
        group = "rfm_" + GRID[r[c]][(f[c] + m[c] + 1) // 2 - 1]
        sizes[group] += 1
        value[group] += net[c]
        days = (as_of - last[c]).days
        stage = "active" if days < window else "dormant" if days < 2 * window else "lost"
        sizes["lifecycle_" + stage] += 1
        sizes["one_time" if count[c] == 1 else "repeat"] += 1
    histogram = lambda s: {str(k): sum(1 for v in s.values() if v == k) for k in range(1, 6)}
    return {
        "as_of": str(as_of), "window": window, "sizes": dict(sorted(sizes.items())),
        "net_revenue": {g: money(v) for g, v in sorted(value.items())},
        "scores": {"r": histogram(r), "f": histogram(f), "m": histogram(m)},
    }


def questions():
    month = lambda y, m: (date(y, m, 1), date(y, m, monthrange(y, m)[1]))
    periods = [month(1997, m) for m in (1, 2, 3, 4, 7, 10, 12)] + [month(1998, m) for m in (1, 3, 5, 6)]
    periods += [(date(1997, q, 1), month(1997, q + 2)[1]) for q in (1, 4, 7, 10)] + [(date(1998, 4, 1), date(1998, 6, 30))]
    periods += [(date(1997, 1, 1), date(1997, 12, 31)), (date(1997, 3, 10), date(1997, 4, 5))]
    for start, end in periods:
        yield end, start, end, 90
    for window in (30, 60, 180, 365):
        yield date(1998, 6, 30), date(1998, 6, 1), date(1998, 6, 30), window
        yield date(1997, 12, 31), date(1997, 10, 1), date(1997, 12, 31), window
    yield date(1998, 6, 30), date(1997, 10, 1), date(1997, 12, 31), 90  # a closed period, seen later
    yield date(1998, 6, 15), date(1998, 6, 1), date(1998, 6, 15), 90


def main():
    out = {}
    for path in sys.argv[1:]:
        rows = load(path)
        out[path.rsplit("/", 1)[-1]] = {
            "reports": [report(rows, *q) for q in questions()],
            "segments": [segments(rows, d, w) for d, w in
                         [(date(1998, 6, 30), 90), (date(1997, 12, 31), 90), (date(1997, 9, 30), 60), (date(1998, 6, 30), 30)]],
        }
    json.dump(out, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
