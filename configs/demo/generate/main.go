// Command generate writes the demo's data: the orders of a real shop with invented people around them, and an invented
// newsletter that overlaps with them. The same source gives the same bytes, on any machine.
//
//	go run ./configs/demo/generate -source configs/demo/source/CDNOW_sample.txt
package main

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	source := flag.String("source", "configs/demo/source/CDNOW_sample.txt", "the CDNOW sample, as published")
	out := flag.String("out", "configs/demo", "folder to write to")
	flag.Parse()
	if err := run(*source, *out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(source, out string) error {
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	files, err := generate(data)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	for name, content := range files {
		path := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the files by their path below the demo's folder.
func generate(source []byte) (map[string][]byte, error) {
	orders, err := readOrders(source)
	if err != nil {
		return nil, err
	}
	customers := inventCustomers(orders)
	rows := [][]string{{"id", "name", "email", "phone", "city"}}
	for _, c := range customers {
		rows = append(rows, []string{c.id, c.name(), c.email, c.phone.international(), c.city})
	}
	sold := [][]string{{"customer", "date", "cds", "amount"}}
	for _, o := range orders {
		sold = append(sold, []string{o.customer, o.date, o.cds, o.amount})
	}
	subscribed := [][]string{{"subscriber", "email", "phone", "status", "changed_at", "form", "text_version"}}
	for i, s := range inventSubscribers(customers) {
		subscribed = append(subscribed, []string{
			fmt.Sprintf("n%04d", i+1), s.email, s.phone, s.status, s.changedAt, s.form, s.textVersion,
		})
	}
	return map[string][]byte{
		"shop/customers.csv":         asCSV(rows),
		"shop/orders.csv":            asCSV(sold),
		"newsletter/subscribers.csv": asCSV(subscribed),
	}, nil
}

func asCSV(rows [][]string) []byte {
	var b bytes.Buffer
	// Writing to memory cannot fail.
	_ = csv.NewWriter(&b).WriteAll(rows)
	return b.Bytes()
}
