package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/sdk/conformance"
)

// build makes the connector's executable.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "table")
	command := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// shop writes the export of a shop with several pages of everything: customers in one file, orders and refunds in three
// with a bad row in the last, and a newsletter.
func shop(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	var people, news strings.Builder
	people.WriteString("id,full_name,email,phone,city\n")
	news.WriteString("email;phone;status;changed_at\n")
	for i := range 603 {
		fmt.Fprintf(&people, "%05d,Customer %d,c%d@example.com,+7999%07d,Tver\n", i, i, i, i)
		fmt.Fprintf(&news, "C%d@Example.com;;%s;%02d.02.2025\n", i, []string{"subscribed", "unsubscribed"}[i%2], 1+i%28)
	}
	writeFile(t, folder, "customers.csv", people.String())
	writeFile(t, folder, "newsletter.csv", news.String())
	for year := range 3 {
		var sales strings.Builder
		sales.WriteString("kind,key,customer,date,amount\n")
		for i := range 603 {
			fmt.Fprintf(&sales, "order,%d-%d,%05d,202%d-03-01,%d.50\n", year, i, i/2, year, i)
			if i%10 == 0 {
				fmt.Fprintf(&sales, "refund,r%d-%d,%05d,202%d-03-02,-1.00\n", year, i, i/2, year)
			}
		}
		if year == 2 {
			sales.WriteString("order,bad,00001,2022-13-01,1\n")
		}
		writeFile(t, folder, fmt.Sprintf("sales-%d.csv", year), sales.String())
	}
	return folder
}

func shopConfig(folder string) map[string]any {
	sales := func(kind, on string) map[string]any {
		return map[string]any{
			"file": "sales-*.csv", "where": map[string]string{"kind": kind},
			"columns": map[string]string{"customer": "customer", "key": "key", on: "date", "amount": "amount"},
		}
	}
	// An order log without keys, beside the one with.
	refunds := sales("refund", "refunded_on")
	delete(refunds["columns"].(map[string]string), "key")
	return map[string]any{
		"folder": folder,
		"orders": sales("order", "ordered_on"), "refunds": refunds,
		"contacts": map[string]any{
			"file": "customers.csv", "delete_missing": true, "custom": map[string]string{"town": "city"},
			"columns": map[string]string{"key": "id", "name": "full_name", "email": "email", "phone": "phone"},
		},
		"consents": map[string]any{
			"file": "newsletter.csv", "date_format": []string{"DD.MM.YYYY"},
			"columns":  map[string]string{"email": "email", "phone": "phone", "state": "status", "at": "changed_at"},
			"values":   map[string]any{"state": map[string]string{"subscribed": "opted_in", "unsubscribed": "opted_out"}},
			"constant": map[string]string{"channel": "email"},
		},
		"targets": map[string]any{"folder": filepath.Join(folder, "lists")},
	}
}

// TestConformance runs the suite against the real executable.
func TestConformance(t *testing.T) {
	folder := shop(t)
	bad := func(change func(c map[string]any)) string {
		c := shopConfig(folder)
		change(c)
		return mustJSON(t, c)
	}
	block := func(c map[string]any, stream string) map[string]any { return c[stream].(map[string]any) }
	columns := func(c map[string]any, stream string) map[string]string {
		return block(c, stream)["columns"].(map[string]string)
	}
	conformance.Run(t, conformance.Case{
		Path: build(t), Config: mustJSON(t, shopConfig(folder)), TimeZone: "Europe/Moscow", Currency: "RUB",
		Records: map[string]int{"contacts": 603, "orders": 1809, "refunds": 183, "consents": 603, "deals": 0},
		Skipped: map[string]int{"orders": 1},
		BadConfigs: []conformance.BadConfig{
			{
				Name:   "misspelt field and format",
				Fields: []string{"orders.columns.custmer", "orders.date_format", "contacts.columns.key"},
				Config: bad(func(c map[string]any) {
					columns(c, "orders")["custmer"] = "customer"
					block(c, "orders")["date_format"] = []string{"DD.MM"}
					delete(columns(c, "contacts"), "key")
				}),
			},
			{
				Name: "file outside of the folder", Fields: []string{"orders.file"},
				Config: bad(func(c map[string]any) { block(c, "orders")["file"] = "../*.csv" }),
			},
		},
		Targets: []conformance.TargetCase{{
			Kind: "file", Name: "win-back",
			People: []conformance.Person{{Email: "a@example.com", Phone: "+79990000001"}, {Email: "b@example.com"}, {Email: "c@example.com"}},
		}},
	})
}
