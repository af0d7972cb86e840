#!/usr/bin/env python3
"""Writes ledger.csv: two years of a made-up wholesale gift shop, in the shape of the sales ledgers such shops export.

Usage: generate.py > ledger.csv

Everything follows from the seed. The columns are customer, key, date, amount, kind and order; the last links a refund to
the order it is for. The tests also read the file without `order`, and without `key` and `order`. What is odd is meant:
credit notes above all a customer bought, refunds whose key looks like a link but is none, refunds of orders that are not
in the file, customers with nothing but refunds, rows without a customer, orders of nothing, several orders on one day,
one customer with more than a tenth of the revenue, a last month that stops on the 9th, and rows that nobody can read.
"""
import csv
import sys
from datetime import date, timedelta
from random import Random

SEED = 20091201
FIRST, LAST = date(2009, 12, 1), date(2011, 12, 9)
DAYS = (LAST - FIRST).days


def cents(n):
    sign = "-" if n < 0 else ""
    return f"{sign}{abs(n) // 100}.{abs(n) % 100:02d}"


def order_days(rng, start, mean_gap, limit):
    """Days of a customer's orders; one in eight is followed by another on the same day."""
    day, out = start, []
    while day <= DAYS and len(out) < limit:
        out.append(day)
        if rng.random() < 0.12:
            out.append(day)
        day += 1 + int(rng.expovariate(1 / mean_gap))
    return out


def main():
    rng = Random(SEED)
    sales = []  # day, customer, amount
    for number in range(4000):
        customer = str(12346 + number)
        start = int(DAYS * rng.random() ** 1.4)
        if number < 12:  # wholesale
            gap, limit, size = 6 + number, 200, 250_000
            size = 1_300_000 if number == 0 else size
            start = number * 5
        elif rng.random() < 0.38:
            gap, limit, size = 50, 1, 24_000
        else:
            gap, limit, size = 15 + rng.expovariate(1 / 70), 1 + int(rng.expovariate(1 / 7)), 26_000
        for day in order_days(rng, start, gap, limit):
            amount = 0 if rng.random() < 0.01 else max(1, int(size * rng.lognormvariate(-0.3, 0.8)))
            if rng.random() < 0.3:
                amount = max(100, amount // 500 * 500)  # round sums, so that values tie
            sales.append((day, customer, amount))
    for _ in range(len(sales) // 4):
        sales.append((int(DAYS * rng.random() ** 0.9), "", int(4_000 * rng.lognormvariate(0, 1))))
    rng.shuffle(sales)
    sales.sort(key=lambda s: s[0])  # within a day in any order: the place in the file decides which came first

    rows = []  # (day, place within the day, cells)

    def put(day, customer, key, amount, kind, order=""):
        if 0 <= day <= DAYS:
            rows.append((day, rng.random(), [customer, key, str(FIRST + timedelta(days=day)), amount, kind, order]))

    def refund(day, customer, key, amount, order=""):
        put(day, customer, key, cents(amount if rng.random() < 0.1 else -amount), "refund", order)

    bought = {}
    for n, (day, customer, amount) in enumerate(sales):
        key = str(489434 + n)
        bought[customer] = bought.get(customer, 0) + amount
        put(day, customer, key, cents(amount), "order")
        dice = rng.random()
        later = day + int(rng.expovariate(1 / 25))
        if amount == 0:
            if dice < 0.2:
                refund(later, customer, "C" + key, 0, key)
        elif dice < 0.030:  # all of it
            refund(later, customer, "C" + key, amount, key)
        elif dice < 0.070:  # a part
            refund(later, customer, "C" + key, max(1, amount * rng.randrange(5, 95) // 100), key)
        elif dice < 0.085:  # parts that add up to all of it, months apart
            first = amount // 3
            refund(later, customer, "C" + key, first, key)
            refund(later + 40, customer, "C" + key + "-2", first, key)
            refund(later + 90, customer, "C" + key + "-3", amount - 2 * first, key)
        elif dice < 0.090:  # parts that stop a penny short
            refund(later, customer, "C" + key, amount // 2, key)
            if amount - amount // 2 > 1:
                refund(later + 10, customer, "C" + key + "-2", amount - amount // 2 - 1, key)
        elif dice < 0.094:  # more than was paid
            refund(later, customer, "C" + key, amount + rng.randrange(1, 20_000), key)
        elif dice < 0.098 and (FIRST + timedelta(days=day)).day in range(17, 26):  # booked before the order
            refund(day - rng.randrange(1, 4), customer, "C" + key, amount // 2 + 1, key)
        elif dice < 0.104:  # the link names the order, the row names nobody
            refund(later, "", "C" + key, amount // 2 + 1, key)
        elif dice < 0.134:  # the key looks like a link, but there is none
            refund(later, customer, "C" + key, amount, "")
        elif dice < 0.136:  # of an order that is not in the file
            refund(later, customer, "C9" + key, amount // 2 + 1, "9" + key)
    for n, customer in enumerate(sorted(bought)[40:2000:11]):  # credit notes above all that was bought
        if customer and n % 2:
            refund(rng.randrange(200, DAYS), customer, f"A{n}", bought[customer] + rng.randrange(1, 50_000))
        else:
            refund(rng.randrange(0, DAYS), customer, f"A{n}", rng.randrange(1, 9_000))
    for n in range(60):
        refund(rng.randrange(0, DAYS), str(17001 + n), f"B{n}", rng.randrange(100, 30_000))
    rows.sort(key=lambda r: r[:2])
    lines = [r[2] for r in rows]
    lines[2000:2000] = [lines[1000][:1] + ["X1"] + lines[1000][2:]]  # the same sale again under another key: two records
    bad = [
        ["12400", "E1", "2010-03-05", "-12.00", "order", ""], ["12401", "E2", "", "15.00", "order", ""],
        ["12402", "E3", "2010-05-05", "twelve", "order", ""], ["12403", "E4", "2010-02-30", "15.00", "order", ""],
        ["18001", "E5", "2010-06-01", "", "order", ""], ["12405", "E6", "2010-06-01", "1.005", "order", ""],
        ["", "E7", "2011-06-01", "-0.01", "order", ""], ["12407", "E8", "", "-5.00", "refund", ""],
        ["12408", "E9", "2011-01-05", "n/a", "refund", ""],
    ]
    for n, row in enumerate(bad):
        lines.insert(700 + n * 2000, row)
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["customer", "key", "date", "amount", "kind", "order"])
    out.writerows(lines)


if __name__ == "__main__":
    main()
