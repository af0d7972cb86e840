package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
)

// Canonical returns a workspace as JSON in which equal configurations are equal bytes, for hashes and for showing what
// would change: defaults filled in, everything by name, no positions. Values of secrets are left out; that there is one
// is noted. What came from a variable or a file shows as it was written, e.g. "${AMO_ID}".
//
// fieldsOf returns the settings a connector declares, by which its secrets are known; of a connector it does not know,
// and with nil, only the names of settings are shown.
func (w Workspace) Canonical(fieldsOf func(name string) ([]connector.ConfigField, bool)) []byte {
	out := canonicalWorkspace{
		Workspace: w.Name, RenamedFrom: w.RenamedFrom, Currency: w.Currency, BusinessDate: w.BusinessDate, WindowDays: w.Window,
		Lifespan: canonicalLifespan(w.Lifespan), RFM: canonicalRFM(w.RFM),
		Connections: map[string]canonicalConnection{}, Fields: w.CustomerFields,
		Orders: canonicalOrders{
			From: w.Orders.From.String(), Won: w.Orders.Won, Pipelines: w.Orders.Pipelines, Customer: w.Orders.Customer,
		},
		Rates: canonicalRates{From: w.Rates.From.String()},
		Identity: canonicalIdentity{
			Match: w.Identity.Match, NeverMatch: w.Identity.NeverMatch, Strong: slices.Clone(w.Identity.StrongKinds),
			Anonymous: w.Identity.Anonymous, Branches: w.Identity.Branches, PhoneRegion: w.Identity.PhoneRegion,
		},
		Consent: canonicalConsent{
			Email: w.Consent.Email, SMS: w.Consent.SMS, Messenger: w.Consent.Messenger, Push: w.Consent.Push, Phone: w.Consent.Phone,
			SystemOfRecord: w.Consent.SystemOfRecord,
		},
		Segments: map[string]canonicalSegment{}, Activations: map[string]canonicalActivation{},
	}
	if w.TimeZone != nil {
		out.TimeZone = w.TimeZone.String()
	}
	for _, ref := range w.Identity.StrongStreams {
		out.Identity.Strong = append(out.Identity.Strong, ref.String())
	}
	slices.Sort(out.Identity.Strong)
	for _, c := range w.Connections {
		out.Connections[c.Name] = c.canonical(fieldsOf)
	}
	for _, s := range w.Segments {
		out.Segments[s.ID] = canonicalSegment{Title: canonicalTitle(s.Title), Rule: s.Rule}
	}
	for _, a := range w.Activations {
		c := canonicalActivation{
			Segment: a.Segment, To: a.To, Target: a.Target, Kind: a.Kind, Tag: a.Tag, Mode: a.Mode, Fields: a.Fields,
			Channel: a.Channel, Purpose: a.Purpose, LegalEntity: a.LegalEntity, Every: formatDuration(a.Every),
			FirstPush: a.FirstPush, MaxChangeShare: a.MaxChangeShare, MaxChangeCount: a.MaxChangeCount, Paused: a.Paused,
		}
		if a.At != nil {
			c.At = a.At.String()
		}
		out.Activations[a.ID] = c
	}
	encoded, _ := json.Marshal(out) // texts, numbers and maps of them cannot fail
	return encoded
}

func (c Connection) canonical(fieldsOf func(string) ([]connector.ConfigField, bool)) canonicalConnection {
	out := canonicalConnection{
		Connector: c.Connector, RenamedFrom: c.RenamedFrom, Auth: slices.Sorted(maps.Keys(c.Auth)), Every: formatDuration(c.Every),
		Fields: c.Fields, Streams: c.Streams, Proxy: !c.Proxy.Empty(), CAFile: c.CAFile, Paused: c.Paused,
	}
	if c.config == nil {
		return out
	}
	var fields []connector.ConfigField
	known := false
	if fieldsOf != nil {
		fields, known = fieldsOf(c.Connector)
	}
	out.Config = shown(c.config, fields, known, nil).json()
	return out
}

// shown is a node fit to be seen, its keys sorted.
func shown(n *node, fields []connector.ConfigField, known bool, path []string) *node {
	out := &node{kind: n.kind, text: n.text}
	switch {
	case n.kind == mapping:
		for _, e := range n.entries {
			if e.value.kind != null {
				out.entries = append(out.entries, entry{key: e.key, value: shown(e.value, fields, known, below(path, e.key))})
			}
		}
		slices.SortFunc(out.entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	case n.kind == list:
		for i, item := range n.items {
			out.items = append(out.items, shown(item, fields, known, below(path, itoa(i))))
		}
	case !known:
		out.kind, out.text = text, "[not shown]"
	default:
		if field := fieldAt(fields, path); field != nil && field.Secret {
			out.kind, out.text = text, redacted
		} else if n.foreign {
			out.kind, out.text = text, n.written
		}
	}
	return out
}

type canonicalLifespan struct {
	Method LifespanMethod `json:"method"`
	Years  float64        `json:"years,omitempty"`
}

type canonicalRFM struct {
	Method      RFMMethod `json:"method"`
	RecencyDays []int     `json:"recency_days,omitempty"`
	Orders      []int     `json:"orders,omitempty"`
	NetValue    []string  `json:"net_value,omitempty"`
}

type canonicalWorkspace struct {
	Workspace    string                         `json:"workspace"`
	RenamedFrom  string                         `json:"renamed_from,omitempty"`
	TimeZone     string                         `json:"time_zone"`
	Currency     string                         `json:"currency"`
	BusinessDate *entity.Date                   `json:"business_date,omitempty"`
	WindowDays   int                            `json:"window_days"`
	Lifespan     canonicalLifespan              `json:"lifespan"`
	RFM          canonicalRFM                   `json:"rfm"`
	Connections  map[string]canonicalConnection `json:"connections"`
	Fields       map[string]string              `json:"customer_fields,omitempty"`
	Orders       canonicalOrders                `json:"orders"`
	Rates        canonicalRates                 `json:"rates,omitzero"`
	Identity     canonicalIdentity              `json:"identity"`
	Consent      canonicalConsent               `json:"consent"`
	Segments     map[string]canonicalSegment    `json:"segments"`
	Activations  map[string]canonicalActivation `json:"activations"`
}

type canonicalConnection struct {
	Connector   string                            `json:"connector"`
	RenamedFrom string                            `json:"renamed_from,omitempty"`
	Config      json.RawMessage                   `json:"config,omitempty"`
	Auth        []string                          `json:"auth,omitempty"` // names only
	Every       string                            `json:"every"`
	Fields      map[entity.Kind]map[string]string `json:"fields,omitempty"`
	Streams     []string                          `json:"streams,omitempty"`
	Proxy       bool                              `json:"proxy,omitempty"` // that there is one
	CAFile      string                            `json:"ca_file,omitempty"`
	Paused      bool                              `json:"paused,omitempty"`
}

type canonicalOrders struct {
	From      string   `json:"from,omitempty"`
	Won       Won      `json:"won"`
	Pipelines []string `json:"pipelines,omitempty"`
	Customer  Party    `json:"customer"`
}

type canonicalRates struct {
	From string `json:"from,omitempty"`
}

type canonicalIdentity struct {
	Match       []string `json:"match"`
	NeverMatch  []string `json:"never_match,omitempty"`
	Strong      []string `json:"strong,omitempty"`
	Anonymous   []string `json:"anonymous,omitempty"`
	Branches    Branches `json:"branches"`
	PhoneRegion string   `json:"phone_region"`
}

type canonicalConsent struct {
	Email          ConsentMode `json:"email"`
	SMS            ConsentMode `json:"sms"`
	Messenger      ConsentMode `json:"messenger"`
	Push           ConsentMode `json:"push"`
	Phone          ConsentMode `json:"phone"`
	SystemOfRecord []string    `json:"system_of_record,omitempty"`
}

type canonicalTitle struct {
	RU string `json:"ru"`
	EN string `json:"en"`
}

type canonicalSegment struct {
	Title canonicalTitle `json:"title"`
	Rule  string         `json:"rule"`
}

type canonicalActivation struct {
	Segment        string            `json:"segment"`
	To             string            `json:"to"`
	Target         string            `json:"target"`
	Kind           string            `json:"kind,omitempty"`
	Tag            string            `json:"tag,omitempty"`
	Mode           ActivationMode    `json:"mode"`
	Fields         map[string]string `json:"fields,omitempty"`
	Channel        string            `json:"channel,omitempty"`
	Purpose        string            `json:"purpose"`
	LegalEntity    string            `json:"legal_entity,omitempty"`
	Every          string            `json:"every"`
	At             string            `json:"at,omitempty"`
	FirstPush      FirstPush         `json:"first_push"`
	MaxChangeShare float64           `json:"max_change_share"`
	MaxChangeCount int               `json:"max_change_count"`
	Paused         bool              `json:"paused,omitempty"`
}
