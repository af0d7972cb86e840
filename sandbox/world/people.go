package world

import (
	"fmt"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
)

// person is somebody who lives in the city. Times are parts of the world's history, 0 to 1; what happened at 0 always was.
type person struct {
	id         string
	male       bool
	english    bool
	first      given
	patronymic string
	surname    string // in its gendered form
	born       entity.Date
	city       string
	adult      bool

	maidenName string // surname until married
	marriedAt  float64
	lastCity   string // city until moved
	movedAt    float64

	mobile, second *phone
	formerMobile   *phone
	changedAt      float64
	recycled       bool // the mobile had another owner before
	email, other   *email
	card, newCard  string

	// Whose phone or address the person gives; onlyTheirs: they give none of their own.
	phoneOf, emailOf *person
	onlyTheirs       bool

	at        *company
	extension string
	workEmail *email
}

type company struct {
	id        string
	name      string
	inn, kpp  string
	branchKPP string // of a second till record, of a branch
	domain    string
	office    *phone
	info      *email
	city      string
	employees []*person
	crmKey    string
}

var cities = []string{"Москва", "Санкт-Петербург", "Казань", "Самара", "Екатеринбург", "Новосибирск", "Тверь", "Тула", "Ярославль", "Алматы"}

// settleCity makes people, most of them in families, and the companies they work at.
func (b *builder) settleCity() {
	for range max(1, b.world.Config.People/12) {
		b.companies = append(b.companies, b.newCompany())
	}
	for len(b.people) < b.world.Config.People {
		left := b.world.Config.People - len(b.people)
		size := 1
		if b.hits(&b.shares.Family) && left > 1 {
			size = min(left, 2+pickEarly(b.chance, []int{0, 1, 2, 3}))
		}
		b.addFamily(size)
	}
	inFamilies := 0
	for _, family := range b.families {
		inFamilies += len(family)
	}
	// Shares of all people, met by those who have a family.
	raise := float64(len(b.people)) / float64(max(1, inFamilies))
	for _, family := range b.families {
		for _, p := range family {
			b.shareWithFamily(p, family, raise)
		}
	}
	for _, p := range b.people {
		b.met(&b.shares.FamilyPhone, p.phoneOf != nil)
		b.met(&b.shares.FamilyEmail, p.emailOf != nil)
	}
}

// addFamily adds parents, and children from the third on.
func (b *builder) addFamily(size int) {
	surname := pick(b.chance, surnames)
	city := pickEarly(b.chance, cities)
	english := b.hits(&b.shares.English)
	if english {
		surname = pick(b.chance, englishSurnames)
	}
	var family []*person
	for i := range size {
		p := &person{id: fmt.Sprintf("p%05d", len(b.people)+1), english: english, city: city, adult: i < 2, male: b.odds(0.5)}
		if i == 1 {
			p.male = !family[0].male
		}
		p.surname = surnameOf(surname, p.male)
		year := 1950 + b.IntN(50)
		var father *person
		if i >= 2 {
			father = family[0]
			if !father.male {
				father = family[1]
			}
			year = 2004 + b.IntN(8)
		} else if i == 1 {
			born, _, _ := family[0].born.Calendar()
			year = min(1999, max(1950, born-5+b.IntN(10)))
		}
		p.born = entity.NewDate(year, 1, 1) + entity.Date(b.IntN(365))
		p.first = b.firstName(p, family)
		if !english {
			named := pickEarly(b.chance, men)
			if father != nil {
				named = father.first
			}
			p.patronymic = named.daughter
			if p.male {
				p.patronymic = named.son
			}
		}
		b.giveAddresses(p)
		if b.hits(&b.shares.Moved) {
			p.lastCity, p.movedAt = pick(b.chance, cities), b.Float64()
		}
		family = append(family, p)
		b.people = append(b.people, p)
		b.changeLife(p, i)
	}
	if size > 1 {
		b.families = append(b.families, family)
	}
}

// firstName picks a name that nobody in the family has, unless a child is named after a parent.
func (b *builder) firstName(p *person, family []*person) given {
	from := men
	switch {
	case p.english && p.male:
		from = englishMen
	case p.english:
		from = englishWomen
	case !p.male:
		from = women
	}
	if !p.adult {
		for _, parent := range family[:2] {
			taken := slices.ContainsFunc(family[2:], func(other *person) bool { return other.first.name == parent.first.name })
			if parent.male == p.male && !taken && b.hits(&b.shares.Namesake) {
				return parent.first
			}
		}
	}
	for {
		name := pickEarly(b.chance, from)
		if !slices.ContainsFunc(family, func(other *person) bool { return other.first.name == name.name }) {
			return name
		}
	}
}

func (b *builder) giveAddresses(p *person) {
	region, codes := "RU", mobileCodes
	if b.hits(&b.shares.Kazakh) {
		region, codes = "KZ", kazakhCodes
	}
	p.mobile = b.newPhone(region, codes)
	if b.hits(&b.shares.SecondPhone) {
		p.second = b.newPhone(region, codes)
		if b.odds(0.2) {
			p.second = b.newPhone("RU", cityCodes)
		}
	}
	year, _, _ := p.born.Calendar()
	p.email = b.newEmail(p.first.name, p.surname, year)
	if b.hits(&b.shares.SecondEmail) {
		p.other = b.newEmail(p.first.name, p.surname, year)
	}
	p.card = b.newCard()
}

func (b *builder) newCard() string {
	for {
		card := "29" + b.digits(8)
		if !b.taken[card] {
			b.taken[card] = true
			return card
		}
	}
}

// changeLife marries, changes numbers, and employs.
func (b *builder) changeLife(p *person, place int) {
	// Only women who are one of two parents change the surname, so they have to be met more often.
	if eligible := !p.male && p.adult && place < 2; eligible {
		if b.odds(min(1, 2.7*b.shares.ChangedName)) {
			for p.maidenName == "" || p.maidenName == p.surname {
				p.maidenName = surnameOf(pick(b.chance, surnames), false)
				if p.english {
					p.maidenName = pick(b.chance, englishSurnames)
				}
			}
			p.marriedAt = 0.2 + 0.6*b.Float64()
		}
	}
	b.met(&b.shares.ChangedName, p.maidenName != "")
	if b.hits(&b.shares.ChangedPhone) {
		p.formerMobile, p.changedAt = p.mobile, 0.2+0.6*b.Float64()
		b.givenUp = append(b.givenUp, p.formerMobile)
		p.mobile = b.newPhone("RU", mobileCodes)
	}
	if len(b.givenUp) > 0 && p.formerMobile == nil && b.hits(&b.shares.RecycledPhone) {
		p.mobile, p.recycled = b.givenUp[0], true
		b.givenUp = b.givenUp[1:]
	}
	if p.adult && b.hits(&b.shares.Employed) {
		p.at = pick(b.chance, b.companies)
		p.at.employees = append(p.at.employees, p)
		p.extension = fmt.Sprint(100 + len(p.at.employees))
		p.workEmail = b.newEmail(p.first.name, p.surname, 0)
		p.workEmail.domain = p.at.domain
		for b.taken[p.workEmail.normal()] {
			p.workEmail.local += b.digits(1)
		}
		b.taken[p.workEmail.normal()] = true
	}
}

// shareWithFamily has some people give the phone or address of a relative: the first of a family the second's, the
// others a parent's. Children do so more often.
func (b *builder) shareWithFamily(p *person, family []*person, raise float64) {
	of := family[0]
	if of == p || !p.adult && b.odds(0.6) {
		of = family[1]
	}
	if of == p {
		return
	}
	if p.adult {
		raise *= 0.75
	} else {
		raise *= 1.5
	}
	namesake := func(other *person) bool {
		uses := other == of || other.phoneOf == of || other.emailOf == of
		return uses && other != p && other.first.name == p.first.name
	}
	if slices.ContainsFunc(family, namesake) {
		// With the surname in common too, nothing could tell the two from one person who is in the records twice. In life
		// it hardly ever happens; here it would be luck and not skill that decides a score.
		return
	}
	if of.phoneOf == nil && b.odds(raise*b.shares.FamilyPhone) {
		p.phoneOf = of
	}
	if of.emailOf == nil && b.odds(raise*b.shares.FamilyEmail) {
		p.emailOf = of
	}
	p.onlyTheirs = b.odds(0.5)
}

var (
	trades    = []string{"Строй", "Агро", "Тех", "Мед", "Авто", "Эко", "Мир", "Торг", "Транс", "Пром", "Мета", "Спец"}
	endings   = []string{"Сервис", "Групп", "Инвест", "Снаб", "Проект", "Мастер", "Плюс", "Ресурс", "Лайн", "Центр"}
	taxRegion = []string{"7701", "7702", "7736", "7801", "1650", "6316", "6670", "5406", "6901", "7107"}
)

func (b *builder) newCompany() *company {
	c := &company{id: fmt.Sprintf("c%04d", len(b.companies)+1), city: pickEarly(b.chance, cities)}
	region := pick(b.chance, taxRegion)
	name := pick(b.chance, trades) + pick(b.chance, endings)
	form := pick(b.chance, []string{"ООО", "ООО", "ООО", "АО"})
	c.name = form + " «" + name + "»"
	c.inn, c.kpp = companyINN(region+b.digits(5)), region+"01001"
	if b.odds(0.1) {
		male := b.odds(0.5)
		first := pick(b.chance, men)
		if !male {
			first = pick(b.chance, women)
		}
		surname := surnameOf(pick(b.chance, surnames), male)
		c.name, c.inn, c.kpp = "ИП "+surname+" "+first.name, personINN(region+b.digits(6)), ""
		name = surname
	}
	for b.taken[c.inn] {
		c.inn = companyINN(region + b.digits(5))
	}
	b.taken[c.inn] = true
	if c.kpp != "" && b.hits(&b.shares.Branch) {
		c.branchKPP = pick(b.chance, taxRegion) + "43001"
	}
	c.domain = fmt.Sprintf("%s%d.ru", slug(name), len(b.companies)+1)
	c.office = b.newPhone("RU", cityCodes)
	c.office.office = true
	c.info = &email{local: pick(b.chance, []string{"info", "office", "mail"}), domain: c.domain}
	b.taken[c.info.normal()] = true
	return c
}

// companyINN adds the check digit to the first nine of a company's tax number.
func companyINN(nine string) string {
	return nine + checkDigit(nine, []int{2, 4, 10, 3, 5, 9, 4, 6, 8})
}

// personINN adds the two check digits to the first ten of a person's tax number.
func personINN(ten string) string {
	eleven := ten + checkDigit(ten, []int{7, 2, 4, 10, 3, 5, 9, 4, 6, 8})
	return eleven + checkDigit(eleven, []int{3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8})
}

func checkDigit(digits string, weights []int) string {
	sum := 0
	for i, weight := range weights {
		sum += weight * int(digits[i]-'0')
	}
	return fmt.Sprint(sum % 11 % 10)
}
