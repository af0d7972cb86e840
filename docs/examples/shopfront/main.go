// Command shopfront is the smallest complete connector: it reads the customers of a shop, page by page.
package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/sdk"
)

type config struct {
	URL   string     `cfg:"url" doc:"Address of the shop's API." validate:"required,url" example:"https://shop.example.com/api"`
	Token sdk.Secret `cfg:"token" doc:"Access token, from the shop's settings." validate:"required"`
}

type cursor struct {
	Page int `json:"page"` // the last one read
}

type answer struct {
	Pages    int `json:"pages"`
	Contacts []struct {
		ID, Name, Email, Phone string
		UpdatedAt              time.Time `json:"updated_at"`
	} `json:"contacts"`
}

func main() {
	contacts := sdk.Stream{Name: "contacts", Doc: "Customers of the shop.", PersonKey: true}
	sdk.Serve(sdk.Connector{
		Name: "shopfront", Version: "1.0.0", Title: "Shopfront", Auth: sdk.Auth{Kind: sdk.AuthKey},
		Config:  sdk.ConfigOf[config](),
		Streams: []sdk.Stream{sdk.StreamOf(contacts, readContacts)},
	})
}

func readContacts(ctx context.Context, cfg config, req sdk.ReadRequest) (page sdk.Page[entity.Contact], err error) {
	at, err := sdk.DecodeCursor[cursor](req.Cursor)
	if err != nil {
		return page, err
	}
	at.Page++
	var got answer
	header := http.Header{"Authorization": {"Bearer " + cfg.Token.Reveal()}}
	if err := req.GetJSON(ctx, fmt.Sprintf("%s/contacts?page=%d", cfg.URL, at.Page), header, &got); err != nil {
		return page, err
	}
	for _, c := range got.Contacts {
		page.Records = append(page.Records, sdk.Record[entity.Contact]{Key: c.ID, UpdatedAt: c.UpdatedAt, Entity: entity.Contact{
			Name: entity.Name{Full: c.Name}, Emails: entity.Addresses(c.Email), Phones: entity.Addresses(c.Phone),
		}})
	}
	page.Next, page.More = sdk.EncodeCursor(at), at.Page < got.Pages
	return page, nil
}
