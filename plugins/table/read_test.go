package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/sdk"
)

func TestOrders(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "orders.csv", lines("key,customer,date,amount", "1,c1,2024-03-05,10.50", "2,,2024-03-05,0", "3,c1,2024-03-06,7"))
	got := readOrders(t, ordersIn(folder, nil))
	require.Empty(t, got.rules())
	require.Len(t, got.records, 3)
	day := entity.NewDate(2024, 3, 5)
	assert.Equal(t, sdk.Record[entity.Order]{
		Key: "1", Sequence: 1, Place: "orders.csv line 2",
		Entity: entity.Order{
			Contact: &entity.Ref{Stream: "contacts", Key: "c1"}, OrderedOn: &day, Amount: entity.Money{Minor: 1050, Currency: "RUB"},
		},
	}, got.records[0])
	assert.Nil(t, got.records[1].Entity.Contact, "a sale to nobody known")
	assert.Equal(t, []string{""}, got.snapshots)
}

// TestBadRows: each costs itself alone, is told by its line, column and rule, and keeps its cells for a look.
func TestBadRows(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "orders.csv", lines(
		"key,customer,date,amount,note",
		"1,c1,05.03.2024,10,",
		"2,c1,2024-03-05,ten,",
		"3,c1,2024-03-05,-1,",
		"4,c1,2024-03-05,1.005,",
		"5,c1,2024-03-05,,",
		",c1,2024-03-05,1,",
		"7,c1,2024-03-05,1",
		"8,c1,2024-03-05,1,\"multi\nline\"",
		"9,c1,0001-01-01,1,",
		"10,\"c1,2024-03-05,1,",
		"11,c1,1724-03-05,1,",
		"12,c1,2024-03-05,99999999999999999999,",
		"13,c1,2024-03-05,1,\xff",
		"14,c1,2024-03-05,1,",
		"14,c1,2024-03-05,1,another remark",
		"14,c1,2024-03-05,2,",
		"15,c1,2024-03-05,1,",
	))
	got := readOrders(t, ordersIn(folder, nil))
	assert.Equal(t, []string{"8", "14", "15"}, got.keys())
	assert.Equal(t, []string{
		"orders.csv line 2, column date: date_invalid",
		"orders.csv line 3, column amount: number_invalid",
		"orders.csv line 4, column amount: amount_negative",
		"orders.csv line 5, column amount: amount_too_precise",
		"orders.csv line 6, column amount: required_missing",
		"orders.csv line 7, column key: key_missing",
		"orders.csv line 8: cell_count",
		"orders.csv line 11, column date: required_missing",
		"orders.csv line 12: quoting",
		"orders.csv line 13, column date: date_out_of_range",
		"orders.csv line 14, column amount: amount_too_large",
		"orders.csv line 15, column note: encoding",
		"orders.csv line 18, column key: duplicate_key",
	}, got.rules())
	assert.JSONEq(t, `{"key": "2", "customer": "c1", "date": "2024-03-05", "amount": "ten", "note": ""}`, string(got.skipped[1].Raw))
	assert.Equal(t, "2", got.skipped[1].Key)
	assert.JSONEq(t, `{"key": "7", "customer": "c1", "date": "2024-03-05", "amount": "1"}`, string(got.skipped[6].Raw))
	assert.JSONEq(t, `{"line": "10,\"c1,2024-03-05,1,"}`, string(got.skipped[8].Raw))
	for _, s := range got.skipped {
		assert.Equal(t, sdk.ProblemRejected, s.Problem.Kind)
		for _, value := range []string{"ten", "c1", "05.03.2024", "1.005", "99999"} {
			assert.NotContains(t, s.Problem.Message, value, "R12: no cell shows in a message")
		}
	}
}

// TestAccountingExport is what a 1C installation in Russia writes.
func TestAccountingExport(t *testing.T) {
	text := "Вид;Клиент;Номер;Дата;Сумма;Менеджер;Уровень\r\n" +
		"Продажа;000000012;УТ-1;05.03.2024 9:07:08;1\u00a0234,50;Иванова;Золотой\r\n" +
		"Возврат;000000012;УТ-2;06.03.2024 10:00:00;-234,50;Иванова;\r\n" +
		"Продажа;;УТ-3;01.01.0001 0:00:00;10,00;;\r\n"
	content, err := charmap.Windows1251.NewEncoder().String(text)
	require.NoError(t, err)
	folder := t.TempDir()
	writeFile(t, folder, "продажи.csv", content)
	zone, err := time.LoadLocation("Europe/Moscow")
	require.NoError(t, err)
	b := func(kind, at string) *block {
		return &block{
			File: "*.csv", Where: map[string]string{"Вид": kind}, Encoding: "windows-1251", Decimal: ",", Thousands: "space",
			DateFormat: []string{"DD.MM.YYYY H:mm:ss"}, TimeZone: zone, Custom: map[string]string{"level": "Уровень"},
			Columns: map[string]string{"customer": "Клиент", "key": "Номер", at: "Дата", "amount": "Сумма"},
		}
	}
	cfg := config{Folder: sdk.Path(folder), Orders: b("Продажа", "ordered_at"), Refunds: b("Возврат", "refunded_on")}
	cfg.Orders.Columns["owner"] = "Менеджер"
	require.NoError(t, cfg.Validate())

	orders := readOrders(t, cfg)
	assert.Equal(t, []string{"продажи.csv line 4, column Дата: required_missing"}, orders.rules())
	require.Len(t, orders.records, 1)
	assert.JSONEq(t, `{
		"contact": {"stream": "contacts", "key": "000000012"}, "owner": {"stream": "owners", "key": "Иванова"},
		"ordered_at": "2024-03-05T06:07:08Z", "amount": {"minor": 123450, "currency": "RUB"}, "custom": {"level": "Золотой"}
	}`, mustJSON(t, orders.records[0].Entity))

	refunds := readAll(t, newSource(tableRefunds), cfg, nil, 0)
	require.Len(t, refunds.records, 1)
	assert.JSONEq(t, `{
		"contact": {"stream": "contacts", "key": "000000012"}, "refunded_on": "2024-03-06", "amount": {"minor": 23450, "currency": "RUB"}
	}`, mustJSON(t, refunds.records[0].Entity), "a refund's amount is positive")
}

// TestRowsWithoutKey keeps equal rows apart, and their keys when other rows come, columns move or more is mapped.
func TestRowsWithoutKey(t *testing.T) {
	folder := t.TempDir()
	keyless := func(b *block) { delete(b.Columns, "key") }
	writeFile(t, folder, "orders-1.csv", lines("customer,date,amount", "c1,2024-03-05,10", "c1,2024-03-05,10", "c1,2024-03-05,12"))
	writeFile(t, folder, "orders-2.csv", lines("customer,date,amount", "c1,2024-03-05,10"))
	first := readOrders(t, ordersIn(folder, keyless))
	require.Len(t, first.records, 4)
	keys := first.keys()
	for _, key := range keys {
		assert.Regexp(t, `^[0-9a-f]{32}-[1-9]$`, key)
	}
	assert.Equal(t, keys[0][:32]+"-2", keys[1])
	assert.Equal(t, keys[0][:32]+"-3", keys[3], "rows are counted across the files")
	assert.NotEqual(t, keys[0][:32], keys[2][:32])
	var sequences []int64
	for _, r := range first.records {
		sequences = append(sequences, r.Sequence)
	}
	assert.Equal(t, []int64{1, 2, 3, 4}, sequences)

	writeFile(t, folder, "orders-1.csv", lines("shop,amount,date,customer", "x,9,2024-03-01,c0", "x,10,2024-03-05,c1", "y,10,2024-03-05,c1", "y,12,2024-03-05,c1"))
	second := readOrders(t, ordersIn(folder, func(b *block) {
		keyless(b)
		b.File = "orders-1.csv"
		b.Columns["city"] = "shop"
	}))
	assert.Equal(t, keys[:3], second.keys()[1:])
	assert.Equal(t, int64(3), second.records[3].Sequence, "rows of other customers and days shift no sequence")
}

func TestConsents(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "news.csv", lines(
		"email,phone,status,changed_at,form,version",
		"Anna@Example.com,,subscribed,2024-03-05 10:00,footer,v2",
		",+7 (999) 000-00-01,unsubscribed,2024-03-05,,",
		"bob@example.com,,maybe,,,",
		",,subscribed,,,",
		"anna@example.com,,unsubscribed,2024-04-01,,",
	))
	cfg := config{Folder: sdk.Path(folder), Consents: &block{
		File: "news.csv", Columns: map[string]string{
			"email": "email", "phone": "phone", "state": "status", "at": "changed_at", "source": "form", "text_version": "version",
		},
		Values:   map[string]map[string]string{"state": {"subscribed": "opted_in", "unsubscribed": "opted_out"}},
		Constant: map[string]string{"channel": "email"},
	}}
	require.NoError(t, cfg.Validate())
	got := readAll(t, newSource(tableConsents), cfg, nil, 0)
	assert.Equal(t, []string{
		"news.csv line 4, column status: value_unknown",
		"news.csv line 5, column email or phone: required_missing",
	}, got.rules())
	require.Len(t, got.records, 3)
	assert.JSONEq(t, `{"email": "Anna@Example.com", "channel": "email", "state": "opted_in", "at": "2024-03-05T10:00:00Z", "source": "footer", "text_version": "v2"}`,
		mustJSON(t, got.records[0].Entity))
	assert.JSONEq(t, `{"phone": "+7 (999) 000-00-01", "channel": "email", "state": "opted_out", "on": "2024-03-05"}`, mustJSON(t, got.records[1].Entity))
	subject, _, _ := strings.Cut(got.records[0].Key, "-")
	assert.Equal(t, []string{subject + "-1", subject + "-2"}, []string{got.records[0].Key, got.records[2].Key},
		"R4: a second row about somebody is a record of its own, never dropped")

	writeFile(t, folder, "news.csv", lines("email,phone,status,changed_at,form,version", "anna@example.com,,unsubscribed,2024-05-01,,"))
	changed := readAll(t, newSource(tableConsents), cfg, nil, 0)
	assert.Equal(t, subject+"-1", changed.records[0].Key, "a changed mind changes the record")
}

func TestConsentsWithKeys(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "news.csv", lines("email,status", "a@example.com,opted_in", "b@example.com,opted_in", "b@example.com,opted_in", "a@example.com,opted_out"))
	cfg := config{Folder: sdk.Path(folder), Consents: &block{
		File: "news.csv", Columns: map[string]string{"key": "email", "email": "email", "state": "status"}, Constant: map[string]string{"channel": "email"},
	}}
	got := readAll(t, newSource(tableConsents), cfg, nil, 0)
	assert.Empty(t, got.rules())
	assert.Equal(t, []string{"a@example.com", "b@example.com", "a@example.com#2"}, got.keys())
}

func TestARefundOfADeal(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "refunds.csv", lines("id,deal,day,amount", "r1,d1,2024-03-07,10"))
	cfg := config{Folder: sdk.Path(folder), Refunds: &block{
		File: "refunds.csv", Columns: map[string]string{"key": "id", "deal": "deal", "refunded_on": "day", "amount": "amount"},
	}}
	got := readAll(t, newSource(tableRefunds), cfg, nil, 0)
	assert.Empty(t, got.rules())
	require.Len(t, got.records, 1)
	assert.Equal(t, &entity.Ref{Stream: "deals", Key: "d1"}, got.records[0].Entity.Order)
}

// TestEveryStream reads one full row of each stream and compares it with what it must become.
func TestEveryStream(t *testing.T) {
	folder := t.TempDir()
	// The header names the fields, so that the columns map each to itself.
	one := func(name, header, row string) *block {
		writeFile(t, folder, name+".csv", lines(header, row))
		b := &block{File: name + ".csv", Delimiter: ";", Columns: map[string]string{}}
		for field := range strings.SplitSeq(header, ";") {
			b.Columns[field] = field
		}
		return b
	}
	cfg := config{Folder: sdk.Path(folder)}
	cfg.Contacts = one("contacts",
		"key;updated_at;name;first_name;middle_name;last_name;email;email2;phone;phone2;company;owner;birthday;gender;language;time_zone;country;region;city;postcode;street;position;tags;channel;utm_source;anonymous;created_at;id.loyalty_card",
		"1;2024-03-05 10:00;Anna B;Anna;C;B;a@x.ru;b@x.ru;+7999;+7998;co1;o1;1990-02-03;female;ru;Europe/Moscow;RU;R;Tver;170000;S 1;boss;vip, new;social;vk;нет;2020-01-02;777")
	cfg.Companies = one("companies", "key;name;id.inn;email;phone;website;parent;owner;city;industry;tags;channel;anonymous;created_at",
		"co1;Romashka;7701;i@x.ru;+7;x.ru, y.ru;co0;o1;Tver;flowers;a;offline;no;2020-01-02 03:04")
	cfg.Deals = one("deals", "key;title;customer;company;amount;currency;discount;pipeline;stage;state;moved_at;closed_at;created_at;loss_reason;promo_code;channel;owner;tags",
		"d1;Deal;1;co1;10.5;USD;1;p;s;lost;2024-03-05 10:00;2024-03-06;2024-03-01;price;P;search;o1;a;")
	cfg.Orders = one("orders", "key;number;customer;company;ordered_at;amount;currency;discount;shipping;vat;vat_amount;promo_code;channel;owner;deal;city;cancelled;sku;name;category;quantity",
		"o1;N1;1;co1;2024-03-05T10:00:00+03:00;100;JPY;5;3;included;20;P;offline;o1;d1;Tver;yes;S1;Cup;Cups;1.5")
	cfg.Refunds = one("refunds", "key;order;customer;company;refunded_at;amount;currency;reason", "r1;o1;1;co1;2024-03-07 08:00;10;EUR;broken")
	cfg.Activities = one("activities", "key;type;direction;channel;customer;company;deal;owner;email;phone;at;due_at;done_at;answered_at;duration_seconds;campaign;outcome;rating",
		"a1;call;in;phone;1;co1;d1;o1;a@x.ru;+7;2024-03-05;2024-03-06 10:00;2024-03-06 11:00;2024-03-05 12:00;90;c;ok;5")
	cfg.Consents = one("consents", "key;customer;email;phone;channel;purpose;legal_entity;state;at;source;text_version;ip;list",
		"c1;1;a@x.ru;+7;sms;marketing;OOO;opted_out;2024-03-05;form;v1;127.0.0.1;l1")
	cfg.SurveyAnswers = one("survey_answers", "key;customer;email;phone;order;survey;question;score;scale_min;scale_max;text;at",
		"s1;1;a@x.ru;+7;o1;after;nps;9;0;10;good;2024-03-05 10:00")
	cfg.Loyalty = one("loyalty", "key;customer;program;card;tier;balance;earned;spent;joined_at;left_at;last_earned_at;last_spent_at",
		"l1;1;club;777;gold;10.5;20;9.5;2020-01-02;2024-01-02;2023-01-02;2022-01-02")
	cfg.Owners = one("owners", "key;name;email;team;active", "o1;Olga;o@x.ru;sales;да")
	cfg.Rates = one("rates", "on;from;to;rate", "2024-03-05;usd;RUB;91.2345")
	require.NoError(t, cfg.Validate())

	for _, d := range definitions() {
		b := cfg.block(d.stream)
		for field := range d.fields {
			_, mapped := b.Columns[field]
			more := strings.HasPrefix(field, "utm_") || strings.HasSuffix(field, "3") || field == "updated_at" || field == "closed_on" ||
				field == "ordered_on" || field == "refunded_on" || d.stream == "refunds" && field == "deal" || d.stream == "rates" && field == "key" || d.stream == "companies"
			assert.True(t, mapped || more, "%s.%s is not tried", d.stream, field)
		}
	}
	expect := func(got string, rules []string, want string) {
		t.Helper()
		assert.Empty(t, rules)
		assert.JSONEq(t, want, got)
	}
	contacts := readAll(t, newSource(tableContacts), cfg, nil, 0)
	expect(mustJSON(t, contacts.records[0].Entity), contacts.rules(), `{
		"name": {"full": "Anna B", "first": "Anna", "middle": "C", "last": "B"}, "emails": [{"value": "a@x.ru"}, {"value": "b@x.ru"}],
		"phones": [{"value": "+7999"}, {"value": "+7998"}], "ids": [{"kind": "loyalty_card", "value": "777"}],
		"companies": [{"stream": "companies", "key": "co1"}], "owner": {"stream": "owners", "key": "o1"},
		"birthday": {"year": 1990, "month": 2, "day": 3}, "gender": "female", "language": "ru", "time_zone": "Europe/Moscow",
		"place": {"country": "RU", "region": "R", "city": "Tver", "postcode": "170000", "street": "S 1"}, "position": "boss",
		"tags": ["vip", "new"], "origin": {"channel": "social", "channel_source": "field", "utm": {"source": "vk"}},
		"created_at": "2020-01-02T00:00:00Z"}`)
	assert.Equal(t, time.Date(2024, 3, 5, 10, 0, 0, 0, time.UTC), contacts.records[0].UpdatedAt)
	companies := readAll(t, newSource(tableCompanies), cfg, nil, 0)
	expect(mustJSON(t, companies.records[0].Entity), companies.rules(), `{
		"name": "Romashka", "ids": [{"kind": "inn", "value": "7701"}], "emails": [{"value": "i@x.ru"}], "phones": [{"value": "+7"}],
		"websites": ["x.ru", "y.ru"], "parent": {"stream": "companies", "key": "co0"}, "owner": {"stream": "owners", "key": "o1"},
		"place": {"city": "Tver"}, "industry": "flowers", "tags": ["a"], "origin": {"channel": "offline", "channel_source": "field"},
		"created_at": "2020-01-02T03:04:00Z"}`)
	deals := readAll(t, newSource(tableDeals), cfg, nil, 0)
	expect(mustJSON(t, deals.records[0].Entity), deals.rules(), `{
		"title": "Deal", "contacts": [{"stream": "contacts", "key": "1"}], "company": {"stream": "companies", "key": "co1"},
		"amount": {"minor": 1050, "currency": "USD"}, "discount": {"minor": 100, "currency": "USD"}, "pipeline": "p", "stage": "s",
		"state": "lost", "moved_at": "2024-03-05T10:00:00Z", "closed_on": "2024-03-06", "created_at": "2024-03-01T00:00:00Z",
		"loss_reason": "price", "promo_code": "P", "origin": {"channel": "search", "channel_source": "field"},
		"owner": {"stream": "owners", "key": "o1"}, "tags": ["a"]}`)
	orders := readAll(t, newSource(tableOrders), cfg, nil, 0)
	expect(mustJSON(t, orders.records[0].Entity), orders.rules(), `{
		"number": "N1", "contact": {"stream": "contacts", "key": "1"}, "company": {"stream": "companies", "key": "co1"},
		"ordered_at": "2024-03-05T07:00:00Z", "amount": {"minor": 100, "currency": "JPY"}, "discount": {"minor": 5, "currency": "JPY"},
		"shipping": {"minor": 3, "currency": "JPY"}, "vat": "included", "vat_amount": {"minor": 20, "currency": "JPY"}, "promo_code": "P",
		"origin": {"channel": "offline", "channel_source": "field"}, "owner": {"stream": "owners", "key": "o1"},
		"deal": {"stream": "deals", "key": "d1"}, "city": "Tver", "cancelled": true,
		"lines": [{"sku": "S1", "name": "Cup", "category": "Cups", "quantity": "1.5"}]}`)
	refunds := readAll(t, newSource(tableRefunds), cfg, nil, 0)
	expect(mustJSON(t, refunds.records[0].Entity), refunds.rules(), `{
		"order": {"stream": "orders", "key": "o1"}, "contact": {"stream": "contacts", "key": "1"},
		"company": {"stream": "companies", "key": "co1"}, "refunded_at": "2024-03-07T08:00:00Z",
		"amount": {"minor": 1000, "currency": "EUR"}, "reason": "broken"}`)
	activities := readAll(t, newSource(tableActivities), cfg, nil, 0)
	expect(mustJSON(t, activities.records[0].Entity), activities.rules(), `{
		"type": "call", "direction": "in", "channel": "phone", "contact": {"stream": "contacts", "key": "1"},
		"company": {"stream": "companies", "key": "co1"}, "deal": {"stream": "deals", "key": "d1"}, "owner": {"stream": "owners", "key": "o1"},
		"email": "a@x.ru", "phone": "+7", "at": "2024-03-05T00:00:00Z", "due_at": "2024-03-06T10:00:00Z",
		"done_at": "2024-03-06T11:00:00Z", "answered_at": "2024-03-05T12:00:00Z", "duration_seconds": 90, "campaign": "c",
		"outcome": "ok", "rating": 5}`)
	consents := readAll(t, newSource(tableConsents), cfg, nil, 0)
	expect(mustJSON(t, consents.records[0].Entity), consents.rules(), `{
		"contact": {"stream": "contacts", "key": "1"}, "email": "a@x.ru", "phone": "+7", "channel": "sms", "purpose": "marketing",
		"legal_entity": "OOO", "state": "opted_out", "on": "2024-03-05", "source": "form", "text_version": "v1", "ip": "127.0.0.1", "list": "l1"}`)
	answers := readAll(t, newSource(tableSurveyAnswers), cfg, nil, 0)
	expect(mustJSON(t, answers.records[0].Entity), answers.rules(), `{
		"contact": {"stream": "contacts", "key": "1"}, "email": "a@x.ru", "phone": "+7", "order": {"stream": "orders", "key": "o1"},
		"survey": "after", "question": "nps", "score": 9, "scale_max": 10, "text": "good", "at": "2024-03-05T10:00:00Z"}`)
	loyalty := readAll(t, newSource(tableLoyalty), cfg, nil, 0)
	expect(mustJSON(t, loyalty.records[0].Entity), loyalty.rules(), `{
		"contact": {"stream": "contacts", "key": "1"}, "program": "club", "card": "777", "tier": "gold", "balance": "10.5",
		"earned": "20", "spent": "9.5", "joined_at": "2020-01-02T00:00:00Z", "left_at": "2024-01-02T00:00:00Z",
		"last_earned_at": "2023-01-02T00:00:00Z", "last_spent_at": "2022-01-02T00:00:00Z"}`)
	owners := readAll(t, newSource(tableOwners), cfg, nil, 0)
	expect(mustJSON(t, owners.records[0].Entity), owners.rules(), `{"name": "Olga", "email": "o@x.ru", "team": "sales", "active": true}`)
	rates := readAll(t, newSource(tableRates), cfg, nil, 0)
	expect(mustJSON(t, rates.records[0].Entity), rates.rules(), `{"on": "2024-03-05", "from": "USD", "to": "RUB", "rate": "91.2345"}`)
}

// TestResume: a fresh process that gets any cursor gives exactly the rest.
func TestResume(t *testing.T) {
	for _, keyed := range []bool{true, false} {
		t.Run(fmt.Sprintf("keyed=%t", keyed), func(t *testing.T) {
			folder := t.TempDir()
			random := rand.New(rand.NewPCG(1, 2))
			for f := range 3 {
				rows := []string{"key,customer,date,amount"}
				for i := range 40 {
					switch random.IntN(12) {
					case 0:
						rows = append(rows, "x,\"broken")
					case 1:
						rows = append(rows, fmt.Sprintf("%d,c,yesterday,1", 100*f+i))
					case 2:
						rows = append(rows, "", rows[len(rows)-1])
					default:
						rows = append(rows, fmt.Sprintf("%d,\"c\n%d\",2024-03-0%d,%d", 100*f+i, random.IntN(2), 1+random.IntN(2), random.IntN(2)))
					}
				}
				writeFile(t, folder, fmt.Sprintf("orders-%d.csv", f), lines(rows...))
			}
			cfg := ordersIn(folder, func(b *block) {
				if !keyed {
					delete(b.Columns, "key")
				}
				b.DeleteMissing = keyed
			})
			whole := readOrders(t, cfg)
			require.Greater(t, len(whole.skipped), 5)
			for limit := 1; limit <= 7; limit += 2 {
				s := newSource(tableOrders)
				var cursor []byte
				for records, skipped := 0, 0; ; {
					rest := readAll(t, newSource(tableOrders), cfg, cursor, limit)
					require.Equal(t, mustJSON(t, whole.records[records:]), mustJSON(t, append([]sdk.Record[entity.Order]{}, rest.records...)))
					require.Equal(t, mustJSON(t, whole.skipped[skipped:]), mustJSON(t, append([]sdk.Skipped{}, rest.skipped...)))
					require.Equal(t, whole.next, rest.next)
					page, err := s.read(t.Context(), cfg, readRequest(cursor, limit))
					require.NoError(t, err)
					again, err := newSource(tableOrders).read(t.Context(), cfg, readRequest(cursor, limit))
					require.NoError(t, err)
					require.Equal(t, mustJSON(t, page), mustJSON(t, again), "a repeat gives the same page")
					records, skipped = records+len(page.Records), skipped+len(page.Skipped)
					if !page.More {
						break
					}
					cursor = page.Next
				}
			}
		})
	}
}

// TestCursorForms: cursors written by an earlier release must still read.
func TestCursorForms(t *testing.T) {
	between := cursor{
		Config: "c0ffee", Files: []fileState{{Path: "a.csv", Size: 12, MTime: 1, Sum: "ab"}, {Path: "b.csv", Size: 34, MTime: 2, Fresh: true, Give: true}},
		Run: &run{Index: 1, Offset: 20, Snapshot: "s", Doubt: true, Restarts: 1},
	}
	golden := `{"v":1,"config":"c0ffee","files":[{"path":"a.csv","size":12,"mtime":1,"sha256":"ab"},` +
		`{"path":"b.csv","size":34,"mtime":2,"fresh":true,"give":true}],"run":{"index":1,"offset":20,"snapshot":"s","doubt":true,"restarts":1}}`
	assert.Equal(t, golden, string(between.encode()))
	got, err := decodeCursor([]byte(golden))
	require.NoError(t, err)
	between.Version = cursorVersion
	assert.Equal(t, between, got)
	for _, unknown := range []string{`{"v":2}`, `{}`, `x`, `{"v":1,"run":{"index":-1}}`} {
		_, err := decodeCursor([]byte(unknown))
		require.Error(t, err)
	}
}

func TestCancelledCall(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "orders.csv", lines("key,customer,date,amount", "1,c1,2024-03-05,10"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newSource(tableOrders).read(ctx, ordersIn(folder, nil), readRequest(nil, 0))
	require.ErrorIs(t, err, context.Canceled)
}

// TestPageStaysSmall: a page of long rows ends before the SDK would have to cut it.
func TestPageStaysSmall(t *testing.T) {
	folder := t.TempDir()
	rows := []string{"key,customer,date,amount,note"}
	for i := range 600 {
		rows = append(rows, fmt.Sprintf("%d,c,2024-03-05,1,%s", i, strings.Repeat("n", 10_000)))
	}
	writeFile(t, folder, "orders.csv", lines(rows...))
	cfg := ordersIn(folder, func(b *block) { b.Custom = map[string]string{"note": "note"} })
	page, err := newSource(tableOrders).read(t.Context(), cfg, readRequest(nil, 0))
	require.NoError(t, err)
	assert.Less(t, len(mustJSON(t, page.Records)), 1<<20)
	assert.Len(t, readOrders(t, cfg).records, 600)
}

// TestSparseStream: a page is given out from time to time even when no row belongs to the stream.
func TestSparseStream(t *testing.T) {
	folder := t.TempDir()
	var b strings.Builder
	b.WriteString("kind,key,customer,date,amount\n")
	for i := range pageScan + 10 {
		fmt.Fprintf(&b, "order,%d,c,2024-03-05,1\n", i)
	}
	b.WriteString("refund,r,c,2024-03-05,1\n")
	writeFile(t, folder, "orders.csv", b.String())
	got := readOrders(t, ordersIn(folder, func(b *block) { b.Where = map[string]string{"kind": "refund"} }))
	assert.Equal(t, []string{"r"}, got.keys())
	assert.Equal(t, 2, got.pages)
}

func TestLinksOutOfTheFolder(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	writeFile(t, elsewhere, "orders.csv", lines("key,customer,date,amount", "1,c1,2024-03-05,10"))
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, "orders.csv"), filepath.Join(folder, "orders.csv")))
	_, err := newSource(tableOrders).read(t.Context(), ordersIn(folder, nil), readRequest(nil, 0))
	p := problemOf(t, err)
	assert.Equal(t, sdk.ProblemInvalidConfig, p.Kind)
	assert.Contains(t, p.Message, "orders.csv is a link")
}
