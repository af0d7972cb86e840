// Command table is the connector for table files: CSV exports of 1C, Excel, shops and mailing tools as a source, and
// mailing lists as CSV files as a destination. See docs/connectors/table.md.
package main

import (
	"time"

	"github.com/regulars/regulars/sdk"
)

func main() { sdk.Serve(connector(time.Now)) }

// The streams, each with the fields its block may map.
var (
	tableContacts      = contacts()
	tableCompanies     = companies()
	tableDeals         = deals()
	tableOrders        = orders()
	tableRefunds       = refunds()
	tableActivities    = activities()
	tableConsents      = consents()
	tableSurveyAnswers = surveyAnswers()
	tableLoyalty       = loyalty()
	tableOwners        = owners()
	tableRates         = rates()
)

// definitions lists what the blocks of all streams may say.
func definitions() []definition {
	return []definition{
		tableContacts.definition, tableCompanies.definition, tableDeals.definition, tableOrders.definition,
		tableRefunds.definition, tableActivities.definition, tableConsents.definition, tableSurveyAnswers.definition,
		tableLoyalty.definition, tableOwners.definition, tableRates.definition,
	}
}

// connector describes the connector; now is the machine's clock.
func connector(now func() time.Time) sdk.Connector {
	kept := &sessions{}
	return sdk.Connector{
		Name: "table", Version: "1.0.0", Title: "Table files (CSV)",
		Docs:   "https://github.com/regulars/regulars/blob/main/docs/connectors/table.md",
		Config: sdk.ConfigOf[config](),
		Streams: []sdk.Stream{
			stream(tableContacts, kept, now), stream(tableCompanies, kept, now), stream(tableDeals, kept, now),
			stream(tableOrders, kept, now), stream(tableRefunds, kept, now), stream(tableActivities, kept, now),
			stream(tableConsents, kept, now), stream(tableSurveyAnswers, kept, now), stream(tableLoyalty, kept, now),
			stream(tableOwners, kept, now), stream(tableRates, kept, now),
		},
		Targets: []sdk.Target{sdk.TargetOf(listTarget(), destination())},
		Offers:  sdk.OffersOf(config.streams),
		Check:   sdk.CheckOf((&checker{now: now}).check),
	}
}

func stream[E any](t *table[E], kept *sessions, now func() time.Time) sdk.Stream {
	s := &source[E]{table: t, sessions: kept, now: now}
	return sdk.StreamOf(sdk.Stream{
		Name: t.stream, Doc: t.doc, After: t.after,
		Modes: []sdk.Mode{sdk.Full, sdk.Incremental}, Deletes: sdk.Absence,
	}, s.read)
}
