package world

import (
	"fmt"
	"slices"
	"strings"
)

// email is a mailbox. Its normal form is one for all spellings that the provider delivers to it.
type email struct {
	local, domain string // as the owner writes it
}

// normal is the mailbox's one form: lower case; of Gmail without dots and +tag; of Yandex, whose domains and whose dot
// and hyphen are the same, with hyphens at yandex.ru.
func (e *email) normal() string {
	local, domain := strings.ToLower(e.local), strings.ToLower(e.domain)
	switch {
	case domain == "gmail.com":
		local, _, _ = strings.Cut(strings.ReplaceAll(local, ".", ""), "+")
	case isYandex(domain):
		local, domain = strings.ReplaceAll(local, ".", "-"), yandexDomains[0]
	}
	return local + "@" + domain
}

var yandexDomains = []string{"yandex.ru", "ya.ru", "yandex.com"}

func isYandex(domain string) bool { return slices.Contains(yandexDomains, domain) }

// phone is a number in E.164.
type phone struct {
	number string
	region string // RU or KZ
	office bool
}

// Where mailboxes are; what many use is there several times.
var mailDomains = strings.Fields("gmail.com gmail.com gmail.com yandex.ru yandex.ru yandex.ru ya.ru mail.ru mail.ru mail.ru mail.ru bk.ru inbox.ru list.ru rambler.ru icloud.com outlook.com")

var (
	mobileCodes = strings.Fields("903 905 906 909 910 911 912 913 914 915 916 917 918 919 920 921 922 923 924 925 926 927 928 929 950 951 952 953 960 961 962 963 964 965 967 968 977 980 981 982 983 985 987 988 989 999")
	kazakhCodes = strings.Fields("701 702 705 707 747 771 775 776 777 778")
	cityCodes   = strings.Fields("495 499 812 343 383 846 843")
)

// Addresses that are nobody's. The call-tracking number is on the site for everybody who calls.
var (
	junkPhones = []string{"+79999999999", "+70000000000", callTracking, callTracking, callTracking, shopPhone}
	junkEmails = []string{"test@test.ru", "no@mail.ru", "a@a.ru", shopEmail, shopEmail}
)

const (
	callTracking = "+74951183344"
	shopPhone    = "+78005554321"
	shopEmail    = "zakaz@lavka-primer.ru"
)

func (b *builder) newPhone(region string, codes []string) *phone {
	for {
		p := &phone{number: "+7" + pick(b.chance, codes) + string(rune('1'+b.IntN(9))) + b.digits(6), region: region}
		if !b.taken[p.number] && p.number != callTracking {
			b.taken[p.number] = true
			return p
		}
	}
}

// newEmail makes an address such as people take: their name, a number, a year.
func (b *builder) newEmail(first, last string, year int) *email {
	first, last = strings.ToLower(inLatin(first)), strings.ToLower(inLatin(last))
	yearText := "19" + b.digits(2)
	if year > 0 {
		yearText = fmt.Sprint(year)
	}
	for try := 0; ; try++ {
		domain := pick(b.chance, mailDomains)
		separator := "."
		if !isYandex(domain) && domain != "gmail.com" && b.odds(0.4) {
			separator = "_"
		}
		var local string
		switch b.IntN(6) {
		case 0:
			local = first + separator + last
		case 1:
			local = last + separator + first
		case 2:
			local = first[:1] + separator + last
		case 3:
			local = last + yearText[2:]
		case 4:
			local = first + separator + last + yearText[2:]
		default:
			local = first + last + b.digits(2)
		}
		if try > 3 {
			local += b.digits(3)
		}
		e := &email{local: local, domain: domain}
		if normal := e.normal(); !b.taken[normal] {
			b.taken[normal] = true
			return e
		}
	}
}

// written is an address as it stands in a record, with the normal form that a reader can arrive at.
type written struct {
	text, normal string
	junk         bool
	troubles     []Trouble
}

func (b *builder) writeEmail(e *email) written {
	local, domain := e.local, e.domain
	var troubles []Trouble
	if domain == "gmail.com" && b.hits(&b.shares.GmailVariant) {
		troubles = append(troubles, GmailVariant)
		if without := strings.ReplaceAll(local, ".", ""); without != local && b.odds(0.5) {
			local = without
		} else if at := 1 + b.IntN(len(local)-1); local[at-1] != '.' && local[at] != '.' {
			local = local[:at] + "." + local[at:]
		} else {
			local += pick(b.chance, []string{"+shop", "+spam", "+news"})
		}
	}
	if isYandex(domain) && b.hits(&b.shares.YandexVariant) {
		troubles = append(troubles, YandexVariant)
		if with := strings.ReplaceAll(local, ".", "-"); with != local && b.odds(0.5) {
			local = with
		} else {
			domain = yandexDomains[(slices.Index(yandexDomains, domain)+1+b.IntN(2))%len(yandexDomains)]
		}
	}
	w := written{text: local + "@" + domain, normal: e.normal()}
	if b.hits(&b.shares.EmailTypo) {
		troubles = append(troubles, EmailTypo)
		wrong := &email{local: local, domain: domain}
		if name, rest, _ := strings.Cut(domain, "."); longEnough(name) && b.odds(0.4) {
			wrong.domain = b.slip(name) + "." + rest
		} else {
			for wrong.local == local || strings.Contains(wrong.local, "..") || strings.HasSuffix(wrong.local, ".") {
				wrong.local = b.slip(local)
			}
		}
		w = written{text: wrong.local + "@" + wrong.domain, normal: wrong.normal()}
	}
	if b.hits(&b.shares.EmailCase) {
		troubles = append(troubles, EmailCase)
		if b.odds(0.5) {
			w.text = strings.ToUpper(w.text[:1]) + w.text[1:]
		} else {
			w.text = strings.ToUpper(w.text)
		}
	}
	w.troubles = troubles
	return w
}

func (b *builder) writePhone(p *phone, extension, name string) written {
	number := p.number
	var troubles []Trouble
	if b.hits(&b.shares.PhoneTypo) {
		troubles = append(troubles, PhoneTypo)
		at := 6 + b.IntN(len(number)-6)
		number = number[:at] + string('0'+(number[at]-'0'+1+byte(b.IntN(9)))%10) + number[at+1:]
	}
	w := written{text: number, normal: number}
	if b.hits(&b.shares.PhoneSpelling) {
		troubles = append(troubles, PhoneSpelling)
		w.text = b.spell(number[2:])
	}
	if p.office && extension != "" && b.hits(&b.shares.Extension) {
		troubles = append(troubles, Extension)
		w.text += pick(b.chance, []string{" доб. ", ", доб. ", " доб ", " ext. ", " вн. "}) + extension
	} else if b.hits(&b.shares.NameInCell) {
		troubles = append(troubles, NameInCell)
		w.text += " " + name
	}
	w.troubles = troubles
	return w
}

// spell writes the ten digits after +7 in one of the ways in use.
func (b *builder) spell(digits string) string {
	code, three, two, last := digits[:3], digits[3:6], digits[6:8], digits[8:]
	switch b.IntN(9) {
	case 0:
		return "+7 (" + code + ") " + three + "-" + two + "-" + last
	case 1:
		return "8 (" + code + ") " + three + "-" + two + "-" + last
	case 2:
		return "8" + digits
	case 3:
		return "7" + digits
	case 4:
		return "8-" + code + "-" + three + "-" + two + "-" + last
	case 5:
		return "+7 " + code + " " + three + " " + two + " " + last
	case 6:
		return "8(" + code + ")" + three + two + last
	case 7:
		return "+7\u00a0" + code + "\u00a0" + three + "‑" + two + "‑" + last
	default:
		return digits
	}
}
