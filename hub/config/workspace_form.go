package config

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/regulars/regulars/contracts/entity"
)

// workspaceFile is a workspace file as written. The fields of Workspace that need more than one key are put together
// in load.go.
type workspaceFile struct {
	extends string
	zone    Zone
	kpi     kpiRule
	Workspace
}

type kpiRule struct {
	window   int
	lifespan Lifespan
	rfm      RFM
}

var workspaceForm = object(
	key("workspace", workspaceName, func(w *workspaceFile) *string { return &w.Name },
		"Name of the workspace, unique in the hub.", required),
	key("extends", word, func(w *workspaceFile) *string { return &w.extends },
		"File whose keys count where this file has none, e.g. ../agency.yaml."),
	key("renamed_from", workspaceName, func(w *workspaceFile) *string { return &w.RenamedFrom },
		"Former name of the workspace; its data go on under the new one."),
	key("time_zone", zone, func(w *workspaceFile) *Zone { return &w.zone },
		"IANA name of the zone where days, months and hours begin.", required),
	key("currency", money, func(w *workspaceFile) *string { return &w.Currency },
		"Currency of figures, ISO 4217; also of sources that name none.", required),
	key("business_date", day, func(w *workspaceFile) **entity.Date { return &w.BusinessDate },
		"Day that figures, segments and activations are computed as of, for demos and history. Left out, today."),
	key("kpi", kpiForm, func(w *workspaceFile) *kpiRule { return &w.kpi },
		"How figures are computed.", byDefault("{}")),
	key("connections", named(connectionForm, "connection name", func(c *Connection, name string) { c.Name = name }),
		func(w *workspaceFile) *[]Connection { return &w.Connections },
		"Accounts in other systems, by a name of your choice."),
	key("customer_fields", dictionary[string](oneOf("integer", "decimal", "money", "text", "boolean", "date", "texts"), customerFieldName),
		func(w *workspaceFile) *map[string]string { return &w.CustomerFields },
		"Own fields of customers with their types, for rules and mailings; connections fill them through fields."),
	key("orders", ordersForm, func(w *workspaceFile) *OrdersRule { return &w.Orders },
		"What an order is.", byDefault("{}")),
	key("rates", ratesForm, func(w *workspaceFile) *RatesRule { return &w.Rates },
		"Exchange rates for orders in other currencies.", byDefault("{}")),
	key("identity", identityForm, func(w *workspaceFile) *Identity { return &w.Identity },
		"Which records are one person.", byDefault("{}")),
	key("consent", consentForm, func(w *workspaceFile) *Consent { return &w.Consent },
		"What it takes to write to people, by channel.", byDefault("{}")),
	key("segments", named(segmentForm, "segment id", func(s *Segment, id string) { s.ID = id }),
		func(w *workspaceFile) *[]Segment { return &w.Segments },
		"Segments beside the built-in ones, by id."),
	key("activations", named(activationForm, "activation id", func(a *Activation, id string) { a.ID = id }),
		func(w *workspaceFile) *[]Activation { return &w.Activations },
		"Targets elsewhere that follow a segment, by id."),
)

var workspaceName = scalarOf(jsonschema.Schema{Type: "string", Pattern: nameForm.String()}, func(_ *decoder, n *node) (string, string, string) {
	if !n.scalar() || !nameForm.MatchString(n.text) {
		return "", "not a name", nameRule
	}
	return n.text, "", ""
})

var kpiForm = object(
	key("window_days", whole(1, 3650), func(k *kpiRule) *int { return &k.window },
		"Days after the last order during which a customer is active; dormant for as many again, then lost.", byDefault("90")),
	key("lifespan", lifespan, func(k *kpiRule) *Lifespan { return &k.lifespan },
		"How long a customer stays, for clv_simple: churn (1 / yearly churn, at most 10 years), observed (of those lost), or {years: 3}.", byDefault("churn")),
	key("rfm", rfmForm, func(k *kpiRule) *RFM { return &k.rfm },
		"How scores of recency, frequency and money are given.", byDefault("{}")),
)

var lifespanYears = object(
	key("years", years, func(l *Lifespan) *float64 { return &l.Years }, "Years that a customer stays.", required),
)

var lifespanMethod = oneOf(LifespanByChurn, LifespanObserved)

// lifespan is a method, or a number of years.
var lifespan = shape[Lifespan]{
	read: func(d *decoder, n *node, path string) Lifespan {
		if n.kind == mapping {
			given := lifespanYears.read(d, n, path)
			given.Method = LifespanYears
			return given
		}
		return Lifespan{Method: lifespanMethod.read(d, n, path)}
	},
	schema: func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{lifespanMethod.schema(), lifespanYears.schema()}}
	},
}

var rfmForm = object(
	key("method", oneOf(RFMByShare, RFMByRank, RFMFixed), func(r *RFM) *RFMMethod { return &r.Method },
		"share: by the share of customers who are worse; ntile: equal groups by rank; fixed: by the bounds below.", byDefault("share")),
	key("recency_days", listOf(whole(0, 100_000)), func(r *RFM) *[]int { return &r.RecencyDays },
		"Four bounds, ascending: R is 5 up to the first one, 1 beyond the last one."),
	key("orders", listOf(whole(1, 1_000_000)), func(r *RFM) *[]int { return &r.Orders },
		"Four bounds, ascending: F is 1 below the first one, 5 from the last one on."),
	key("net_value", listOf(decimal), func(r *RFM) *[]string { return &r.NetValue },
		"Four bounds in the workspace's currency, ascending: M is 1 below the first one, 5 from the last one on."),
)

var connectionForm = object(
	key("connector", workspaceName, func(c *Connection) *string { return &c.Connector },
		"Name of the connector.", required),
	key("renamed_from", workspaceName, func(c *Connection) *string { return &c.RenamedFrom },
		"Former name of the connection; its data go on under the new one."),
	key("config", rawForm, func(c *Connection) **node { return &c.config },
		"Settings of the connector; see its own page. A secret may stand in a file: token_file instead of token."),
	key("auth", credentials, func(c *Connection) *map[string]Secret { return &c.Auth },
		"Credentials the hub itself uses, such as client_id and client_secret; each may be in a file: client_secret_file."),
	key("every", lasting(10*time.Second, 366*Day), func(c *Connection) *time.Duration { return &c.Every },
		"Time from one sync to the next.", byDefault("15m")),
	key("fields", dictionary[entity.Kind](dictionary[string](label, nil), entityName),
		func(c *Connection) *map[entity.Kind]map[string]string { return &c.Fields },
		"Remote fields that fill fields of the unified model, by entity."),
	key("streams", listOf(word), func(c *Connection) *[]string { return &c.Streams },
		"Streams to read. Left out, all."),
	key("proxy", proxy, func(c *Connection) *Secret { return &c.Proxy },
		"Proxy for the connector's calls.", orFile),
	key("ca_file", readableFile, func(c *Connection) *string { return &c.CAFile },
		"PEM file of certificate authorities to trust beside the system's."),
	key("paused", truth, func(c *Connection) *bool { return &c.Paused },
		"Neither read nor write.", byDefault("false")),
)

// rawForm leaves a connector's own settings as they are: only the connector knows what they mean.
var rawForm = shape[*node]{
	read: func(d *decoder, n *node, path string) *node {
		if n.kind != mapping {
			d.fail(n.place, path, "a mapping is needed, not "+n.kind.String(), "")
			return nil
		}
		return n
	},
	schema: func() *jsonschema.Schema { return &jsonschema.Schema{Type: "object"} },
}

// credentials are texts by name; name_file names a file that holds one.
var credentials = shape[map[string]Secret]{
	read: func(d *decoder, n *node, path string) map[string]Secret {
		if n.kind != mapping {
			d.fail(n.place, path, "a mapping is needed, not "+n.kind.String(), "")
			return nil
		}
		values := map[string]Secret{}
		for _, e := range n.entries {
			at := join(path, e.key)
			name, isFile := strings.CutSuffix(e.key, "_file")
			switch {
			case e.value.kind == null:
				d.fail(e.place, at, "the value is missing", "")
			case !isFile || name == "":
				values[e.key] = secret.read(d, e.value, at)
			case n.get(name) != nil:
				d.fail(e.place, at, "both "+name+" and "+e.key+" are given", "remove one of them")
			default:
				if content, ok := d.twin(e.value, at); ok {
					values[name] = NewSecret(content.text)
				}
			}
		}
		return values
	},
	schema: func() *jsonschema.Schema {
		return &jsonschema.Schema{Type: "object", AdditionalProperties: secret.schema()}
	},
}

var kinds = []string{
	string(entity.KindContact), string(entity.KindCompany), string(entity.KindDeal), string(entity.KindOrder),
	string(entity.KindRefund), string(entity.KindActivity), string(entity.KindConsent), string(entity.KindSurveyAnswer),
	string(entity.KindLoyalty), string(entity.KindOwner), string(entity.KindOwnershipChange), string(entity.KindRate),
}

func entityName(name string) (string, string) {
	if slices.Contains(kinds, name) {
		return "", ""
	}
	return "there is no such entity", suggest(name, kinds)
}

var streamForm = regexp.MustCompile(`^([a-z0-9][a-z0-9_-]*)\.([A-Za-z0-9_.-]+)$`)

// stream is a stream of a connection. That the connection exists is checked in check.go.
var stream = scalarOf(jsonschema.Schema{Type: "string", Pattern: streamForm.String()}, func(_ *decoder, n *node) (StreamRef, string, string) {
	parts := streamForm.FindStringSubmatch(n.text)
	if n.kind != text || parts == nil {
		return StreamRef{}, "not a stream", "write connection.stream, e.g. crm.deals"
	}
	return StreamRef{Connection: parts[1], Stream: parts[2]}, "", ""
})

var ordersForm = object(
	key("from", stream, func(o *OrdersRule) *StreamRef { return &o.From },
		"Stream of orders, or of deals whose won ones are orders, as connection.stream."),
	key("won", oneOf(WonOnce, WonEachEntry), func(o *OrdersRule) *Won { return &o.Won },
		"Whether a deal won several times is one order or one per win.", byDefault("once")),
	key("pipelines", listOf(label), func(o *OrdersRule) *[]string { return &o.Pipelines },
		"Pipelines whose deals count, by remote id. Left out, all."),
	key("customer", oneOf(ByContact, ByCompany), func(o *OrdersRule) *Party { return &o.Customer },
		"Who an order is by when it names both.", byDefault("contact")),
)

var customerFieldForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// customerFieldName checks the form alone; that a name is taken is found by the rule language.
func customerFieldName(name string) (string, string) {
	if customerFieldForm.MatchString(name) {
		return "", ""
	}
	return "not a name of a field", "use small Latin letters, digits and _, at most 63, starting with a letter"
}

var ratesForm = object(
	key("from", stream, func(r *RatesRule) *StreamRef { return &r.From },
		"Stream of exchange rates, as connection.stream. Left out, the rates of all streams count."),
)

var kindForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

var strongID = scalarOf(jsonschema.Schema{Type: "string"}, func(_ *decoder, n *node) (string, string, string) {
	if n.kind != text || !kindForm.MatchString(n.text) && !streamForm.MatchString(n.text) {
		return "", "neither a stream nor a kind of id", "write connection.stream, e.g. shop.contacts, or a kind of id, e.g. loyalty_card"
	}
	return n.text, "", ""
})

// identityForm leaves all of strong in StrongKinds; finish in load.go moves the streams where they belong.
var identityForm = object(
	key("match", listOf(oneOf("email", "phone")), func(i *Identity) *[]string { return &i.Match },
		"Identifiers that join records, beside strong ids.", byDefault("[email, phone]")),
	key("never_match", listOf(wildcard), func(i *Identity) *[]string { return &i.NeverMatch },
		"Patterns of identifiers that join nothing, because many people share them."),
	key("strong", listOf(strongID), func(i *Identity) *[]string { return &i.StrongKinds },
		"What identifies one person for certain: streams whose record key does (connection.stream), or kinds of ids."),
	key("anonymous", listOf(label), func(i *Identity) *[]string { return &i.Anonymous },
		"Patterns of names that stand for whoever comes to the till, e.g. Розница*; their orders are orders without a customer."),
	key("branches", oneOf(BranchesTogether, BranchesApart), func(i *Identity) *Branches { return &i.Branches },
		"Whether companies with one tax number (INN) and different KPP are one customer.", byDefault("together")),
	key("phone_region", region, func(i *Identity) *string { return &i.PhoneRegion },
		"Country, ISO 3166-1, of phone numbers without a country code.", byDefault("RU")),
)

var mode = oneOf(Explicit, Assumed)

var consentForm = object(
	key("email", mode, func(c *Consent) *ConsentMode { return &c.Email },
		"E-mail: explicit needs a record that allows it; assumed writes unless a record forbids it.", byDefault("explicit")),
	key("sms", mode, func(c *Consent) *ConsentMode { return &c.SMS }, "SMS, likewise.", byDefault("explicit")),
	key("messenger", mode, func(c *Consent) *ConsentMode { return &c.Messenger }, "Messengers, likewise.", byDefault("explicit")),
	key("push", mode, func(c *Consent) *ConsentMode { return &c.Push }, "Push notifications, likewise.", byDefault("explicit")),
	key("phone", mode, func(c *Consent) *ConsentMode { return &c.Phone }, "Calls, likewise.", byDefault("explicit")),
	key("system_of_record", listOf(word), func(c *Consent) *[]string { return &c.SystemOfRecord },
		"Connections whose newer opt-in may undo an opt-out. Left out, only the connection that holds the opt-out itself."),
)

var titleObject = object(
	key("ru", word, func(t *Title) *string { return &t.RU }, "In Russian."),
	key("en", word, func(t *Title) *string { return &t.EN }, "In English."),
)

// title is one text for all languages, or one for each.
var title = shape[Title]{
	read: func(d *decoder, n *node, path string) Title {
		if n.kind == mapping {
			return titleObject.read(d, n, path)
		}
		name := word.read(d, n, path)
		return Title{RU: name, EN: name}
	},
	schema: func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{word.schema(), titleObject.schema()}}
	},
}

var segmentForm = object(
	key("title", title, func(s *Segment) *Title { return &s.Title },
		"Name for people: one text, or one each for ru and en. Left out, the id."),
	key("rule", word, func(s *Segment) *string { return &s.Rule },
		"Condition over customer fields, e.g. lifecycle == 'dormant' && net_value > 50000.", required),
)

var activationForm = object(
	key("segment", word, func(a *Activation) *string { return &a.Segment },
		"Id of a segment of this workspace or of a built-in one.", required),
	key("to", word, func(a *Activation) *string { return &a.To },
		"Connection to write to.", required),
	key("target", label, func(a *Activation) *string { return &a.Target },
		"Name or remote id of the target there, e.g. of a mailing list.", required),
	key("kind", word, func(a *Activation) *string { return &a.Kind },
		"Kind of target, where the connector has several."),
	key("tag", label, func(a *Activation) *string { return &a.Tag },
		"Tag set on members, where the target has tags."),
	key("mode", oneOf(Mirror, Upsert, Update), func(a *Activation) *ActivationMode { return &a.Mode },
		"mirror adds, updates and takes off; upsert adds and updates; update changes those who are there already.", byDefault("mirror")),
	key("fields", dictionary[string](word, nil), func(a *Activation) *map[string]string { return &a.Fields },
		"Fields of the target by the customer field or expression that fills them."),
	key("channel", oneOf("email", "sms", "messenger", "push", "phone", "none"), func(a *Activation) *string { return &a.Channel },
		"Channel consent is asked for; none for what reaches nobody. Needed where the connector does not say."),
	key("purpose", word, func(a *Activation) *string { return &a.Purpose },
		"Purpose consent is asked for.", byDefault("marketing")),
	key("legal_entity", label, func(a *Activation) *string { return &a.LegalEntity },
		"Legal entity consent must have been given to. Left out, any."),
	key("every", lasting(10*time.Second, 366*Day), func(a *Activation) *time.Duration { return &a.Every },
		"Time from one run to the next.", byDefault("1d")),
	key("at", timeOfDay, func(a *Activation) **Clock { return &a.At },
		"Time of day, in the workspace's zone, of runs a whole number of days apart."),
	key("first_push", oneOf(Ask, Approved), func(a *Activation) *FirstPush { return &a.FirstPush },
		"Whether the first push waits for an approval.", byDefault("ask")),
	key("max_change_share", share, func(a *Activation) *float64 { return &a.MaxChangeShare },
		"Share of the target's members a run may add, or take off, without asking.", byDefault("0.2")),
	key("max_change_count", whole(0, 1_000_000_000), func(a *Activation) *int { return &a.MaxChangeCount },
		"Members a run may add, or take off, without asking, however small the target.", byDefault("20")),
	key("paused", truth, func(a *Activation) *bool { return &a.Paused },
		"Do not run.", byDefault("false")),
)
