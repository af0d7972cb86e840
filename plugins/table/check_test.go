package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/sdk"
)

// faultsOf lists the problems of an error as "field: message", in order.
func faultsOf(t *testing.T, err error) map[string]string {
	t.Helper()
	faults := map[string]string{}
	if err == nil {
		return faults
	}
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	for _, one := range joined.Unwrap() {
		var p *sdk.Problem
		require.ErrorAs(t, one, &p)
		require.Equal(t, sdk.ProblemInvalidConfig, p.Kind)
		faults[p.Field] = p.Message
	}
	return faults
}

func TestConfigFaults(t *testing.T) {
	cfg := ordersIn(t.TempDir(), func(b *block) {
		b.Columns = map[string]string{"custmer": "customer", "ordered_on": "date", "ordered_at": "date", "number": " ", "amount": "sum"}
		b.Constant = map[string]string{"amount": "1", "updated_at": "2024-01-01", "nonsense_field": "x"}
		b.Values = map[string]map[string]string{"promo_code": {"a": "b"}}
		b.File, b.Delimiter, b.Thousands, b.DateFormat = "/etc/passwd", "::", "x", []string{"DD.MM"}
	})
	cfg.Contacts = &block{File: "people.csv", Columns: map[string]string{"name": "name"}}
	cfg.Rates = &block{File: "a[.csv", Columns: map[string]string{"on": "a", "from": "b", "rate": "c"}}
	faults := faultsOf(t, cfg.Validate())
	for field, message := range map[string]string{
		"orders.columns.custmer":         "did you mean customer?",
		"orders.columns.ordered_at":      "says the same as ordered_on",
		"orders.columns.number":          "must not be empty",
		"orders.constant.amount":         "has a column already",
		"orders.constant.updated_at":     "needs a column",
		"orders.constant.nonsense_field": "its fields are amount, ",
		"orders.values.promo_code":       "no column",
		"orders.file":                    "below the folder",
		"orders.delimiter":               "must be auto",
		"orders.decimal":                 "thousands",
		"orders.date_format":             "year, month and day",
		"contacts.columns.key":           "is required",
		"rates.columns.to":               "constant",
		"rates.file":                     "pattern",
	} {
		assert.Contains(t, faults[field], message, field)
		delete(faults, field)
	}
	assert.Empty(t, faults)

	assert.Contains(t, faultsOf(t, config{Folder: "x"}.Validate())[""], "nothing is configured")
	assert.Contains(t, faultsOf(t, config{Orders: orderBlock()}.Validate())["folder"], "required")
	require.NoError(t, config{Targets: &targets{Folder: "lists"}}.Validate())
}

func TestCheck(t *testing.T) {
	folder := t.TempDir()
	check := func(cfg config) map[string]string {
		_, err := (&checker{now: testNow}).check(t.Context(), cfg, sdk.CheckRequest{})
		return faultsOf(t, err)
	}
	writeFile(t, folder, "orders-1.csv", lines("Ключ;Клиент;Дата;Сумма", "1;c1;2024-03-05;10"))
	writeFile(t, folder, "orders-2.csv", lines("Ключ;Клиент;Дата;Сума", "1;c1;2024-03-05;10"))
	writeFile(t, folder, "people.csv", lines("id,name", "1,Anna", "2,\xc8\xe2\xe0\xed"))
	writeFile(t, folder, "double.csv", lines("key,name,key", "1,Anna,2"))
	writeFile(t, folder, "empty.csv", "")
	cfg := ordersIn(folder, func(b *block) {
		b.Columns = map[string]string{"key": "Ключ", "customer": "Клиент", "ordered_on": "Дата", "amount": "Сумма"}
		b.Where = map[string]string{"Вид": "заказ"}
	})
	cfg.Contacts = &block{File: "people.csv", Encoding: "utf-8", Columns: map[string]string{"key": "id", "name": "name"}}
	cfg.Companies = &block{File: "companies.csv", Columns: map[string]string{"key": "id"}}
	cfg.Owners = &block{File: "double.csv", Columns: map[string]string{"key": "key"}}
	cfg.Deals = &block{File: "empty.csv", Columns: map[string]string{"key": "key"}}
	cfg.Targets = &targets{Folder: sdk.Path(filepath.Join(folder, "none", "lists"))}
	require.NoError(t, cfg.Validate())
	faults := check(cfg)
	assert.Equal(t, `orders-2.csv line 1 has no column "Сумма"; its columns are "Ключ", "Клиент", "Дата", "Сума"; did you mean "Сума"?`,
		faults["orders.columns.amount"])
	for field, message := range map[string]string{
		"orders.columns.amount": "", "orders.where.Вид": "no column", "contacts.encoding": "windows-1251", "companies.file": "no file",
		"owners.columns.key": "more than one column", "deals.file": "empty", "targets.folder": "does not exist",
	} {
		assert.Contains(t, faults[field], message, field)
		delete(faults, field)
	}
	assert.Empty(t, faults)

	// The stream itself stops with the same words.
	_, err := newSource(tableOrders).read(t.Context(), cfg, readRequest(nil, 0))
	p := problemOf(t, err)
	assert.Equal(t, sdk.ProblemInvalidConfig, p.Kind)
	assert.Equal(t, "orders-1.csv line 1", p.Place)
	assert.Equal(t, "column_missing", p.Rule)

	cfg.Folder = sdk.Path(filepath.Join(folder, "none"))
	cfg.Targets.Folder = sdk.Path(filepath.Join(folder, "lists"))
	faults = check(cfg)
	assert.Len(t, faults, 1)
	assert.Contains(t, faults["folder"], "no such file")
	assert.NoDirExists(t, filepath.Join(folder, "lists"), "a check leaves no traces")

	require.NoError(t, os.WriteFile(filepath.Join(folder, "lists"), nil, 0o600))
	assert.Contains(t, check(config{Targets: cfg.Targets})["targets.folder"], "not a folder")
}

func TestCurrencyIsNeeded(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "orders.csv", lines("key,customer,date,amount,currency", "1,c1,2024-03-05,10,usd", "2,c1,2024-03-05,10,", "3,c1,2024-03-05,10,₽"))
	req := readRequest(nil, 0)
	req.Currency = ""
	_, err := newSource(tableOrders).read(t.Context(), ordersIn(folder, nil), req)
	assert.Equal(t, "orders.constant.currency", problemOf(t, err).Field)

	got := readOrders(t, ordersIn(folder, func(b *block) { b.Columns["currency"] = "currency" }))
	assert.Equal(t, []string{"orders.csv line 4, column currency: currency_invalid"}, got.rules())
	assert.Equal(t, "USD", got.records[0].Entity.Amount.Currency)
	assert.Equal(t, "RUB", got.records[1].Entity.Amount.Currency)
}

// TestNoHeader: a file without a header has a person's data in its first line, which must not show (R12).
func TestNoHeader(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "orders.csv", lines("anna@example.com,+7 999 000-00-01,2024-03-05,10"))
	_, err := newSource(tableOrders).read(t.Context(), ordersIn(folder, nil), readRequest(nil, 0))
	p := problemOf(t, err)
	assert.Equal(t, "column_missing", p.Rule)
	assert.NotContains(t, p.Message, "anna")
	assert.NotContains(t, p.Message, "999")
}
