package main

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"time"
)

// order is one row of the source. Amounts keep the digits they were published with.
type order struct{ customer, date, cds, amount string }

// readOrders reads the published form: customer, customer within the sample, YYYYMMDD, CDs, dollars.
func readOrders(source []byte) ([]order, error) {
	var orders []order
	lines := bufio.NewScanner(bytes.NewReader(source))
	for number := 1; lines.Scan(); number++ {
		cells := strings.Fields(lines.Text())
		if len(cells) == 0 {
			continue
		}
		if len(cells) != 5 {
			return nil, fmt.Errorf("line %d has %d columns, not 5", number, len(cells))
		}
		date, err := time.Parse("20060102", cells[2])
		if err != nil {
			return nil, fmt.Errorf("line %d, column 3: not a date in the form YYYYMMDD", number)
		}
		orders = append(orders, order{cells[0], date.Format(time.DateOnly), cells[3], cells[4]})
	}
	return orders, lines.Err()
}
