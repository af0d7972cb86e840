package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // to watch the store from outside
)

// killWorkspace pushes everybody with two orders: enough for several batches.
const killWorkspace = `workspace: shop
time_zone: America/New_York
currency: USD
business_date: 1998-06-30
connections:
  shop:
    connector: table
    config:
      folder: ../files
      contacts: {file: customers.csv, columns: {key: id, name: name, email: email, phone: phone, city: city}}
      orders: {file: orders.csv, columns: {customer: customer, ordered_on: date, amount: amount}}
    every: 1h
  newsletter:
    connector: table
    config:
      folder: ../files
      contacts: {file: subscribers.csv, columns: {key: subscriber, email: email, phone: phone}}
      consents:
        file: subscribers.csv
        columns: {key: subscriber, customer: subscriber, email: email, state: status, at: changed_at, source: form}
        constant: {channel: email}
        values: {state: {subscribed: opted_in, unsubscribed: opted_out, bounced: bounced, complained: complained}}
    every: 1h
  lists: {connector: table, config: {targets: {folder: ../lists}}}
orders: {from: shop.orders}
identity: {match: [email, phone], strong: [shop.contacts], phone_region: US}
consent: {email: assumed}
activations:
  regulars: {segment: repeat, to: lists, target: regulars, first_push: approved, fields: {Name: name, Orders: orders}, every: 1d}
`

func demoFile(t *testing.T, name string) string {
	t.Helper()
	return site{dir: "../configs/demo"}.read(t, name)
}

func killSite(t *testing.T) site {
	t.Helper()
	return newSite(t, killWorkspace, map[string]string{
		"files/customers.csv": demoFile(t, "shop/customers.csv"), "files/orders.csv": demoFile(t, "shop/orders.csv"),
		"files/subscribers.csv": demoFile(t, "newsletter/subscribers.csv"), "lists/.keep": "",
	})
}

// command is a run of the program on the site.
func (s site) command(ctx context.Context, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	cmd = exec.CommandContext(ctx, filepath.Join(bin, "regulars"), append([]string{"--config", s.path("hub.yaml")}, args...)...)
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

func (s site) run(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd, out, problems := s.command(ctx, args...)
	require.NoError(t, cmd.Run(), "regulars %v:\n%s%s", args, out, problems)
	return out.String()
}

// killWhen starts the program and kills it without warning as soon as a number in its store reaches a bound. It says
// false when the program was done before that.
func (s site) killWhen(t *testing.T, query string, bound int64, args ...string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd, _, out := s.command(ctx, args...)
	require.NoError(t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	db, err := sql.Open("sqlite", "file:"+s.path("regulars.db")+"?mode=ro&_pragma=busy_timeout(1000)")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for {
		select {
		case err := <-done:
			require.NoError(t, err, out.String())
			return false
		default:
		}
		var n int64
		if err := db.QueryRowContext(ctx, query).Scan(&n); err == nil && n >= bound {
			require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
			require.Error(t, <-done)
			return true
		}
		require.NoError(t, ctx.Err(), "the bound was never reached: %s", out)
	}
}

func TestKilledAnywhereItEndsAsIfUndisturbed(t *testing.T) {
	calm := killSite(t)
	calm.run(t, "sync")
	calm.run(t, "activation", "run", "regulars")
	wantExport, wantList := calm.run(t, "export", "--canonical"), calm.read(t, "lists/regulars.csv")
	require.NotEmpty(t, wantExport)
	require.Greater(t, bytes.Count([]byte(wantList), []byte("\n")), 600, "several batches are pushed")

	rough := killSite(t)
	kills := 0
	for _, moment := range []struct {
		query string
		bound int64
	}{
		{`SELECT count(*) FROM record`, 1},
		{`SELECT count(*) FROM record`, 2000},
		{`SELECT count(*) FROM record`, 7000},
		{`SELECT count(*) FROM node`, 500},
		{`SELECT count(*) FROM sale`, 1000},
		{`SELECT count(*) FROM sale`, 5000},
		{`SELECT count(*) FROM membership`, 1},
	} {
		if rough.killWhen(t, moment.query, moment.bound, "sync") {
			kills++
		}
	}
	assert.GreaterOrEqual(t, kills, 5, "a test that kills nothing proves nothing")
	rough.run(t, "sync")

	kills = 0
	for _, bound := range []int64{1, 501} {
		if rough.killWhen(t, `SELECT count(*) FROM outbox`, bound, "activation", "run", "regulars") {
			kills++
		}
	}
	if rough.killWhen(t, `SELECT count(*) FROM sent`, 1, "activation", "run", "regulars") {
		kills++
	}
	assert.GreaterOrEqual(t, kills, 2, "a test that kills nothing proves nothing")
	rough.run(t, "activation", "run", "regulars")

	assert.Equal(t, wantList, rough.read(t, "lists/regulars.csv"))
	require.Equal(t, wantExport, rough.run(t, "export", "--canonical"))
}
