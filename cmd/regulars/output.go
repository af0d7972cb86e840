package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"
)

// Times in tables are of the reader's machine.
const timeForm = "2006-01-02 15:04:05"

func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.stdout, format, args...)
	return err
}

// printJSON prints a value as indented JSON.
func (a *app) printJSON(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding the output: %w", err)
	}
	return a.printRaw(text)
}

// printRaw prints JSON indented, its numbers and the order of its fields as they are.
func (a *app) printRaw(text json.RawMessage) error {
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return fmt.Errorf("reading the hub's answer: %w", err)
	}
	return a.printf("%s\n", strings.TrimSpace(out.String()))
}

// table prints rows under a head, in columns.
func (a *app) table(head []string, rows [][]string) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t ")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// pairs prints names with their values, leaving empty ones out.
func (a *app) pairs(rows [][2]string) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if row[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\n", row[0], row[1]); err != nil {
			return err
		}
	}
	return w.Flush()
}

// show asks the hub and prints its answer: as it came with --json, else as the command wants it shown.
func show[T any](a *app, method, path string, body any, present func(T) error) error {
	return a.with(func(c *client) error {
		text, err := c.call(a.ctx, method, path, body)
		if err != nil {
			return err
		}
		if a.JSON {
			return a.printRaw(text)
		}
		var out T
		if err := json.Unmarshal(text, &out); err != nil {
			return fmt.Errorf("reading the hub's answer: %w", err)
		}
		return present(out)
	})
}

// lines asks the hub for a long answer. With --json its lines are passed on; else each is decoded and makes a row.
func lines[T any](a *app, path string, head []string, row func(T) []string) error {
	return a.with(func(c *client) (err error) {
		answer, err := c.send(a.ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, answer.Close()) }()
		if a.JSON {
			_, err = io.Copy(a.stdout, answer)
			return err
		}
		var rows [][]string
		decoder := json.NewDecoder(answer)
		for {
			var one T
			if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
				return a.table(head, rows)
			} else if err != nil {
				return fmt.Errorf("reading the hub's answer: %w", err)
			}
			rows = append(rows, row(one))
		}
	})
}

func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format(timeForm)
}

func yes(on bool) string {
	if on {
		return "yes"
	}
	return "no"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func number[T ~int | ~int64](n T) string { return fmt.Sprint(int64(n)) }

// keys shortens a customer's record keys for a table.
func keys(all []string) string {
	const shown = 3
	if len(all) <= shown {
		return strings.Join(all, " ")
	}
	return fmt.Sprintf("%s +%d", strings.Join(all[:shown], " "), len(all)-shown)
}
