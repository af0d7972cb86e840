package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/sdk"
)

// The connector under test: people and orders made by rule, lists kept in files. It conforms, unless actFault names
// what to do wrong.
const (
	actAsConnector = "CONFORMANCE_TEST_CONNECTOR"
	actFault       = "CONFORMANCE_TEST_FAULT"
)

var fault = os.Getenv(actFault)

type clubConfig struct {
	Folder sdk.Path `cfg:"folder" doc:"Where lists are kept." validate:"required"`
	Pages  int      `cfg:"pages" doc:"Pages of people." default:"3" validate:"min=1"`
	Login  struct {
		User     string     `cfg:"user" doc:"User name."`
		Password sdk.Secret `cfg:"password" doc:"Password." validate:"required"`
	} `cfg:"login" doc:"Who reads."`
}

type clubCursor struct {
	Page int `json:"page"`
	// Done marks the end: from there only news is read.
	Done bool `json:"done,omitempty"`
}

func serve() {
	c := sdk.Connector{
		Name: "club", Version: "1.0.0", Title: "Club", Config: sdk.ConfigOf[clubConfig](),
		Auth: sdk.Auth{Kind: sdk.AuthOAuth2, AuthorizeURL: "https://example.com/a", TokenURL: "https://example.com/t"},
		Streams: []sdk.Stream{
			sdk.StreamOf(sdk.Stream{Name: "people", Doc: "Members of the club.", Modes: []sdk.Mode{sdk.Full, sdk.Incremental, sdk.IDs}, ByKey: true}, readPeople),
			sdk.StreamOf(sdk.Stream{Name: "orders", Doc: "What they bought.", After: []string{"people"}}, readOrders),
		},
		Targets: []sdk.Target{sdk.TargetOf(sdk.Target{Kind: "list", Channel: "email", Doc: "Mailing lists.", Identity: "email", Idempotent: true}, sdk.Destination[clubConfig]{
			List: listLists, Create: createList, Members: readMembers, Write: writeMembers,
		})},
		Check: sdk.CheckOf(func(_ context.Context, cfg clubConfig, _ sdk.CheckRequest) (sdk.Account, error) {
			if fault == "live check fails" {
				return sdk.Account{}, sdk.InvalidConfig("folder", "is not there")
			}
			return sdk.Account{ID: string(cfg.Folder)}, nil
		}),
	}
	switch fault {
	case "offers what is not there":
		c.Offers = sdk.OffersOf(func(clubConfig) []string { return []string{"people", "animals"} })
	case "undocumented name":
		c.Name = "Club"
	case "version":
		c.Version = "one"
	}
	sdk.Serve(c)
}

const perPage = 22 // 21 people and one that is skipped

var reads int

func readPeople(_ context.Context, cfg clubConfig, req sdk.ReadRequest) (page sdk.Page[entity.Contact], err error) {
	reads++
	misbehave(cfg, req)
	at, err := sdk.DecodeCursor[clubCursor](req.Cursor)
	if err != nil {
		return page, err
	}
	if len(req.Keys) > 0 {
		for _, key := range req.Keys {
			page.Records = append(page.Records, person(key))
		}
		if fault == "by key forgets" {
			page.Records = page.Records[1:]
		}
		return page, nil
	}
	if at.Done {
		page.Next = req.Cursor
		if fault == "always news" {
			r := person("p0-1")
			r.Entity.Position = "moved"
			page.Records = append(page.Records, r)
		}
		return page, nil
	}
	for n := range perPage - 1 {
		page.Records = append(page.Records, person(fmt.Sprintf("p%d-%d", at.Page, n)))
	}
	page.Skipped = []sdk.Skipped{{Key: fmt.Sprintf("s%d", at.Page), Problem: sdk.Rejected("no_name", "the person has no name").At("page %d", at.Page)}}
	page.Snapshot = "all"
	last := at.Page+1 >= cfg.Pages
	page.Next, page.More = sdk.EncodeCursor(clubCursor{Page: at.Page + 1, Done: last}), !last
	spoil(&page, at.Page, last, req)
	return page, nil
}

// misbehave does what has nothing to do with the page.
func misbehave(cfg clubConfig, req sdk.ReadRequest) {
	switch fault {
	case "ends":
		os.Exit(7)
	case "logs the secret":
		// Past the SDK's logger, which would hide it.
		fmt.Fprintln(os.Stderr, cfg.Login.Password.Reveal())
	case "prints the token":
		fmt.Println(req.Access.Token.Reveal())
	}
}

// spoil makes a right page wrong.
func spoil(page *sdk.Page[entity.Contact], number int, last bool, req sdk.ReadRequest) {
	switch {
	case fault == "two of a key" && last:
		r := person("p0-1")
		r.Entity.Position = "another"
		page.Records = append(page.Records, r)
	case fault == "records missing" && last:
		page.Records = page.Records[1:]
	case fault == "ids forget" && last && req.Mode == sdk.IDs:
		page.Records = page.Records[1:]
	case fault == "skips more" && last:
		page.Skipped = append(page.Skipped, sdk.Skipped{Key: "more"})
	case fault == "snapshots":
		page.Snapshot = fmt.Sprint(number)
	case fault == "stuck cursor" && number == 1:
		page.Next = req.Cursor
	case fault == "no cursor at the end" && last:
		page.Next = nil
	case fault == "another answer each time":
		page.Records[0].Entity.Position = fmt.Sprint(time.Now().UnixNano())
	case fault == "cursor forgotten on restart" && number > 0 && reads == 1:
		page.Records = slices.Delete(page.Records, 3, 4) // it kept something in memory
	}
}

func person(key string) sdk.Record[entity.Contact] {
	return sdk.Record[entity.Contact]{
		Key: key, UpdatedAt: time.Date(2024, time.May, 1, 0, 0, 0, 0, time.UTC),
		Entity: entity.Contact{Name: entity.Name{Full: "Person " + key}, Emails: entity.Addresses(key + "@example.com")},
	}
}

func readOrders(context.Context, clubConfig, sdk.ReadRequest) (page sdk.Page[entity.Order], err error) {
	day := entity.NewDate(2024, time.May, 1)
	for n := range 30 {
		amount := entity.Money{Minor: int64(n) * 100, Currency: "RUB"}
		if fault == "invalid entity" {
			amount.Currency = "rub"
		}
		page.Records = append(page.Records, sdk.Record[entity.Order]{Key: fmt.Sprint(n), Entity: entity.Order{
			OrderedOn: &day, Amount: amount, Contact: &entity.Ref{Stream: "people", Key: fmt.Sprintf("p0-%d", n%20)},
		}})
	}
	return page, nil
}

// A list is a file that holds addresses; its name is the list's id and name.

func listFile(cfg clubConfig, id string) string { return filepath.Join(string(cfg.Folder), id+".json") }

var memory = map[string][]string{} // for the fault of keeping things between calls

func load(cfg clubConfig, id string) ([]string, error) {
	if fault == "forgets on restart" {
		return memory[id], nil
	}
	data, err := os.ReadFile(listFile(cfg, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sdk.Rejected("no_list", "there is no such list")
	} else if err != nil {
		return nil, err
	}
	var people []string
	return people, json.Unmarshal(data, &people)
}

func save(cfg clubConfig, id string, people []string) error {
	memory[id] = people
	data, err := json.Marshal(people)
	if err != nil {
		return err
	}
	return os.WriteFile(listFile(cfg, id), data, 0o600)
}

func listLists(_ context.Context, cfg clubConfig, _ sdk.TargetsRequest) (list sdk.TargetList, err error) {
	files, err := filepath.Glob(listFile(cfg, "*"))
	for _, file := range files {
		id := strings.TrimSuffix(filepath.Base(file), ".json")
		name := id
		if fault == "not listed" {
			name = "other"
		}
		list.Targets = append(list.Targets, sdk.RemoteTarget{ID: id, Name: name})
	}
	return list, err
}

var created int

func createList(_ context.Context, cfg clubConfig, req sdk.CreateRequest) (sdk.RemoteTarget, error) {
	id := req.Name
	if fault == "creates twice" {
		created++
		id = fmt.Sprint(req.Name, created)
	}
	if _, err := os.Stat(listFile(cfg, id)); err != nil {
		if err := save(cfg, id, nil); err != nil {
			return sdk.RemoteTarget{}, err
		}
	}
	return sdk.RemoteTarget{ID: id, Name: req.Name}, nil
}

func readMembers(_ context.Context, cfg clubConfig, req sdk.ReadRequest) (page sdk.Page[entity.Member], err error) {
	people, err := load(cfg, req.Target)
	for _, email := range people {
		page.Records = append(page.Records, sdk.Record[entity.Member]{Key: email, Entity: entity.Member{Email: email, State: entity.Subscribed}})
	}
	return page, err
}

func writeMembers(_ context.Context, cfg clubConfig, req sdk.WriteRequest) ([]sdk.Result, error) {
	var results []sdk.Result
	for _, action := range req.Actions {
		people, err := load(cfg, action.Target)
		if err != nil {
			results = append(results, sdk.Failed(err))
			continue
		}
		email := strings.ToLower(action.Person.Email)
		at := slices.Index(people, email)
		switch {
		case action.Member.On && at >= 0 && fault == "refuses who is there":
			results = append(results, sdk.Failed(sdk.Rejected("there", "is on the list")))
			continue
		case !action.Member.On && at < 0 && fault == "refuses who is not there":
			results = append(results, sdk.Failed(sdk.Rejected("not_there", "is not on the list")))
			continue
		case action.Member.On == (at >= 0):
			results = append(results, sdk.Unchanged(email))
			continue
		case action.Member.On && fault != "adds nobody":
			people = append(people, email)
		case !action.Member.On && fault != "removes nobody":
			people = slices.Delete(people, at, at+1)
		}
		if err := save(cfg, action.Target, people); err != nil {
			return results, err
		}
		results = append(results, sdk.Done(email))
	}
	if fault == "one result short" {
		results = results[1:]
	}
	return results, nil
}
