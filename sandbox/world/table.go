package world

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"

	"github.com/regulars/regulars/contracts/entity"
)

// Workspace is the configuration that reads the files WriteTables writes. It leaves identity at its defaults.
const Workspace = `workspace: city
time_zone: Europe/Moscow
currency: RUB
business_date: 2026-03-31
connections:
  crm:
    connector: table
    config:
      folder: ./crm
      contacts:
        file: contacts.csv
        columns: {key: id, name: name, first_name: first_name, middle_name: middle_name, last_name: last_name, email: email, email2: email2,
          email3: email3, phone: phone, phone2: phone2, phone3: phone3, city: city, company: company, birthday: birthday,
          created_at: created_at, updated_at: updated_at}
      companies:
        file: companies.csv
        columns: {key: id, name: name, id.inn: inn, id.kpp: kpp, email: email, phone: phone, city: city, created_at: created_at, updated_at: updated_at}
    every: 1h
  till:
    connector: table
    config:
      folder: ./till
      contacts:
        file: contacts.csv
        encoding: windows-1251
        columns: {key: Код, name: Наименование, email: Почта, phone: Телефон, phone2: Телефон2, phone3: Телефон3, city: Город, id.loyalty_card: Карта,
          created_at: Создан, updated_at: Изменён}
        date_format: ["DD.MM.YYYY", RFC3339]
      companies:
        file: companies.csv
        encoding: windows-1251
        columns: {key: Код, name: Наименование, id.inn: ИНН, id.kpp: КПП, email: Почта, phone: Телефон, city: Город, created_at: Создан, updated_at: Изменён}
        date_format: ["DD.MM.YYYY", RFC3339]
      orders:
        file: orders.csv
        encoding: windows-1251
        columns: {key: Номер, customer: Покупатель, company: Организация, ordered_on: Дата, amount: Сумма, updated_at: Изменён}
        date_format: ["DD.MM.YYYY", RFC3339]
        decimal: ","
      refunds:
        file: refunds.csv
        encoding: windows-1251
        columns: {key: Номер, order: Чек, customer: Покупатель, company: Организация, refunded_on: Дата, amount: Сумма, updated_at: Изменён}
        date_format: ["DD.MM.YYYY", RFC3339]
        decimal: ","
    every: 1h
  mailing:
    connector: table
    config:
      folder: ./mailing
      contacts:
        file: contacts.csv
        columns: {key: id, name: name, first_name: first_name, last_name: last_name, email: email, phone: phone, phone2: phone2, phone3: phone3,
          created_at: created_at, updated_at: updated_at}
      consents:
        file: consents.csv
        columns: {key: id, email: email, state: state, at: at, source: form, list: list, updated_at: updated_at}
        constant: {channel: email}
    every: 1h
  shop:
    connector: table
    config:
      folder: ./shop
      contacts:
        file: contacts.csv
        columns: {key: id, name: name, first_name: first_name, last_name: last_name, email: email, phone: phone, phone2: phone2, phone3: phone3,
          city: city, id.loyalty_card: card, created_at: created_at, updated_at: updated_at}
      orders:
        file: orders.csv
        columns: {key: id, customer: customer, ordered_at: at, amount: amount, updated_at: updated_at}
      refunds:
        file: refunds.csv
        columns: {key: id, order: order, customer: customer, refunded_on: on, amount: amount, updated_at: updated_at}
      consents:
        file: consents.csv
        columns: {key: id, customer: customer, channel: channel, state: state, at: at, source: form, updated_at: updated_at}
    every: 1h
`

// WriteTables writes the world as files that the table connector reads: a folder for each source, the workspace file
// workspace.yaml beside them, and truth.csv. Keys that a source merged away are not in these files.
func (w *World) WriteTables(dir string) error {
	files := map[string][]byte{"workspace.yaml": []byte(Workspace), "truth.csv": w.truthTable()}
	for name, t := range w.tables() {
		text, err := t.encode()
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		files[name] = text
	}
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, text, 0o600)); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// sheet is a file in the making. A till's export is in the form of its system: other encoding, semicolons, decimal comma.
type sheet struct {
	till bool
	rows [][]string
}

func (s *sheet) add(cells ...string) { s.rows = append(s.rows, cells) }

func (s *sheet) encode() ([]byte, error) {
	var out bytes.Buffer
	writer := csv.NewWriter(&out)
	if s.till {
		writer.Comma = ';'
	}
	if err := writer.WriteAll(s.rows); err != nil {
		return nil, err
	}
	if !s.till {
		return out.Bytes(), nil
	}
	// The encoding has no hyphen that keeps a line together.
	return charmap.Windows1251.NewEncoder().Bytes(bytes.ReplaceAll(out.Bytes(), []byte("‑"), []byte("-")))
}

func (w *World) tables() map[string]*sheet {
	sheets := map[string]*sheet{}
	file := func(source, stream string, header string) {
		s := &sheet{till: source == Till}
		s.add(strings.Fields(header)...)
		sheets[source+"/"+stream+".csv"] = s
	}
	file(CRM, Contacts, "id name first_name middle_name last_name email email2 email3 phone phone2 phone3 city company birthday created_at updated_at")
	file(CRM, Companies, "id name inn kpp email phone city created_at updated_at")
	file(Till, Contacts, "Код Наименование Почта Телефон Телефон2 Телефон3 Город Карта Создан Изменён")
	file(Till, Companies, "Код Наименование ИНН КПП Почта Телефон Город Создан Изменён")
	file(Till, Orders, "Номер Покупатель Организация Дата Сумма Изменён")
	file(Till, Refunds, "Номер Чек Покупатель Организация Дата Сумма Изменён")
	file(Mailing, Contacts, "id name first_name last_name email phone phone2 phone3 created_at updated_at")
	file(Mailing, Consents, "id email state at form list updated_at")
	file(Shop, Contacts, "id name first_name last_name email phone phone2 phone3 city card created_at updated_at")
	file(Shop, Orders, "id customer at amount updated_at")
	file(Shop, Refunds, "id order customer on amount updated_at")
	file(Shop, Consents, "id customer channel state at form updated_at")
	of := func(k Key) *sheet { return sheets[k.Source+"/"+k.Stream+".csv"] }

	for _, r := range w.Contacts {
		c, n := r.Data, r.Data.Name
		email, phone := address(c.Emails), address(c.Phones)
		created, updated := timeCell(c.CreatedAt), timeCell(&r.UpdatedAt)
		switch r.Key.Source {
		case CRM:
			company, birthday := "", ""
			if len(c.Companies) > 0 {
				company = c.Companies[0].Key
			}
			if c.Birthday != nil {
				birthday = entity.NewDate(c.Birthday.Year, time.Month(c.Birthday.Month), c.Birthday.Day).String()
			}
			of(r.Key).add(r.Key.Key, n.Full, n.First, n.Middle, n.Last, email(0), email(1), email(2), phone(0), phone(1), phone(2), c.Place.City, company, birthday, created, updated)
		case Till:
			of(r.Key).add(r.Key.Key, n.Full, email(0), phone(0), phone(1), phone(2), c.Place.City, idOf(c.IDs, "loyalty_card"), created, updated)
		case Mailing:
			of(r.Key).add(r.Key.Key, n.Full, n.First, n.Last, email(0), phone(0), phone(1), phone(2), created, updated)
		case Shop:
			of(r.Key).add(r.Key.Key, n.Full, n.First, n.Last, email(0), phone(0), phone(1), phone(2), c.Place.City, idOf(c.IDs, "loyalty_card"), created, updated)
		}
	}
	for _, r := range w.Companies {
		c := r.Data
		of(r.Key).add(r.Key.Key, c.Name, idOf(c.IDs, "inn"), idOf(c.IDs, "kpp"), address(c.Emails)(0), address(c.Phones)(0), c.Place.City, timeCell(c.CreatedAt), timeCell(&r.UpdatedAt))
	}
	for _, r := range w.Orders {
		o := r.Data
		if r.Key.Source == Till {
			of(r.Key).add(r.Key.Key, refCell(o.Contact), refCell(o.Company), dayCell(o.OrderedOn), amountCell(o.Amount, ","), timeCell(&r.UpdatedAt))
		} else {
			of(r.Key).add(r.Key.Key, refCell(o.Contact), timeCell(o.OrderedAt), amountCell(o.Amount, "."), timeCell(&r.UpdatedAt))
		}
	}
	for _, r := range w.Refunds {
		o := r.Data
		if r.Key.Source == Till {
			of(r.Key).add(r.Key.Key, refCell(o.Order), refCell(o.Contact), refCell(o.Company), dayCell(o.RefundedOn), amountCell(o.Amount, ","), timeCell(&r.UpdatedAt))
		} else {
			of(r.Key).add(r.Key.Key, refCell(o.Order), refCell(o.Contact), o.RefundedOn.String(), amountCell(o.Amount, "."), timeCell(&r.UpdatedAt))
		}
	}
	for _, r := range w.Consents {
		c := r.Data
		if r.Key.Source == Mailing {
			of(r.Key).add(r.Key.Key, c.Email, string(c.State), timeCell(c.At), c.Source, c.List, timeCell(&r.UpdatedAt))
		} else {
			of(r.Key).add(r.Key.Key, refCell(c.Contact), c.Channel, string(c.State), timeCell(c.At), c.Source, timeCell(&r.UpdatedAt))
		}
	}
	return sheets
}

func (w *World) truthTable() []byte {
	s := &sheet{}
	s.add("source", "stream", "key", "owner", "island", "unlinkable", "troubles", "evidence")
	for _, r := range w.Truth.Records {
		troubles := make([]string, 0, len(r.Troubles))
		for _, t := range r.Troubles {
			troubles = append(troubles, string(t))
		}
		s.add(r.Key.Source, r.Key.Stream, r.Key.Key, r.Owner, strconv.Itoa(r.Island), strconv.FormatBool(r.Unlinkable), strings.Join(troubles, " "), strings.Join(r.Evidence, " "))
	}
	text, err := s.encode()
	if err != nil {
		panic(err) // only a delimiter that cannot be one fails
	}
	return text
}

func address(list []entity.Address) func(i int) string {
	return func(i int) string {
		if i >= len(list) {
			return ""
		}
		return list[i].Value
	}
}

func idOf(ids []entity.ID, kind string) string {
	for _, id := range ids {
		if id.Kind == kind {
			return id.Value
		}
	}
	return ""
}

func refCell(ref *entity.Ref) string {
	if ref == nil {
		return ""
	}
	return ref.Key
}

func timeCell(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339)
}

func dayCell(d *entity.Date) string {
	year, month, day := d.Calendar()
	return fmt.Sprintf("%02d.%02d.%04d", day, month, year)
}

func amountCell(m entity.Money, point string) string {
	return fmt.Sprintf("%d%s%02d", m.Minor/100, point, m.Minor%100)
}
