package main

import (
	"fmt"
	"strings"
	"time"
)

// subscriber is one row of the newsletter tool's export, all of it invented.
type subscriber struct{ email, phone, status, changedAt, form, textVersion string }

// Shares in percent, and counts. Together they make about 700 rows.
const (
	repeatBuyersSubscribed = 36 // of customers with two orders or more
	oneTimersSubscribed    = 13
	knownByPhone           = 22 // of those: another address, the same number
	otherCapitals          = 45 // of those: the shop's address in other capitals
	unknownToTheShop       = 110
	contradictory          = 12
)

// forms are where people subscribe.
var forms = []string{"site footer", "checkout", "checkout", "contest", "account page"}

// versions of the consent text with the day they came into use.
var versions = []struct{ name, since string }{{"v1", "1997-01-01"}, {"v2", "1997-09-15"}, {"v3", "1998-03-01"}}

// inventSubscribers returns the newsletter's rows: customers of the shop, strangers, and second rows that contradict
// the first.
func inventSubscribers(customers []customer) []subscriber {
	var rows []subscriber
	again := 0
	for _, c := range customers {
		share := oneTimersSubscribed
		if c.orders > 1 {
			share = repeatBuyersSubscribed
		}
		if !percent(share, c.id, "subscribes") {
			continue
		}
		s := change(c.id)
		switch {
		case c.email == "" || c.phone.area != "" && percent(knownByPhone, c.id, "known by phone"):
			s.email = privateMailbox(c)
			s.phone = c.phone.national()
		case percent(otherCapitals, c.id, "capitals"):
			s.email = capitals(c.email, c.id)
		default:
			s.email = c.email
		}
		rows = append(rows, s)
		if again < contradictory && percent(4, c.id, "contradicts") {
			rows = append(rows, contradiction(s, again, c.id))
			again++
		}
	}
	for i := range unknownToTheShop {
		id := fmt.Sprintf("stranger %d", i)
		s := change(id)
		s.email = mailbox(pick(firstNames, id, "first name"), pick(lastNames, id, "last name"), fmt.Sprintf(".s%d", i), id)
		rows = append(rows, s)
	}
	return rows
}

// change draws a status with its circumstances.
func change(id string) subscriber {
	at := moment(id, "changed")
	s := subscriber{status: "subscribed", changedAt: at.Format(time.DateTime), form: pick(forms, id, "form")}
	for _, v := range versions {
		if at.Format(time.DateOnly) >= v.since {
			s.textVersion = v.name
		}
	}
	switch n := draw(100, id, "status"); {
	case n >= 96:
		s.status, s.form, s.textVersion = "complained", "feedback loop", ""
	case n >= 90:
		s.status, s.form, s.textVersion = "bounced", "mail server", ""
	case n >= 74:
		s.status, s.form, s.textVersion = "unsubscribed", "link in mail", ""
	}
	return s
}

// contradiction is a second row for the same address, in turns: an opt-out after an opt-in, an opt-in after an opt-out,
// and both at the same moment.
func contradiction(first subscriber, turn int, id string) subscriber {
	second := first
	at, _ := time.Parse(time.DateTime, first.changedAt) // made by change
	second.status, second.form, second.textVersion = "unsubscribed", "link in mail", ""
	if first.status != "subscribed" {
		second.status, second.form, second.textVersion = "subscribed", pick(forms, id, "second form"), "v1"
	}
	switch turn % 3 {
	case 0:
		second.changedAt = at.AddDate(0, 0, -20).Format(time.DateTime)
	case 1:
		later := at.AddDate(0, 0, 20)
		if end := time.Date(1998, time.June, 30, 12, 0, 0, 0, time.UTC); later.After(end) {
			later = end
		}
		second.changedAt = later.Format(time.DateTime)
	}
	return second
}

// moment draws a time of day from February 1997 to June 1998.
func moment(id, purpose string) time.Time {
	start := time.Date(1997, time.February, 1, 0, 0, 0, 0, time.UTC)
	const length = 510 * 24 * 60 * 60 // seconds until 1998-06-26
	return start.Add(time.Duration(draw(length, id, purpose)) * time.Second)
}

// privateMailbox is an address the shop does not know.
func privateMailbox(c customer) string {
	return strings.ToLower(c.first[:1]+"_"+c.last) + strings.TrimLeft(c.id, "0") + "@" + pick(reserved, c.id, "private domain")
}

// capitals writes an address as some people do.
func capitals(email, id string) string {
	if percent(50, id, "all capitals") {
		return strings.ToUpper(email)
	}
	local, domain, _ := strings.Cut(email, "@")
	first, last, _ := strings.Cut(local, ".")
	return strings.ToUpper(first[:1]) + first[1:] + "." + strings.ToUpper(last[:1]) + last[1:] + "@" + domain
}
