// Package world makes a small city of people and tells what is true of it: who lives there, and what a CRM, a 1C till
// export, a mailing list and a webshop each know of them. The sources know it the way such sources do: with slips,
// nicknames, several spellings of one phone, addresses shared by a family, numbers that belong to nobody. The truth
// says which records are the same person or company, so that whoever puts them together can be scored.
//
// Everything follows from Config alone: equal configurations give equal worlds, byte for byte.
package world

import (
	"math/rand/v2"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// Config says how large a world is and how much trouble is in it.
type Config struct {
	// Seed makes the world; two seeds give two worlds.
	Seed uint64
	// People is how many people live there; 1,000 if 0. There is a company for every twelve of them.
	People int
	// Shares of troubles; DefaultShares if it is the zero value.
	Shares Shares
}

// Shares are probabilities between 0 and 1. Each says of what it is a share.
type Shares struct {
	Branch float64 // of companies with a KPP: a branch, which has another one and a record of its own in the till
	Family float64 // of households: two to five people; the others are people who live alone

	// Of people.

	Several       float64 // known to two or more sources
	Employed      float64 // of adults: work at one of the companies, in some records with its phone or e-mail
	English       float64 // have English names
	Kazakh        float64 // have a mobile number of Kazakhstan
	FamilyPhone   float64 // give a phone of somebody of the family, instead of or beside their own
	FamilyEmail   float64 // give an e-mail address of somebody of the family, instead of or beside their own
	ChangedPhone  float64 // changed their mobile number; older records have the old one
	ChangedName   float64 // changed the surname on marriage; older records have the old one
	Moved         float64 // live in another city than older records say
	SecondEmail   float64 // use two addresses, now this one, now that
	SecondPhone   float64 // use two numbers
	RecycledPhone float64 // got a number that somebody else had before; only where somebody gave one up
	// Namesake is the share of those children whose first name could be the mother's or father's that have it. Other
	// members of a family differ in the first name, and namesakes share no address.
	Namesake float64

	// Of what a source knows: pairs of a person or company and a source.

	Duplicate   float64 // entered twice, rarely three times
	Merged      float64 // of duplicates in the CRM: merged there, so that one record has the addresses of both
	SecondCard  float64 // of loyalty cards on duplicates in the till: a new card on the second record
	CardOnly    float64 // of people in the till: a loyalty card and a name, no address
	OfficeEmail float64 // of employees in the CRM: the company's info@ address, which colleagues share, in place of their own

	// Of records.

	NameTypo   float64 // a slip in the first name or surname, where the surname is written or the first name is long enough
	Nickname   float64 // Саша for Александр, where there is a short form
	FirstOnly  float64 // of records outside the till: only the first name
	NameOrder  float64 // of names written in one piece: the order that is not the source's own
	SwapFields float64 // of names in two fields: first name and surname in each other's field
	Patronymic float64 // of names in the CRM and the till: with the patronymic. A habit, not a trouble
	YeForYo    float64 // of names with ё: written with е
	Latin      float64 // of Russian names in the webshop and the mailing list: in Latin letters
	JunkPhone  float64 // a number that is nobody's: +79999999999, the shop's own or the call-tracking one
	JunkEmail  float64 // an address that is nobody's: test@test.ru, the shop's own
	Dummy      float64 // of people in the till: as many dummies such as "Розничный покупатель" stand beside them

	// Of addresses written.

	EmailTypo     float64 // a slip
	EmailCase     float64 // capitals
	GmailVariant  float64 // of Gmail addresses: dots or a +tag
	YandexVariant float64 // of Yandex addresses: another of Yandex's domains, or hyphen for dot
	PhoneTypo     float64 // a wrong digit
	PhoneSpelling float64 // other than +79161234567
	SharedCell    float64 // of records with two numbers: both in one cell
	NameInCell    float64 // of numbers: a name stands beside
	Extension     float64 // of office numbers: with the extension of the employee
}

// DefaultShares are those that somebody who brings together the data of Russian shops and service companies meets.
func DefaultShares() Shares {
	return Shares{
		Branch: 0.10, Family: 0.55, Several: 0.40, Employed: 0.20, English: 0.04, Kazakh: 0.03, FamilyPhone: 0.03, FamilyEmail: 0.02,
		ChangedPhone: 0.05, ChangedName: 0.02, Moved: 0.06, SecondEmail: 0.12, SecondPhone: 0.12, RecycledPhone: 0.002, Namesake: 0.01,

		Duplicate: 0.15, Merged: 0.10, SecondCard: 0.03, CardOnly: 0.03, OfficeEmail: 0.03,

		NameTypo: 0.06, Nickname: 0.08, FirstOnly: 0.20, NameOrder: 0.25, SwapFields: 0.02, Patronymic: 0.50, YeForYo: 0.70, Latin: 0.05,
		JunkPhone: 0.01, JunkEmail: 0.01, Dummy: 0.01,

		EmailTypo: 0.005, EmailCase: 0.10, GmailVariant: 0.08, YandexVariant: 0.10, PhoneTypo: 0.004, PhoneSpelling: 0.60,
		SharedCell: 0.40, NameInCell: 0.01, Extension: 0.60,
	}
}

// Trouble is what makes a record hard to put where it belongs.
type Trouble string

// The kinds of troubles.
const (
	NameTypo      Trouble = "name_typo"
	Nickname      Trouble = "nickname"
	FirstOnly     Trouble = "first_name_only"
	NameOrder     Trouble = "name_order"
	SwappedFields Trouble = "swapped_name_fields"
	YeForYo       Trouble = "ye_for_yo"
	Latin         Trouble = "latin_letters"
	ChangedName   Trouble = "changed_surname"
	ChangedPhone  Trouble = "changed_phone"
	RecycledPhone Trouble = "recycled_phone"
	Moved         Trouble = "moved"
	Duplicate     Trouble = "duplicate"
	SourceMerge   Trouble = "merged_in_source"
	SecondCard    Trouble = "second_card"
	CardOnly      Trouble = "card_only"
	FamilyPhone   Trouble = "family_phone"
	FamilyEmail   Trouble = "family_email"
	OfficePhone   Trouble = "office_phone"
	OfficeEmail   Trouble = "office_email"
	JunkPhone     Trouble = "junk_phone"
	JunkEmail     Trouble = "junk_email"
	EmailTypo     Trouble = "email_typo"
	EmailCase     Trouble = "email_case"
	GmailVariant  Trouble = "gmail_variant"
	YandexVariant Trouble = "yandex_variant"
	PhoneTypo     Trouble = "phone_typo"
	PhoneSpelling Trouble = "phone_spelling"
	SharedCell    Trouble = "several_phones_in_a_cell"
	NameInCell    Trouble = "name_beside_phone"
	Extension     Trouble = "extension"
	Dummies       Trouble = "dummy"
	Branches      Trouble = "branch"
)

// The sources, by the names their connections have in a workspace, and their streams.
const (
	CRM     = "crm"
	Till    = "till"
	Mailing = "mailing"
	Shop    = "shop"

	Contacts  = "contacts"
	Companies = "companies"
	Orders    = "orders"
	Refunds   = "refunds"
	Consents  = "consents"
)

// Sources lists the sources in the order in which a world holds their records.
func Sources() []string { return []string{CRM, Till, Mailing, Shop} }

// Key names a record: its source, stream and remote key.
type Key struct{ Source, Stream, Key string }

// String returns "source.stream/key", as exports of the hub write it.
func (k Key) String() string { return k.Source + "." + k.Stream + "/" + k.Key }

// Record is what a source says about one object.
type Record[E any] struct {
	Key Key
	// UpdatedAt is when the source last changed it, UTC.
	UpdatedAt time.Time
	// MergedKeys are records of the same stream that the source merged into this one and no longer lists.
	MergedKeys []string
	// Owner is the id of the person or company that the record is truly about; empty where it is about nobody.
	Owner string
	Data  E
}

// Count says how often chance decided for and against something: the basis of a share.
type Count struct {
	Share         string // name of the field of Shares
	Wanted        float64
	Hits, Chances int
}

// World is what the sources hold, and the truth about it.
type World struct {
	Config    Config
	Contacts  []Record[entity.Contact]
	Companies []Record[entity.Company]
	Orders    []Record[entity.Order]
	Refunds   []Record[entity.Refund]
	Consents  []Record[entity.Consent]
	Truth     Truth
	// Counts tells of each share how it came out, in the order of Shares.
	Counts []Count
}

// The days a world's history spans, both included.
var (
	FirstDay = entity.NewDate(2023, time.January, 1)
	LastDay  = entity.NewDate(2026, time.March, 31)
)

// Currency is that of all amounts.
const Currency = "RUB"

// New makes the world that a configuration describes.
func New(config Config) *World {
	if config.People == 0 {
		config.People = 1000
	}
	if config.Shares == (Shares{}) {
		config.Shares = DefaultShares()
	}
	b := &builder{
		chance: newChance(rand.New(rand.NewPCG(config.Seed, 0x3077d)), config.Shares),
		world:  &World{Config: config},
		taken:  map[string]bool{},
		serial: map[string]int{},
	}
	b.settleCity()
	b.enterCompanies()
	b.enterPeople()
	b.enterDummies()
	b.sell()
	b.ask()
	b.world.Truth.findIslands()
	b.world.Counts = b.counted()
	return b.world
}

// builder is a world in the making.
type builder struct {
	*chance
	world     *World
	people    []*person
	families  [][]*person
	companies []*company
	taken     map[string]bool // addresses given out, in normal form
	serial    map[string]int  // last record number by source and stream
	givenUp   []*phone        // numbers that somebody had before
	inTill    int             // people in the till
	buyers    []buyer
}
