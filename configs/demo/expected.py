#!/usr/bin/env python3
"""Computes what the demo must find, straight from its CSV files and independently of Regulars.

Usage, in this folder: python3 expected.py > expected.json
"""
import csv
import json
import os
import sys
from collections import Counter, defaultdict
from datetime import date, datetime

sys.path.insert(0, os.path.join("..", "..", "e2e", "testdata", "cdnow"))
import figures  # the figures of the log by their definitions

AS_OF = date(1998, 6, 30)


def digits(phone):
    """The national number of a US phone, however it is written."""
    return "".join(c for c in phone if c.isdigit())[-10:]


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def orders():
    for i, r in enumerate(rows("shop/orders.csv")):
        whole, cents = r["amount"].split(".")
        yield r["customer"], date.fromisoformat(r["date"]), int(whole) * 100 + int(cents), i


def people(customers, subscribers):
    """Joins newsletter rows to shop customers and to each other: e-mail before phone, two customers never."""
    nodes = [("s", c["id"]) for c in customers] + [("n", s["subscriber"]) for s in subscribers]
    parent = {n: n for n in nodes}
    shop = {n: {n} if n[0] == "s" else set() for n in nodes}

    def find(n):
        while parent[n] != n:
            n = parent[n]
        return n

    by = {"email": defaultdict(list), "phone": defaultdict(list)}
    for kind, key, r in [("s", "id", c) for c in customers] + [("n", "subscriber", s) for s in subscribers]:
        if r["email"]:
            by["email"][r["email"].strip().lower()].append((kind, r[key]))
        if r["phone"]:
            by["phone"][digits(r["phone"])].append((kind, r[key]))
    for what in ("email", "phone"):
        for value in sorted(by[what]):
            # A shop's records come before the newsletter's: their connection is the older one.
            group = sorted(by[what][value], key=lambda n: (ORDER[n[0]], n[1]))
            for i, a in enumerate(group):
                for b in group[i + 1:]:
                    x, y = find(a), find(b)
                    if x != y and len(shop[x] | shop[y]) < 2:
                        parent[y] = x
                        shop[x] |= shop[y]
    parts = defaultdict(list)
    for n in nodes:
        parts[find(n)].append(n)
    return parts.values()


# Connections are numbered in the order of their names: newsletter before shop.
ORDER = {"n": 0, "s": 1}


def verdict(email, consents):
    """May this address be written to, given the person's consent rows? Strictest first."""
    refusals = [c for c in consents if c["status"] in ("unsubscribed", "complained") or (c["status"] == "bounced" and c["email"].lower() == email)]
    grants = [c for c in consents if c["status"] == "subscribed" and c["email"].lower() == email and c["form"]]
    when = lambda c: datetime.fromisoformat(c["changed_at"])
    standing = [r for r in refusals if not any(when(g) > when(r) for g in grants)]
    for status, reason in (("complained", "complained"), ("unsubscribed", "opted_out"), ("bounced", "bounced")):
        if any(r["status"] == status for r in standing):
            return reason
    return "allowed" if grants else "no_consent"


def activation(dormant, customers, subscribers):
    shop = {c["id"]: c for c in customers}
    mail = {s["subscriber"]: s for s in subscribers}
    counts, taken = Counter(), set()
    for part in people(customers, subscribers):
        who = [k for kind, k in part if kind == "s" and k in dormant]
        if not who:
            continue
        consents = [mail[k] for kind, k in part if kind == "n"]
        addresses = {r["email"].strip().lower() for r in [shop[k] for kind, k in part if kind == "s"] + consents if r["email"]}
        reasons = sorted((verdict(a, consents), a) for a in addresses)
        allowed = [a for reason, a in reasons if reason == "allowed"]
        if allowed and allowed[0] not in taken:
            taken.add(allowed[0])
            counts["added"] += 1
        elif not addresses:
            counts["held_no_address"] += 1
        else:
            counts["held_" + (reasons[0][0] if not allowed else "duplicate_address")] += 1
    return counts


def main():
    log = list(orders())
    customers, subscribers = rows("shop/customers.csv"), rows("newsletter/subscribers.csv")
    report = figures.report(log, AS_OF, AS_OF.replace(day=1), AS_OF, 90)
    segments = figures.segments(log, AS_OF, 90)
    last = {}
    for c, on, _, _ in log:
        last[c] = max(last.get(c, on), on)
    dormant = {c for c, on in last.items() if 90 <= (AS_OF - on).days < 180}
    kpis = {}
    for name in ("customers", "orders", "buyers", "gross_revenue", "net_revenue", "average_check", "active_customers",
                 "repeat_customer_rate", "purchase_frequency", "crr", "churn"):
        value = report[name]
        kpis[name] = value["value"] if isinstance(value, dict) else value
    json.dump({"kpis": kpis, "segments": segments["sizes"],
               "activation": {"win-back": {"segment": len(dormant), **dict(sorted(activation(dormant, customers, subscribers).items()))}}},
              sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
