#!/usr/bin/env python3
"""Computes every figure that orders and refunds feed straight from its definition, independently of Regulars.

Usage: reference.py retail ledger.csv > expected.json
       reference.py cdnow LOG [LOG...] > reference.json

Exact fractions and plain dictionaries, no library, slow on purpose. The tests compare what Regulars answers with the
committed output; run it again only when a definition changes. A count is a number, money a string, a share or a rate is
[numerator, denominator, value], and what is undefined is null.
"""
import csv
import hashlib
import json
import re
import sys
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from functools import cache

DAY = timedelta(days=1)


class Order:
    def __init__(self, customer, on, cents, place):
        self.customer, self.on, self.cents, self.place, self.refunds = customer, on, cents, place, []


class Refund:
    def __init__(self, customer, on, cents, order):
        self.customer, self.on, self.cents, self.order = customer, on, cents, order


def minor(text):
    if not re.fullmatch(r"-?\d+(\.\d{1,2})?", text):
        return None
    sign, text = (-1, text[1:]) if text[0] == "-" else (1, text)
    whole, _, part = text.partition(".")
    return sign * (int(whole) * 100 + int(part.ljust(2, "0") or 0))


def civil(text):
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def load_retail(path, linked):
    """Orders, refunds and the number of rows of each kind that cannot be used."""
    orders, refunds, bad, links = {}, [], {"orders": 0, "refunds": 0}, []
    with open(path, newline="") as f:
        for place, row in enumerate(csv.DictReader(f)):
            on, cents = civil(row["date"]), minor(row["amount"])
            if on is None or cents is None or row["kind"] == "order" and cents < 0:
                bad[row["kind"] + "s"] += 1
            elif row["kind"] == "order":
                orders[row["key"]] = Order(row["customer"], on, cents, place)
            else:
                links.append((Refund(row["customer"], on, abs(cents), None), row["order"]))
    for refund, key in links:
        if linked and key in orders:
            refund.order = orders[key]
            refund.customer = refund.order.customer
            refund.order.refunds.append(refund)
        refunds.append(refund)
    return list(orders.values()), refunds, bad


def load_cdnow(path):
    orders = []
    with open(path) as log:
        for place, line in enumerate(log):
            cells = line.split()
            if cells and cells[0].isdigit():
                day = cells[-3]
                orders.append(Order(cells[0], date(int(day[:4]), int(day[4:6]), int(day[6:])), minor(cells[-1]), place))
    return orders, [], {"orders": 0, "refunds": 0}


def money(cents):
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def rounded(q):
    """Cents, half away from zero."""
    n, d = abs(q).numerator, q.denominator
    n = (2 * n + d) // (2 * d)
    return -n if q < 0 else n


def mean_money(cents, n):
    return None if n == 0 else money(rounded(Fraction(cents) / n))


def ratio(a, b):
    return None if b == 0 else [a, b, float(Fraction(a, b))]


def money_ratio(a, b):
    return None if b == 0 else [money(a), money(b), float(Fraction(a, b))]


class View:
    """What is known after the close of a day."""

    def __init__(self, orders, refunds, as_of):
        self.as_of = as_of
        self.placed = [o for o in orders if o.on <= as_of]
        self.refunds = [r for r in refunds if r.on <= as_of]
        void = lambda o: o.cents > 0 and sum(r.cents for r in o.refunds if r.on <= as_of) >= o.cents
        self.valid = sorted((o for o in self.placed if not void(o)), key=lambda o: (o.on, o.place))
        self.mine = defaultdict(list)  # valid orders of each customer, oldest first
        for o in self.valid:
            if o.customer:
                self.mine[o.customer].append(o)
        # Value hangs on the customer: a linked refund at its order's day, another at its own.
        self.entries = defaultdict(list)
        for o in self.placed:
            if o.customer:
                self.entries[o.customer].append((o.on, o.cents))
        for r in self.refunds:
            assert r.order is None or r.order.on <= as_of, "a refund is known before its order: not defined"
            if r.customer:
                self.entries[r.customer].append((r.order.on if r.order else r.on, -r.cents))
        self.net = {c: sum(v for _, v in self.entries[c]) for c in self.mine}
        since = as_of - 364 * DAY
        self.net_year = {c: sum(v for on, v in e if on >= since) for c, e in self.entries.items()}

    def active(self, day, window):
        first = day - (window - 1) * DAY
        return {o.customer for o in self.valid if o.customer and first <= o.on <= day}


def previous(start, end):
    month_end = lambda d: d.replace(day=monthrange(d.year, d.month)[1])
    months = (end.year - start.year) * 12 + end.month - start.month + 1
    whole = start.day == 1 and end == month_end(end)
    if whole and (months == 1 or months == 3 and start.month % 3 == 1 or months == 12 and start.month == 1):
        y, m = divmod(start.year * 12 + start.month - 1 - months, 12)
        return date(y, m + 1, 1), start - DAY
    return start - (end - start) - DAY, start - DAY


def report(view, start, end, window):
    v = view
    inside = [o for o in v.valid if start <= o.on <= end]
    own = [o for o in inside if o.customer]
    placed = [o for o in v.placed if start <= o.on <= end]
    given = [r for r in v.refunds if start <= r.on <= end]
    gross, back = sum(o.cents for o in placed), sum(r.cents for r in given)
    first = {c: mine[0] for c, mine in v.mine.items()}
    buyers = defaultdict(int)
    for o in own:
        buyers[o.customer] += 1
    firsts = [o for o in own if first[o.customer] is o]
    repeats = [o for o in own if first[o.customer] is not o]
    total = lambda some: sum(o.cents for o in some)
    w = max(window, (end - start).days + 1)
    at_start, at_end = v.active(start - DAY, w), v.active(end, w)
    kept = at_start & at_end
    new = {c for c in at_end if start <= first[c].on <= end}
    reactivated = {c for c in at_end - at_start if first[c].on < start}
    assert len(at_end) == len(kept) + len(new) + len(reactivated)
    p_start, p_end = previous(start, end)
    before = {o.customer for o in v.valid if o.customer and p_start <= o.on <= p_end}
    year = [o for o in v.valid if o.customer and v.as_of - 364 * DAY <= o.on]
    year_buyers = {o.customer for o in year}
    earlier = {c for c, o in first.items() if o.on < start}
    loyal = sum(o.cents for o in placed if o.customer in earlier) - sum(r.cents for r in given if r.customer in earlier)
    out = {
        "customers": len(v.mine), "orders": len(inside), "buyers": len(buyers),
        "orders_without_customer": len(inside) - len(own),
        "revenue_without_customer": money(sum(o.cents for o in placed if not o.customer)),
        "gross_revenue": money(gross), "net_revenue": money(gross - back),
        "average_check": mean_money(total(own), len(own)),
        "average_check_first": mean_money(total(firsts), len(firsts)),
        "average_check_repeat": mean_money(total(repeats), len(repeats)),
        "active_customers": len(at_end), "new_customers": len(new), "reactivated_customers": len(reactivated),
        "churned_customers": len(at_start - at_end), "retained_customers": len(kept),
        "crr": ratio(len(kept), len(at_start)), "churn": ratio(len(at_start - at_end), len(at_start)),
        "crr_literal": ratio(len(at_end) - len(new), len(at_start)),
        "period_retention": ratio(len(before & buyers.keys()), len(before)),
        "new_buyers": sum(1 for c in buyers if start <= first[c].on <= end),
        "returning_buyers_share": ratio(len({o.customer for o in repeats}), len(buyers)),
        "repeat_buyers_in_period_share": ratio(sum(1 for n in buyers.values() if n >= 2), len(buyers)),
        "repeat_customer_rate": ratio(sum(1 for m in v.mine.values() if len(m) >= 2), len(v.mine)),
        "purchase_frequency": ratio(len(own), len(buyers)),
        "purchase_frequency_year": ratio(len(year), len(year_buyers)),
        "ltv_historic": mean_money(sum(v.net.values()), len(v.mine)),
        "return_rate_orders": ratio(sum(1 for o in placed if any(r.on <= v.as_of and r.cents > 0 for r in o.refunds)), len(placed)),
        "return_rate_money": money_ratio(back, gross),
        "loyal_revenue": money(loyal),
    }
    for n in (30, 60, 90, 180, 365):
        ripe = [m for m in v.mine.values() if m[0].on + n * DAY <= v.as_of]
        again = sum(1 for m in ripe if len(m) > 1 and m[1].on <= m[0].on + n * DAY)
        out[f"repeat_within_{n}d"] = ratio(again, len(ripe))
    values = sorted((x for x in v.net_year.values() if x > 0), reverse=True)
    for n in (1, 5, 10):
        out[f"top{n}_share"] = money_ratio(sum(values[:n]), sum(values))
    squares, whole = sum(x * x for x in values), sum(values)
    out["hhi"] = None if not whole else float(Fraction(squares * 10000, whole * whole))
    out["effective_customers"] = None if not whole else float(Fraction(whole * whole, squares))
    # Churn of the trailing year needs no annualising; nobody lost means the cap of ten years.
    then, now = v.active(v.as_of - 365 * DAY, 365), v.active(v.as_of, 365)
    out["clv_simple"] = None
    if then and year:
        lost = len(then - now)
        life = min(Fraction(10), Fraction(len(then), lost)) if lost else Fraction(10)
        out["clv_simple"] = money(rounded(Fraction(total(year), len(year_buyers)) * life))
    return {"as_of": str(v.as_of), "from": str(start), "to": str(end), "window": window, "window_days": w, "kpis": out}


def unfinished(view, start, end):
    """A period that goes on after as-of: only what does not depend on where an unfinished period ends."""
    kpis = report(view, start, end, 90)["kpis"]
    keep = ("orders", "buyers", "gross_revenue", "net_revenue", "average_check", "new_buyers", "loyal_revenue", "orders_without_customer")
    return {"as_of": str(view.as_of), "from": str(start), "to": str(end), "window": 90, "complete": False, "kpis": {k: kpis[k] for k in keep}}


GRID = {
    5: ["new", "potential_loyalist", "potential_loyalist", "champions", "champions"],
    4: ["promising", "potential_loyalist", "potential_loyalist", "loyal", "loyal"],
    3: ["about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"],
    2: ["hibernating", "hibernating", "at_risk", "at_risk", "cant_lose"],
    1: ["lost", "lost", "at_risk", "at_risk", "cant_lose"],
}


def scores(values):
    """1 + floor(5 * B / N), B the customers that are strictly worse; a greater value is better."""
    ranked = sorted(values.values())
    return {c: 1 + 5 * bisect_left(ranked, x) // len(ranked) for c, x in values.items()}


def rfm(view, lines):
    """Sizes and money; lines: the customers' lines themselves, or only their hash."""
    days = {c: (view.as_of - m[-1].on).days for c, m in view.mine.items()}
    r = scores({c: -d for c, d in days.items()})
    f, m = scores({c: len(o) for c, o in view.mine.items()}), scores(view.net)
    segments, listed = defaultdict(lambda: [0, 0]), []
    for c in sorted(view.mine):
        segment = "rfm_" + GRID[r[c]][(f[c] + m[c] + 1) // 2 - 1]
        segments[segment][0] += 1
        segments[segment][1] += view.net[c]
        listed.append(f"{c} {days[c]} {len(view.mine[c])} {money(view.net[c])} {r[c]}{f[c]}{m[c]} {segment}")
    histogram = lambda s: {str(k): sum(1 for x in s.values() if x == k) for k in range(1, 6)}
    out = {
        "as_of": str(view.as_of), "scores": {"r": histogram(r), "f": histogram(f), "m": histogram(m)},
        "segments": {s: [n, money(v)] for s, (n, v) in sorted(segments.items())},
        "customers_sha256": hashlib.sha256("".join(l + "\n" for l in listed).encode()).hexdigest(),
    }
    if lines:
        out["customers"] = listed
    return out


def cohorts(view, kind):
    month = lambda d: d.year * 12 + d.month - 1
    complete = month(view.as_of + DAY) - 1
    members = defaultdict(list)
    for c, m in view.mine.items():
        members[month(m[0].on)].append(c)
    out = []
    for start in sorted(members):
        size, counts, values = len(members[start]), [], []
        for k in range(start, complete + 1):
            own = [view.mine[c] for c in members[start]]
            if kind == "ltv":
                net = sum(v for c in members[start] for on, v in view.entries[c] if month(on) <= k)
                counts.append(money(net))
                values.append(mean_money(net, size))
                continue
            if kind == "classic":
                n = sum(1 for m in own if any(month(o.on) == k for o in m))
            elif kind == "unbounded":
                n = sum(1 for m in own if month(m[-1].on) >= k)
            else:
                n = sum(1 for m in own if len(m) > 1 and month(m[1].on) <= k)
            counts.append(n)
            values.append(n / size)
        out.append({"month": f"{start // 12}-{start % 12 + 1:02d}", "size": size, "counts": counts, "values": values if kind == "ltv" else []})
    return {"as_of": str(view.as_of), "kind": kind, "cohorts": out}


def segments(view, everybody, window):
    """Members of the built-in segments; everybody: all customers that any record names."""
    out = defaultdict(list)
    ranked = sorted(view.net_year[c] for c in view.mine)
    for c, mine in view.mine.items():
        days = (view.as_of - mine[-1].on).days
        stage = "active" if days < window else "dormant" if days < 2 * window else "lost"
        out["lifecycle_" + stage].append(c)
        out["one_time" if len(mine) == 1 else "repeat"].append(c)
        above = len(ranked) - bisect_right(ranked, view.net_year[c])
        if view.net_year[c] > 0 and 10 * above < len(ranked):
            out["vip"].append(c)
        age = [(view.as_of - o.on).days for o in mine]
        earlier, recent = sum(1 for a in age if window <= a < 2 * window), sum(1 for a in age if a < window)
        if earlier >= 3 and 2 * recent <= earlier:
            out["at_risk"].append(c)
        dates = sorted({o.on for o in mine})
        if len(dates) >= 3 and stage != "lost" and days * (len(dates) - 1) > 2 * (dates[-1] - dates[0]).days:
            out["overdue"].append(c)
    out["no_orders"] = sorted(everybody - view.mine.keys())
    for line in rfm(view, True)["customers"]:
        c, *_, segment = line.split()
        out[segment].append(c)
    return {s: {"size": len(m), "members_sha256": hashlib.sha256("".join(c + "\n" for c in sorted(m)).encode()).hexdigest()} for s, m in sorted(out.items())}


def month(y, m):
    return date(y, m, 1), date(y, m, monthrange(y, m)[1])


def quarter(y, q):
    return date(y, 3 * q - 2, 1), month(y, 3 * q)[1]


def compute(data, questions, open_end, days, end, lines):
    orders, refunds, bad = data
    view = cache(lambda d: View(orders, refunds, d))
    everybody = {x.customer for x in orders + refunds if x.customer}
    return {
        "rejected": bad,
        "reports": [report(view(d), a, b, w) for d, a, b, w in questions] + [unfinished(view(d), a, b) for d, a, b in open_end],
        "rfm": [rfm(view(d), lines and d == days[0]) for d in days],
        "cohorts": [cohorts(view(d), kind) for d in days[:2] for kind in ("classic", "unbounded", "cumulative", "ltv")],
        "segments": {"as_of": str(end), "window": 90, "sizes": segments(view(end), everybody, 90)},
    }


def retail(path):
    end = date(2011, 12, 9)
    periods = [month(2009, 12)] + [month(y, m) for y in (2010, 2011) for m in range(1, 13) if (y, m) < (2011, 12)]
    periods += [quarter(2010, q) for q in (1, 2, 3, 4)] + [quarter(2011, q) for q in (1, 2, 3)]
    periods += [(date(2010, 1, 1), date(2010, 12, 31)), (date(2010, 3, 10), date(2010, 4, 5)), (date(2011, 2, 1), date(2011, 2, 1))]
    periods += [(date(2010, 11, 1), date(2011, 1, 31)), (date(2011, 12, 1), end)]
    questions = [(b, a, b, 90) for a, b in periods]
    questions += [(end, *month(2011, 11), w) for w in (30, 90, 180)] + [(date(2011, 6, 30), *quarter(2011, 2), w) for w in (30, 180)]
    questions += [(end, *p, 90) for p in [month(2010, 3), quarter(2010, 4), (date(2010, 1, 1), date(2010, 12, 31)), (date(2010, 12, 10), end)]]
    open_end = [(end, *month(2011, 12)), (end, *quarter(2011, 4)), (end, date(2011, 1, 1), date(2011, 12, 31))]
    days = [end, date(2011, 6, 30), date(2010, 12, 31), date(2010, 6, 12)]
    return {v: compute(load_retail(path, v == "linked"), questions, open_end, days, end, True) for v in ("linked", "flat")}


def cdnow(path):
    end = date(1998, 6, 30)
    periods = [month(1997, m) for m in range(1, 13)] + [month(1998, m) for m in range(1, 7)]
    periods += [quarter(1997, q) for q in (1, 2, 3, 4)] + [quarter(1998, q) for q in (1, 2)] + [(date(1997, 1, 1), date(1997, 12, 31))]
    questions = [(b, a, b, 90) for a, b in periods] + [(end, *month(1998, 6), w) for w in (30, 180)] + [(end, *quarter(1997, 4), 90)]
    days = [end, date(1997, 12, 31)]
    return compute(load_cdnow(path), questions, [(date(1998, 6, 15), *month(1998, 6))], days, end, "sample" in path)


def main():
    form, *paths = sys.argv[1:]
    out = retail(paths[0]) if form == "retail" else {p.rsplit("/", 1)[-1]: cdnow(p) for p in paths}
    line = lambda v: json.dumps(v, separators=(",", ":"), sort_keys=True)
    blocks = []
    for name, part in out.items():
        lists = [f'"{k}":[\n' + ",\n".join(map(line, part[k])) + "\n]" for k in ("reports", "rfm", "cohorts")]
        rest = [f'"{k}":{line(part[k])}' for k in ("rejected", "segments")]
        blocks.append(f'"{name}":{{\n' + ",\n".join(rest + lists) + "\n}")
    print("{" + ",\n".join(blocks) + "}")


if __name__ == "__main__":
    main()
