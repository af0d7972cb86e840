package world

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// entry is one person in one source.
type entry struct {
	person *person
	source string
}

// draft is a contact in the making, with what is true of it.
type draft struct {
	entry    entry
	merged   bool // another record of the source went into it
	contact  entity.Contact
	emails   []written
	phones   []written
	cards    []string
	when     float64
	troubles []Trouble
}

func (d *draft) trouble(of ...Trouble) {
	for _, t := range of {
		if !slices.Contains(d.troubles, t) {
			d.troubles = append(d.troubles, t)
		}
	}
}

// nextKey gives the next remote key of a stream, in the form the source has.
func (b *builder) nextKey(source, stream string) Key {
	b.serial[source+"/"+stream]++
	n := b.serial[source+"/"+stream]
	k := Key{Source: source, Stream: stream}
	switch source {
	case CRM:
		k.Key = fmt.Sprint(1000 + n)
	case Till:
		k.Key = fmt.Sprintf("00-%08d", n)
	default:
		k.Key = fmt.Sprintf("%s%d", stream[:1], n)
	}
	return k
}

// moment turns a part of the history into a time.
func moment(when float64) time.Time {
	start, end := FirstDay.Start(time.UTC), (LastDay + 1).Start(time.UTC)
	return start.Add(time.Duration(when * float64(end.Sub(start)))).Truncate(time.Second)
}

// enterPeople has every source enter the people it knows. Records come in no order, so that keys give nothing away.
func (b *builder) enterPeople() {
	var drafts []*draft
	for _, p := range b.people {
		known := 1
		if b.hits(&b.shares.Several) {
			known = 2 + pick(b.chance, []int{0, 0, 0, 0, 0, 0, 0, 1, 1, 2})
		}
		sources := Sources()
		b.Shuffle(len(sources), func(i, k int) { sources[i], sources[k] = sources[k], sources[i] })
		for _, source := range sources[:known] {
			drafts = append(drafts, b.enter(entry{p, source})...)
			if source == Till {
				b.inTill++
			}
		}
	}
	b.Shuffle(len(drafts), func(i, k int) { drafts[i], drafts[k] = drafts[k], drafts[i] })
	for _, d := range drafts {
		b.put(d)
	}
}

// enter writes down a person for a source, once or more often.
func (b *builder) enter(e entry) []*draft {
	first := b.draw(e, false)
	if !b.hits(&b.shares.Duplicate) {
		return []*draft{first}
	}
	second := b.draw(e, true)
	if e.source == CRM && b.hits(&b.shares.Merged) {
		// The record that stays has the addresses of both.
		first.emails = append(first.emails, second.emails...)
		first.phones = append(first.phones, second.phones...)
		first.when = max(first.when, second.when)
		first.merged = true
		first.trouble(SourceMerge)
		return []*draft{first}
	}
	second.trouble(Duplicate)
	if b.odds(0.9) {
		return []*draft{first, second}
	}
	third := b.draw(e, true)
	third.trouble(Duplicate)
	return []*draft{first, second, third}
}

// draw writes down what a source knows of a person at some moment.
func (b *builder) draw(e entry, again bool) *draft {
	p := e.person
	d := &draft{entry: e, when: b.Float64()}
	surname := p.surname
	if p.maidenName != "" && d.when < p.marriedAt {
		surname = p.maidenName
		d.trouble(ChangedName)
	}
	b.writeName(d, p, e.source, surname)
	d.contact.Place.City = p.city
	if p.lastCity != "" && d.when < p.movedAt {
		d.contact.Place.City = p.lastCity
		d.trouble(Moved)
	}
	if e.source == Till && b.hits(&b.shares.CardOnly) {
		d.trouble(CardOnly)
		d.cards = append(d.cards, p.card)
		return d
	}
	b.drawEmails(d, p, e.source)
	b.drawPhones(d, p, e.source)
	if e.source == Till && b.odds(0.5) || e.source == Shop && b.odds(0.1) {
		card := p.card
		if again && e.source == Till && b.hits(&b.shares.SecondCard) {
			if p.newCard == "" {
				p.newCard = b.newCard()
			}
			card = p.newCard
			d.trouble(SecondCard)
		}
		d.cards = append(d.cards, card)
	}
	if e.source == CRM {
		year, month, day := p.born.Calendar()
		if b.odds(0.3) {
			d.contact.Birthday = &entity.Birthday{Year: year, Month: int(month), Day: day}
		}
		if p.at != nil && p.at.crmKey != "" {
			d.contact.Companies = []entity.Ref{{Stream: Companies, Key: p.at.crmKey}}
		}
	}
	return d
}

// How often a source knows an address of its people.
var (
	emailKnown = map[string]float64{CRM: 0.65, Till: 0.15, Mailing: 1, Shop: 0.95}
	phoneKnown = map[string]float64{CRM: 0.90, Till: 0.90, Mailing: 0.15, Shop: 0.85}
)

func (b *builder) drawEmails(d *draft, p *person, source string) {
	if !b.odds(emailKnown[source]) {
		return
	}
	box, why := p.email, []Trouble(nil)
	switch {
	case p.other != nil && b.odds(0.3):
		box = p.other
	case source == CRM && p.at != nil && b.hits(&b.shares.OfficeEmail):
		box, why = p.at.info, []Trouble{OfficeEmail}
	case source == CRM && p.at != nil && b.odds(0.5):
		box = p.workEmail
	}
	if p.emailOf != nil && (p.onlyTheirs || b.odds(0.5)) {
		box, why = p.emailOf.email, []Trouble{FamilyEmail}
	}
	if source == CRM && box != p.email && b.odds(0.3) {
		d.emails = append(d.emails, b.writeEmail(p.email))
	}
	w := b.writeEmail(box)
	w.troubles = append(w.troubles, why...)
	if b.hits(&b.shares.JunkEmail) {
		junk := pick(b.chance, junkEmails)
		w = written{text: junk, normal: junk, junk: true, troubles: []Trouble{JunkEmail}}
	}
	d.emails = append(d.emails, w)
}

func (b *builder) drawPhones(d *draft, p *person, source string) {
	if !b.odds(phoneKnown[source]) && (len(d.emails) > 0 || source == Mailing) {
		return
	}
	write := func(number *phone, why ...Trouble) {
		w := b.writePhone(number, p.extension, p.first.name)
		w.troubles = append(w.troubles, why...)
		d.phones = append(d.phones, w)
	}
	theirs := p.phoneOf != nil && (p.onlyTheirs || b.odds(0.5))
	switch {
	case theirs:
		write(p.phoneOf.mobile, FamilyPhone)
	case source == CRM && p.at != nil && b.odds(0.4):
		write(p.at.office, OfficePhone)
	case p.second != nil && b.odds(0.2):
		write(p.second)
	}
	switch {
	case theirs && (p.onlyTheirs || b.odds(0.5)), len(d.phones) > 0 && b.odds(0.3):
	case p.formerMobile != nil && d.when < p.changedAt:
		write(p.formerMobile, ChangedPhone)
	case p.recycled:
		write(p.mobile, RecycledPhone)
	default:
		write(p.mobile)
	}
	if p.second != nil && len(d.phones) == 1 && !theirs && source != Till && b.odds(0.3) {
		write(p.second)
	}
	if b.hits(&b.shares.JunkPhone) {
		junk := pick(b.chance, junkPhones)
		w := written{text: junk, normal: junk, junk: true, troubles: []Trouble{JunkPhone}}
		if b.hits(&b.shares.PhoneSpelling) {
			w.text = b.spell(junk[len("+7"):])
		}
		if b.odds(0.3) {
			d.phones = append(d.phones, w)
		} else {
			d.phones = []written{w}
		}
	}
}

func (b *builder) writeName(d *draft, p *person, source, surname string) {
	first, last, middle := p.first.name, surname, ""
	if len(p.first.short) > 0 && b.hits(&b.shares.Nickname) {
		first = pick(b.chance, p.first.short)
		d.trouble(Nickname)
	}
	if p.patronymic != "" && (source == CRM || source == Till) && b.hits(&b.shares.Patronymic) {
		middle = p.patronymic
	}
	if source != Till && b.hits(&b.shares.FirstOnly) {
		last, middle = "", ""
		d.trouble(FirstOnly)
	}
	if (longEnough(first) || longEnough(last)) && b.hits(&b.shares.NameTypo) {
		if !longEnough(first) || longEnough(last) && b.odds(0.6) {
			last = b.slip(last)
		} else {
			first = b.slip(first)
		}
		d.trouble(NameTypo)
	}
	if hasYo(first+last+middle) && b.hits(&b.shares.YeForYo) {
		first, last, middle = withoutYo(first), withoutYo(last), withoutYo(middle)
		d.trouble(YeForYo)
	}
	if (source == Shop || source == Mailing) && !p.english && b.hits(&b.shares.Latin) {
		first, last = inLatin(first), inLatin(last)
		d.trouble(Latin)
	}
	name := &d.contact.Name
	inOnePiece := map[string]float64{CRM: 0.4, Till: 1, Mailing: 0.5, Shop: 0.3}
	if !b.odds(inOnePiece[source]) {
		if last != "" && b.hits(&b.shares.SwapFields) {
			first, last = last, first
			d.trouble(SwappedFields)
		}
		name.First, name.Middle, name.Last = first, middle, last
		return
	}
	surnameFirst := source == Till
	if last != "" && b.hits(&b.shares.NameOrder) {
		surnameFirst = !surnameFirst
		d.trouble(NameOrder)
	}
	parts := []string{first, middle, last}
	if surnameFirst {
		parts = []string{last, first, middle}
	}
	name.Full = strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
	if source == Till && b.odds(0.1) {
		name.Full = strings.ToUpper(name.Full)
	}
}

// put completes a draft and files it, with the truth about it.
func (b *builder) put(d *draft) {
	owner, source := d.entry.person.id, d.entry.source
	var merged []string
	if d.merged {
		merged = []string{b.nextKey(source, Contacts).Key}
	}
	key := b.nextKey(source, Contacts)
	truth := Known{Key: key, Kind: entity.KindContact, Owner: owner}
	b.fill(d, &truth)
	for _, card := range d.cards {
		d.contact.IDs = append(d.contact.IDs, entity.ID{Kind: "loyalty_card", Value: card})
		truth.addEvidence("loyalty_card:" + card)
	}
	updated := moment(d.when)
	d.contact.CreatedAt = &updated
	truth.Troubles = d.troubles
	slices.Sort(truth.Troubles)
	b.world.Contacts = append(b.world.Contacts, Record[entity.Contact]{
		Key: key, UpdatedAt: updated, MergedKeys: merged, Owner: owner, Data: d.contact,
	})
	b.world.Truth.Records = append(b.world.Truth.Records, truth)
	b.buyers = append(b.buyers, buyer{key: key, owner: owner})
}

// roomFor is how many addresses of a kind a source has fields for.
const roomFor = 3

// fill puts the addresses into the contact, several phones into one cell where the source does so.
func (b *builder) fill(d *draft, truth *Known) {
	d.phones, d.emails = fitting(d.phones), fitting(d.emails)
	var cells []string
	for _, w := range d.phones {
		cells = append(cells, w.text)
		d.trouble(w.troubles...)
		if w.junk {
			truth.addJunk("phone:" + w.normal)
		} else {
			truth.addEvidence("phone:" + w.normal)
		}
	}
	if len(cells) > 1 && b.hits(&b.shares.SharedCell) {
		d.trouble(SharedCell)
		cells = []string{strings.Join(cells, pick(b.chance, []string{", ", "; ", " / ", ","}))}
	}
	d.contact.Phones = entity.Addresses(cells...)
	var emails []string
	for _, w := range d.emails {
		emails = append(emails, w.text)
		d.trouble(w.troubles...)
		if w.junk {
			truth.addJunk("email:" + w.normal)
		} else {
			truth.addEvidence("email:" + w.normal)
		}
	}
	d.contact.Emails = entity.Addresses(emails...)
}

// fitting leaves out what a record has already, or has no room for.
func fitting(list []written) []written {
	var out []written
	for _, w := range list {
		if len(out) < roomFor && !slices.ContainsFunc(out, func(o written) bool { return o.normal == w.normal }) {
			out = append(out, w)
		}
	}
	return out
}

var dummyNames = []string{"Розничный покупатель", "Частное лицо", "Физ. лицо", "Покупатель", "Розница", "Гость", "Без имени"}

// enterDummies adds records that are about nobody: the till's retail customers, and what somebody once tried.
func (b *builder) enterDummies() {
	put := func(source string, contact entity.Contact, junk ...string) Key {
		key := b.nextKey(source, Contacts)
		b.world.Contacts = append(b.world.Contacts, Record[entity.Contact]{Key: key, UpdatedAt: moment(b.Float64()), Data: contact})
		b.world.Truth.Records = append(b.world.Truth.Records, Known{Key: key, Kind: entity.KindContact, Junk: junk, Troubles: []Trouble{Dummies}})
		return key
	}
	if b.shares.Dummy == 0 {
		return
	}
	for i := range max(1, int(b.shares.Dummy*float64(b.inTill)+0.5)) {
		contact := entity.Contact{Name: entity.Name{Full: dummyNames[i%len(dummyNames)]}}
		var junk []string
		if b.odds(0.3) {
			number := pick(b.chance, junkPhones)
			contact.Phones = entity.Addresses(number)
			junk = append(junk, "phone:"+number)
		}
		key := put(Till, contact, junk...)
		b.buyers = append(b.buyers, buyer{key: key, many: true})
	}
	tried := []string{"email:test@test.ru", "phone:+79999999999"}
	put(CRM, entity.Contact{Name: entity.Name{First: "Тест", Last: "Тестов"}, Emails: entity.Addresses("test@test.ru"), Phones: entity.Addresses("+79999999999")}, tried...)
	put(Shop, entity.Contact{Name: entity.Name{First: "test"}, Emails: entity.Addresses("test@test.ru"), Phones: entity.Addresses("89999999999")}, tried...)
}

// enterCompanies enters the companies into the CRM and the till, where branches have records of their own.
func (b *builder) enterCompanies() {
	for _, c := range b.companies {
		crm := b.odds(0.9)
		if crm {
			c.crmKey = b.putCompany(c, CRM, 0.6, "", nil).Key
			if b.hits(&b.shares.Duplicate) {
				b.putCompany(c, CRM, 0.6, "", []Trouble{Duplicate})
			}
		}
		if !crm || b.odds(0.7) {
			b.putCompany(c, Till, 0.9, c.kpp, nil)
			if c.branchKPP != "" {
				b.putCompany(c, Till, 0.9, c.branchKPP, []Trouble{Branches})
			}
		}
	}
}

func (b *builder) putCompany(c *company, source string, inn float64, kpp string, troubles []Trouble) Key {
	key := b.nextKey(source, Companies)
	d := &draft{when: b.Float64(), troubles: troubles}
	truth := Known{Key: key, Kind: entity.KindCompany, Owner: c.id}
	data := entity.Company{Name: b.writeCompany(c.name), Place: entity.Place{City: c.city}}
	known := b.odds(inn)
	if known {
		data.IDs = append(data.IDs, entity.ID{Kind: "inn", Value: c.inn})
		truth.addEvidence("inn:" + c.inn)
		if kpp != "" {
			data.IDs = append(data.IDs, entity.ID{Kind: "kpp", Value: kpp})
		}
	}
	if !known || b.odds(0.7) {
		w := b.writePhone(c.office, "", "")
		w.text = strings.TrimSpace(w.text)
		d.phones = append(d.phones, w)
	}
	if b.odds(0.5) {
		d.emails = append(d.emails, b.writeEmail(c.info))
	}
	b.fill(d, &truth)
	data.Phones, data.Emails = d.contact.Phones, d.contact.Emails
	updated := moment(d.when)
	data.CreatedAt = &updated
	truth.Troubles = d.troubles
	slices.Sort(truth.Troubles)
	b.world.Companies = append(b.world.Companies, Record[entity.Company]{Key: key, UpdatedAt: updated, Owner: c.id, Data: data})
	b.world.Truth.Records = append(b.world.Truth.Records, truth)
	if source == Till {
		b.buyers = append(b.buyers, buyer{key: key, owner: c.id})
	}
	return key
}

// writeCompany writes a company's name in one of the ways in use.
func (b *builder) writeCompany(name string) string {
	form, rest, _ := strings.Cut(name, " ")
	if form == "ИП" {
		return name
	}
	plain := strings.Trim(rest, "«»")
	switch b.IntN(4) {
	case 0:
		return form + ` "` + plain + `"`
	case 1:
		return plain + ", " + form
	case 2:
		return strings.ToUpper(form + " " + plain)
	default:
		return name
	}
}
