package main

import (
	"fmt"
	"strconv"
	"strings"
)

// customer is one of the shop's customers: the id and the number of orders are real, the rest is invented.
type customer struct {
	id          string
	orders      int
	first, last string
	email       string // empty when the shop has none
	phone       phone
	city        string
}

func (c customer) name() string { return c.first + " " + c.last }

// phone is a number of the range 555-0100 to 555-0199, which is kept for fiction in every US area code. The zero value
// is none.
type phone struct {
	area string
	line int // 0 to 99
}

func (p phone) international() string {
	if p.area == "" {
		return ""
	}
	return fmt.Sprintf("+1 %s 555 01%02d", p.area, p.line)
}

func (p phone) national() string {
	if p.area == "" {
		return ""
	}
	return fmt.Sprintf("(%s) 555-01%02d", p.area, p.line)
}

// reserved are domains that belong to nobody (RFC 2606).
var reserved = []string{"example.com", "example.net", "example.org"}

// inventCustomers gives every customer of the orders a name, an address, a number and a city, in the order of the ids.
func inventCustomers(orders []order) []customer {
	var customers []customer
	for _, o := range orders { // the source is sorted by customer
		if n := len(customers); n > 0 && customers[n-1].id == o.customer {
			customers[n-1].orders++
			continue
		}
		customers = append(customers, customer{id: o.customer, orders: 1})
	}
	numbers := phoneBook{}
	for i := range customers {
		c := &customers[i]
		c.first, c.last = pick(firstNames, c.id, "first name"), pick(lastNames, c.id, "last name")
		home := pick(cities, c.id, "city")
		c.city = home.name
		hasPhone := percent(60, c.id, "has phone")
		if !hasPhone || percent(85, c.id, "has email") {
			c.email = mailbox(c.first, c.last, strings.TrimLeft(c.id, "0"), c.id)
		}
		if hasPhone {
			c.phone = numbers.next(home.area)
		}
	}
	shareHouseholds(customers)
	return customers
}

// shareHouseholds gives six customers the phone number and last name of the one before, as couples have.
func shareHouseholds(customers []customer) {
	for i, left := 1, 6; i < len(customers) && left > 0; i++ {
		if customers[i-1].phone.area == "" || customers[i].phone.area == "" || !percent(2, customers[i].id, "household") {
			continue
		}
		customers[i].phone, customers[i].city = customers[i-1].phone, customers[i-1].city
		customers[i].last = customers[i-1].last
		if customers[i].email != "" {
			customers[i].email = mailbox(customers[i].first, customers[i].last, strings.TrimLeft(customers[i].id, "0"), customers[i].id)
		}
		left--
		i++ // three in a row would not be a couple
	}
}

// mailbox makes an address; the suffix keeps people of one name apart.
func mailbox(first, last, suffix, subject string) string {
	return strings.ToLower(first+"."+last) + suffix + "@" + pick(reserved, subject, "domain")
}

// phoneBook hands out each fictional number of an area once.
type phoneBook map[string]int

func (b phoneBook) next(area string) phone {
	line := b[area]
	b[area]++
	if line > 99 {
		panic("area " + area + " has no fictional number left; more than " + strconv.Itoa(line) + " are needed")
	}
	return phone{area: area, line: line}
}

type city struct{ name, area string }

var cities = []city{
	{"New York", "212"},
	{"Los Angeles", "213"},
	{"Chicago", "312"},
	{"Houston", "713"},
	{"Phoenix", "602"},
	{"Philadelphia", "215"},
	{"San Antonio", "210"},
	{"San Diego", "619"},
	{"Dallas", "214"},
	{"San Jose", "408"},
	{"Austin", "512"},
	{"Columbus", "614"},
	{"Indianapolis", "317"},
	{"Charlotte", "704"},
	{"San Francisco", "415"},
	{"Seattle", "206"},
	{"Denver", "303"},
	{"Washington", "202"},
	{"Nashville", "615"},
	{"Boston", "617"},
	{"Detroit", "313"},
	{"Portland", "503"},
	{"Las Vegas", "702"},
	{"Memphis", "901"},
	{"Louisville", "502"},
	{"Baltimore", "410"},
	{"Milwaukee", "414"},
	{"Albuquerque", "505"},
	{"Tucson", "520"},
	{"Sacramento", "916"},
	{"Kansas City", "816"},
	{"Atlanta", "404"},
	{"Miami", "305"},
	{"Oakland", "510"},
	{"Minneapolis", "612"},
	{"Tulsa", "918"},
	{"Cleveland", "216"},
	{"New Orleans", "504"},
	{"Tampa", "813"},
	{"Honolulu", "808"},
}

var firstNames = strings.Fields(`
	Alice Amanda Amy Andrea Angela Anna Barbara Beth Brenda Carla Carol Catherine Christine Claire Cynthia Dana Deborah
	Diana Donna Eileen Elaine Elizabeth Ellen Emily Erica Eva Frances Gail Gloria Grace Hannah Heather Helen Holly Irene
	Jane Janet Jean Jennifer Jill Joan Julia Karen Kate Laura Linda Lisa Lucy Margaret Maria Martha Mary Megan Monica
	Nancy Nina Olivia Pamela Patricia Paula Rachel Rebecca Rita Rose Ruth Sandra Sara Sharon Sheila Sophie Stella Susan
	Teresa Tina Valerie Vera Victoria Virginia Wendy Yvonne
	Adam Alan Albert Andrew Anthony Arthur Benjamin Brian Bruce Carl Charles Christopher Craig Daniel David Dennis Derek
	Donald Douglas Edward Eric Eugene Frank Fred Gary George Gerald Glenn Gordon Gregory Harold Harry Henry Howard Hugh
	Ian Jack Jacob James Jason Jeffrey Jeremy Jerome Joel John Jonathan Joseph Keith Kenneth Kevin Lawrence Leonard Louis
	Marcus Mark Martin Matthew Michael Nathan Neil Nicholas Oscar Patrick Paul Peter Philip Ralph Raymond Richard Robert
	Roger Ronald Roy Russell Samuel Scott Simon Stanley Stephen Stuart Theodore Thomas Timothy Victor Vincent Walter Wayne`)

var lastNames = strings.Fields(`
	Abbott Adams Allen Andrews Armstrong Arnold Atkins Bailey Baker Baldwin Banks Barnes Barrett Bates Beck Bell Bennett
	Berry Bishop Black Blair Boyd Bradley Brooks Bryant Burke Burns Butler Byrne Campbell Carlson Carpenter Carr Carter
	Chambers Chapman Clark Clayton Cole Coleman Collins Cook Cooper Cox Crawford Cross Cunningham Dalton Daniels Dawson
	Dean Dixon Doyle Drake Duncan Dunn Edwards Ellis Evans Farrell Ferguson Fields Fisher Fleming Fletcher Ford Foster
	Fowler Fox Franklin Freeman Fuller Gardner Garrett Gibson Gilbert Goodwin Gordon Graham Grant Graves Gray Greene
	Griffin Hale Hall Hamilton Hardy Harper Harris Hart Harvey Hawkins Hayes Henderson Hicks Hill Hoffman Holland Holmes
	Hopkins Howell Hudson Hughes Hunt Hunter Ingram Jacobs Jennings Jensen Jordan Keller Kelley Kennedy King Knight
	Lambert Lane Larson Lawson Lewis Lindsey Logan Long Lowe Lucas Lynch Manning Marsh Marshall Mason Maxwell McCarthy
	Meyer Miles Mills Mitchell Moore Morgan Morris Morton Murphy Myers Nash Nelson Newman Newton Nichols Nolan Norris
	Oliver Owens Palmer Parker Parsons Patterson Payne Pearson Perkins Perry Peters Phelps Pierce Porter Potter Powell
	Price Quinn Ramsey Reed Reeves Reid Reynolds Rhodes Rice Richards Riley Roberts Robinson Rogers Rose Ross Rowe
	Russell Ryan Sanders Saunders Schmidt Schultz Sharp Shaw Shelton Simmons Simpson Snyder Sparks Spencer Stanley
	Steele Stephens Stevens Stewart Stone Sullivan Sutton Taylor Terry Thornton Tucker Turner Tyler Vaughn Wade Wagner
	Walker Wallace Walsh Walters Ward Warren Watkins Watson Webb Weber Webster Welch Wells West Wheeler Whitney Wilkins
	Willis Wise Wolfe Wood Woods Wright Yates Young`)
