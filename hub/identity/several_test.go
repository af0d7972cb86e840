package identity_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
)

func TestPhones(t *testing.T) {
	for in, want := range map[string][]string{
		"8 (912) 345-67-89 Мария":               {"+79123456789"},
		"89123456789, 8-913-345-67-89":          {"+79123456789", "+79133456789"},
		"8 912 345 67 89 и 8 913 345 67 89":     {"+79123456789", "+79133456789"},
		"+7 495 123-45-67 доб. 12; 79123456789": {"+74951234567", "+79123456789"},
		"8 495 123-45-67 #12":                   {"+74951234567"},
		"8 495 123-45-67 вн. 12":                {"+74951234567"},
		"8 701 234 56 78":                       {"+77012345678"},
		"＋７ ９１２ ３４５ ６７ ８９":                      {"+79123456789"},
		"\U0001F4DE 8\u00a0912\u00a0345-67-89":  {"+79123456789"},
		"123-45-67":                             nil,
		"нет":                                   nil,
	} {
		assert.Equal(t, want, identity.Phones(in, "RU"), "%q", in)
	}
}

func TestEmails(t *testing.T) {
	for in, want := range map[string][]string{
		"a@b.ru; c@d.ru":          {"a@b.ru", "c@d.ru"},
		"Имя <a@b.ru>":            {"a@b.ru"},
		"mailto:A@b.ru?subject=x": {"a@b.ru"},
		"a@gmial.com":             {"a@gmial.com"},
		"нет":                     nil,
	} {
		assert.Equal(t, want, identity.Emails(in), "%q", in)
	}
}

func TestMailbox(t *testing.T) {
	for in, want := range map[string]string{
		"an.n+x@googlemail.com": "ann@gmail.com",
		"an.n+x@ya.ru":          "an-n@yandex.ru",
		"an-n@yandex.com":       "an-n@yandex.ru",
		"an.n+x@mail.example":   "an.n+x@mail.example",
	} {
		assert.Equal(t, want, identity.Mailbox(in))
	}
}

func TestSameName(t *testing.T) {
	full := func(s string) entity.Name { return entity.Name{Full: s} }
	for _, test := range []struct {
		a, b string
		want identity.Likeness
	}{
		{"Пётр Иванов", "ИВАНОВ Петр Сергеевич", identity.SameNames},
		{"Саша Петрова", "Александра Петрова", identity.SameNames},
		{"Мария Кузнецова", "Maria Kuznetsova", identity.SameNames},
		{"И. Иванов", "Иван Иванов", identity.SameNames},
		{"Мария Кузнецова", "Мария Орлова", identity.OtherSurname},
		{"Маша", "Мария Орлова", identity.CompatibleNames},
		{"Мария Орлова", "Иван Орлов", identity.DifferentNames},
		{"Мария Орлова", "Иван Петров", identity.DifferentNames},
		{"", "Иван Петров", identity.UnknownNames},
		{"zaika77", "Иван Петров", identity.UnknownNames},
		{"Александр Петров", "Александра Петрова", identity.DifferentNames},
		{"Саша Петров", "Александра Петрова", identity.DifferentNames},
		{"Саша Петрова", "Александра", identity.CompatibleNames},
		{"Евгений", "Евгения", identity.DifferentNames},
		{"Женя", "Евгения", identity.CompatibleNames},
		{"Валентин Ким", "Валентина Ким", identity.DifferentNames},
		{"Марина Ким", "Мария Ким", identity.DifferentNames},
		{"Анна Ким", "Инна Ким", identity.DifferentNames},
		{"Слава Ким", "Вячеслав Ким", identity.SameNames},
		{"Слава Ким", "Владислав Ким", identity.SameNames},
		{"Вячеслав Ким", "Владислав Ким", identity.DifferentNames},
		{"Алексадр Петров", "Петров Саша", identity.SameNames},
		{"Екатреина Кузнецова", "Катя Кузнцова", identity.SameNames},
		{"Наталия Троицкая", "Natalya Troitskaya", identity.SameNames},
		{"Shcherbakov Alexey", "Алексей Щербаков", identity.SameNames},
		{"Майоров Фёдор", "Fedor Mayorov", identity.SameNames},
		{"Иван Петрович Орлов", "Иван Иванович Орлов", identity.DifferentNames},
		{"Иван Петрович", "Орлов Иван", identity.CompatibleNames},
		{"Орлов", "Иван Орлов", identity.CompatibleNames},
		{"Хабиба Ахметова", "Ахметова Хабиба", identity.SameNames},
	} {
		assert.Equal(t, test.want, identity.SameName(full(test.a), full(test.b)), "%s, %s", test.a, test.b)
		assert.Equal(t, test.want, identity.SameName(full(test.b), full(test.a)), "%s, %s", test.b, test.a)
	}
}

func TestDummy(t *testing.T) {
	for _, name := range []string{"Розничный покупатель", "Физ. лицо", "ГОСТЬ", "Интернет-заказ", "Walk-in", "Cash customer"} {
		assert.True(t, identity.Dummy(name), name)
	}
	for _, name := range []string{"", "Гость Иван", "Анна Гость", "ООО Розница плюс"} {
		assert.False(t, identity.Dummy(name), name)
	}
}

func TestIsAnonymous(t *testing.T) {
	rules := identity.DefaultRules()
	rules.Anonymous = []identity.Glob{glob(t, "заказ с сайта*")}
	assert.True(t, rules.IsAnonymous("Розничный покупатель"))
	assert.True(t, rules.IsAnonymous("ЗАКАЗ с сайта №17"))
	assert.False(t, rules.IsAnonymous("Иван Заказов"))
	assert.False(t, rules.IsAnonymous(""))
}

func TestJunkNeverJoins(t *testing.T) {
	rules := identity.DefaultRules()
	for _, value := range []string{
		"test@test.ru", "test@mail.ru", "a@a.ru", "noemail@shop.example", "no@mail.ru", "none@none.com", "net@net.ru",
		"mail@mail.ru", "no-reply@shop.example",
	} {
		assert.False(t, rules.Joins(customer.Identifier{Kind: identity.EmailKind, Value: value}), value)
	}
	for _, value := range []string{"tester@mail.ru", "lavka@lavka.ru", "nono@mail.ru", "annet@mail.ru", "test@shop.example", "x@example.com"} {
		assert.True(t, rules.Joins(customer.Identifier{Kind: identity.EmailKind, Value: value}), value)
	}
	for value, joins := range map[string]bool{"+79999999999": false, "+70000000000": false, "+79991234567": true, "+79995555555": true, "+79161234576": true} {
		assert.Equal(t, joins, rules.Joins(customer.Identifier{Kind: identity.PhoneKind, Value: value}), value)
	}
}

func TestPhoneCountry(t *testing.T) {
	for number, want := range map[string]string{"+79161234576": "RU", "+77011234576": "KZ", "+74951234567": "RU", "+375291234567": "BY", "none": ""} {
		assert.Equal(t, want, identity.PhoneCountry(number), number)
	}
}

func TestFindJunk(t *testing.T) {
	got := identity.FindJunk([]identity.IdentifierStats{
		{Kind: identity.PhoneKind, Value: "+79999999999", Records: 40, Names: 30},
		{Kind: identity.EmailKind, Value: "test@test.ru", Records: 5, Names: 2},
		{Kind: identity.EmailKind, Value: "hello@shop.example", Records: 9, Names: 2},
		{Kind: identity.PhoneKind, Value: "+74951234568", Records: 30, Names: 20},
		{Kind: identity.PhoneKind, Value: "+79123456789", Records: 9, Names: 3},
		{Kind: identity.PhoneKind, Value: "+79991234567", Records: 4, Names: 3},
	}, identity.Shop{Domains: []string{"shop.example"}})
	var reasons []identity.JunkReason
	for _, junk := range got {
		reasons = append(reasons, junk.Reason)
	}
	assert.Equal(t, []identity.JunkReason{identity.JunkShape, identity.JunkFrequency, identity.JunkOwn, identity.JunkShape, identity.JunkShape}, reasons)
}

func TestValidINN(t *testing.T) {
	for value, want := range map[string]bool{
		"7707083893": true, "7707083894": false, "500100732259": true, "500100732258": false, "0000000000": false, "77070838": false, "77070838a3": false,
	} {
		assert.Equal(t, want, identity.ValidINN(value), value)
	}
}
