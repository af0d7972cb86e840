package main

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
)

const demo = ".." // the demo's folder

// table reads a committed file as rows by column name.
func table(t *testing.T, name string) []map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(demo, name))
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	require.NoError(t, err)
	var out []map[string]string
	for _, row := range rows[1:] {
		named := map[string]string{}
		for i, cell := range row {
			named[rows[0][i]] = cell
		}
		out = append(out, named)
	}
	return out
}

func TestTheCommittedFilesAreTheGeneratedOnes(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(demo+"/source/CDNOW_sample.txt", dir))
	for _, name := range []string{"shop/customers.csv", "shop/orders.csv", "newsletter/subscribers.csv"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(demo, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%s is not what the generator writes; run go run ./configs/demo/generate", name)
	}
}

func TestOrdersAreThePublishedOnes(t *testing.T) {
	orders := table(t, "shop/orders.csv")
	require.Len(t, orders, 6919)
	var revenue int64
	zero := 0
	days, customers := map[string]bool{}, map[string]bool{}
	for _, o := range orders {
		minor, err := entity.ParseMinor(o["amount"], "USD")
		require.NoError(t, err)
		revenue += minor
		if minor == 0 {
			zero++
		}
		days[o["customer"]+o["date"]] = true
		customers[o["customer"]] = true
		require.True(t, o["date"] >= "1997-01-01" && o["date"] <= "1998-06-30")
	}
	require.Equal(t, int64(24_409_194), revenue)
	require.Equal(t, 8, zero)
	require.Len(t, days, 6696)
	require.Len(t, customers, 2357)
	for _, c := range table(t, "shop/customers.csv") {
		require.True(t, customers[c["id"]])
		delete(customers, c["id"])
	}
	require.Empty(t, customers, "every customer of an order is in the customer file")
}

func TestPeopleAreInvented(t *testing.T) {
	customers := table(t, "shop/customers.csv")
	require.Len(t, customers, 2357)
	emails, phones := map[string]bool{}, map[string]int{}
	for _, c := range customers {
		require.Len(t, c["id"], 5)
		require.NotEmpty(t, c["email"]+c["phone"])
		if c["email"] != "" {
			requireReserved(t, c["email"])
			require.False(t, emails[c["email"]], "an address is one customer's")
			emails[c["email"]] = true
		}
		if c["phone"] != "" {
			phones[requireFiction(t, c["phone"])]++
		}
	}
	shared := 0
	for _, n := range phones {
		require.LessOrEqual(t, n, 2)
		shared += n - 1
	}
	require.Equal(t, 6, shared)
}

func TestTheNewsletterOverlaps(t *testing.T) {
	emails, phones := map[string]bool{}, map[string]bool{}
	written := map[string]bool{}
	for _, c := range table(t, "shop/customers.csv") {
		if c["email"] != "" {
			emails[c["email"]], written[c["email"]] = true, true
		}
		if c["phone"] != "" {
			phones[requireFiction(t, c["phone"])] = true
		}
	}
	counts := map[string]int{}
	rows := map[string]int{}
	keys := map[string]bool{}
	for _, s := range table(t, "newsletter/subscribers.csv") {
		require.False(t, keys[s["subscriber"]])
		keys[s["subscriber"]] = true
		requireReserved(t, s["email"])
		counts[s["status"]]++
		rows[strings.ToLower(s["email"])]++
		require.True(t, s["changed_at"] >= "1997-01-01" && s["changed_at"] < "1998-07-01")
		switch {
		case written[s["email"]]:
			counts["same address"]++
		case emails[strings.ToLower(s["email"])]:
			counts["other capitals"]++
		case s["phone"] != "":
			require.True(t, phones[requireFiction(t, s["phone"])])
			counts["same phone"]++
		default:
			counts["stranger"]++
		}
	}
	for _, n := range rows {
		if n > 1 {
			counts["twice"]++
		}
	}
	require.Equal(t, map[string]int{
		"subscribed": 500, "unsubscribed": 117, "bounced": 36, "complained": 33,
		"same address": 246, "other capitals": 227, "same phone": 103, "stranger": 110, "twice": 12,
	}, counts)
}

func TestBadSources(t *testing.T) {
	for bad, want := range map[string]string{
		" 00004 0001 19970101 2\n":        "line 1 has 4 columns, not 5",
		"\n00004 0001 19971301 2 29.33\n": "line 2, column 3: not a date in the form YYYYMMDD",
	} {
		_, err := generate([]byte(bad))
		require.EqualError(t, err, want)
	}
	require.Error(t, run("absent.txt", t.TempDir()))
}

func requireReserved(t *testing.T, email string) {
	t.Helper()
	_, domain, _ := strings.Cut(strings.ToLower(email), "@")
	require.Contains(t, reserved, domain)
}

// requireFiction checks a number and returns it in the form +12125550123.
func requireFiction(t *testing.T, written string) string {
	t.Helper()
	number, err := phonenumbers.Parse(written, "US")
	require.NoError(t, err)
	require.True(t, phonenumbers.IsValidNumber(number), "the library must take it for a number")
	normal := phonenumbers.Format(number, phonenumbers.E164)
	require.Regexp(t, `^\+1\d{3}55501\d\d$`, normal)
	return normal
}
