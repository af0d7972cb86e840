package world

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// given is a first name with the patronymics made of it and its short forms.
type given struct {
	name, son, daughter string
	short               []string
}

var men = []given{
	{"Александр", "Александрович", "Александровна", []string{"Саша", "Шура", "Алекс"}},
	{"Сергей", "Сергеевич", "Сергеевна", []string{"Серёжа"}},
	{"Дмитрий", "Дмитриевич", "Дмитриевна", []string{"Дима", "Митя"}},
	{"Андрей", "Андреевич", "Андреевна", []string{"Андрюша"}},
	{"Алексей", "Алексеевич", "Алексеевна", []string{"Лёша", "Алёша"}},
	{"Максим", "Максимович", "Максимовна", []string{"Макс"}},
	{"Евгений", "Евгеньевич", "Евгеньевна", []string{"Женя"}},
	{"Иван", "Иванович", "Ивановна", []string{"Ваня"}},
	{"Михаил", "Михайлович", "Михайловна", []string{"Миша"}},
	{"Артём", "Артёмович", "Артёмовна", []string{"Тёма"}},
	{"Николай", "Николаевич", "Николаевна", []string{"Коля"}},
	{"Владимир", "Владимирович", "Владимировна", []string{"Вова", "Володя"}},
	{"Павел", "Павлович", "Павловна", []string{"Паша"}},
	{"Роман", "Романович", "Романовна", []string{"Рома"}},
	{"Илья", "Ильич", "Ильинична", []string{"Илюша"}},
	{"Кирилл", "Кириллович", "Кирилловна", nil},
	{"Юрий", "Юрьевич", "Юрьевна", []string{"Юра"}},
	{"Виктор", "Викторович", "Викторовна", []string{"Витя"}},
	{"Олег", "Олегович", "Олеговна", nil},
	{"Игорь", "Игоревич", "Игоревна", []string{"Игорёк"}},
	{"Константин", "Константинович", "Константиновна", []string{"Костя"}},
	{"Денис", "Денисович", "Денисовна", nil},
	{"Антон", "Антонович", "Антоновна", []string{"Антоша"}},
	{"Никита", "Никитич", "Никитична", nil},
	{"Фёдор", "Фёдорович", "Фёдоровна", []string{"Федя"}},
	{"Пётр", "Петрович", "Петровна", []string{"Петя"}},
	{"Семён", "Семёнович", "Семёновна", []string{"Сёма"}},
	{"Григорий", "Григорьевич", "Григорьевна", []string{"Гриша"}},
	{"Вячеслав", "Вячеславович", "Вячеславовна", []string{"Слава"}},
	{"Станислав", "Станиславович", "Станиславовна", []string{"Стас", "Слава"}},
	{"Тимур", "Тимурович", "Тимуровна", nil},
	{"Руслан", "Русланович", "Руслановна", nil},
	{"Георгий", "Георгиевич", "Георгиевна", []string{"Жора", "Гоша"}},
	{"Глеб", "Глебович", "Глебовна", nil},
	{"Лев", "Львович", "Львовна", []string{"Лёва"}},
}

var women = []given{
	{name: "Елена", short: []string{"Лена"}},
	{name: "Ольга", short: []string{"Оля"}},
	{name: "Наталья", short: []string{"Наташа", "Ната"}},
	{name: "Анна", short: []string{"Аня", "Нюра"}},
	{name: "Татьяна", short: []string{"Таня"}},
	{name: "Ирина", short: []string{"Ира"}},
	{name: "Екатерина", short: []string{"Катя"}},
	{name: "Мария", short: []string{"Маша"}},
	{name: "Светлана", short: []string{"Света"}},
	{name: "Анастасия", short: []string{"Настя"}},
	{name: "Юлия", short: []string{"Юля"}},
	{name: "Людмила", short: []string{"Люда", "Мила"}},
	{name: "Марина"},
	{name: "Александра", short: []string{"Саша", "Шура"}},
	{name: "Дарья", short: []string{"Даша"}},
	{name: "Евгения", short: []string{"Женя"}},
	{name: "Виктория", short: []string{"Вика"}},
	{name: "Ксения", short: []string{"Ксюша"}},
	{name: "Алёна"},
	{name: "Полина", short: []string{"Поля"}},
	{name: "Вера"},
	{name: "Надежда", short: []string{"Надя"}},
	{name: "Любовь", short: []string{"Люба"}},
	{name: "Галина", short: []string{"Галя"}},
	{name: "Валентина", short: []string{"Валя"}},
	{name: "Софья", short: []string{"Соня"}},
	{name: "Елизавета", short: []string{"Лиза"}},
	{name: "Оксана", short: []string{"Ксана"}},
	{name: "Кристина"},
	{name: "Алина"},
	{name: "Яна"},
	{name: "Тамара", short: []string{"Тома"}},
	{name: "Варвара", short: []string{"Варя"}},
	{name: "Зоя"},
	{name: "Маргарита", short: []string{"Рита"}},
}

// surnames in the masculine form.
var surnames = strings.Fields(`Иванов Смирнов Кузнецов Попов Васильев Петров Соколов Михайлов Новиков Фёдоров Морозов Волков
	Алексеев Лебедев Семёнов Егоров Павлов Козлов Степанов Николаев Орлов Андреев Макаров Никитин Захаров Зайцев Соловьёв
	Борисов Яковлев Григорьев Романов Воробьёв Сергеев Кузьмин Фролов Александров Дмитриев Королёв Гусев Киселёв Ильин
	Максимов Поляков Сорокин Виноградов Ковалёв Белов Медведев Антонов Тарасов Жуков Баранов Филиппов Комаров Давыдов
	Беляев Герасимов Богданов Осипов Сидоров Матвеев Титов Марков Миронов Крылов Куликов Карпов Власов Мельников Денисов
	Гаврилов Тихонов Казаков Афанасьев Данилов Савельев Тимофеев Фомин Чернов Абрамов Мартынов Ефимов Федотов Щербаков
	Назаров Калинин Исаев Чернышёв Быков Маслов Родионов Коновалов Лазарев Воронин Климов Филатов Пономарёв Голубев
	Кудрявцев Прохоров Наумов Потапов Журавлёв Овчинников Трофимов Леонов Соболев Ермаков Колесников Гончаров Емельянов
	Никифоров Грачёв Котов Гришин Ефремов Архипов Громов Кириллов Малышев Панов Моисеев Румянцев Акимов Кондратьев Бирюков
	Горбунов Анисимов Ерёмин Тихомиров Галкин Лукьянов Михеев Скворцов Юдин Белоусов Нестеров Симонов Прокофьев Харитонов
	Князев Цветков Левин Митрофанов Воронов Аксёнов Софронов Мальцев Логинов Горшков Савин Краснов Майоров Демидов Елисеев
	Рыбаков Сафонов Плотников Демин Хохлов Фадеев Молчанов Игнатов Литвинов Ершов Ушаков Дементьев Рябов Мухин Калашников
	Леонтьев Лобанов Кузин Корнеев Евдокимов Бородин Платонов Некрасов Балашов Бобров Жданов Блинов Игнатьев Коротков
	Муравьёв Крюков Беспалов Троицкий Чайковский Вишневский Каменский Белинский Озёрский Крутой Толстой Бондаренко Шевченко
	Коваленко Кравченко Ткаченко Савченко Мельник Коваль Гайдук Саркисян Петросян Ахметов Хабибуллин Нурланов`)

// English first names, with short forms, and surnames.
var (
	englishMen = []given{
		{name: "Michael", short: []string{"Mike"}},
		{name: "William", short: []string{"Bill", "Will"}},
		{name: "Robert", short: []string{"Bob"}},
		{name: "James", short: []string{"Jim"}},
		{name: "Thomas", short: []string{"Tom"}},
		{name: "Daniel", short: []string{"Dan"}},
		{name: "Andrew", short: []string{"Andy"}},
		{name: "Steven", short: []string{"Steve"}},
		{name: "Peter"},
		{name: "George"},
	}
	englishWomen = []given{
		{name: "Elizabeth", short: []string{"Liz", "Beth"}},
		{name: "Katherine", short: []string{"Kate"}},
		{name: "Margaret", short: []string{"Maggie"}},
		{name: "Jennifer", short: []string{"Jenny"}},
		{name: "Susan", short: []string{"Sue"}},
		{name: "Emma"},
		{name: "Alice"},
		{name: "Laura"},
		{name: "Rebecca", short: []string{"Becky"}},
		{name: "Charlotte"},
	}
	englishSurnames = strings.Fields("Smith Johnson Brown Taylor Wilson Davies Evans Walker Wright Robinson Thompson White Hughes Edwards Green Hall Wood Harris Clarke Turner")
)

// surnameOf gives a surname its gendered form: Иванова, Троицкая, Толстая; others do not change.
func surnameOf(masculine string, male bool) string {
	if male {
		return masculine
	}
	for _, ending := range []string{"ов", "ев", "ёв", "ин", "ын"} {
		if strings.HasSuffix(masculine, ending) {
			return masculine + "а"
		}
	}
	for _, ending := range []string{"ий", "ый", "ой"} {
		if stem, found := strings.CutSuffix(masculine, ending); found {
			return stem + "ая"
		}
	}
	return masculine
}

var latin = map[rune]string{
	'а': "a", 'б': "b", 'в': "v", 'г': "g", 'д': "d", 'е': "e", 'ё': "e", 'ж': "zh", 'з': "z", 'и': "i", 'й': "y", 'к': "k", 'л': "l",
	'м': "m", 'н': "n", 'о': "o", 'п': "p", 'р': "r", 'с': "s", 'т': "t", 'у': "u", 'ф': "f", 'х': "kh", 'ц': "ts", 'ч': "ch", 'ш': "sh",
	'щ': "shch", 'ъ': "", 'ы': "y", 'ь': "", 'э': "e", 'ю': "yu", 'я': "ya",
}

// inLatin writes a Russian text in Latin letters.
func inLatin(s string) string {
	var out strings.Builder
	for _, c := range s {
		lower := unicode.ToLower(c)
		text, russian := latin[lower]
		switch {
		case !russian:
			out.WriteRune(c)
		case c != lower && text != "":
			out.WriteString(strings.ToUpper(text[:1]) + text[1:])
		default:
			out.WriteString(text)
		}
	}
	return out.String()
}

// neighbours are letters next to each other on a keyboard, or that sound alike.
var neighbours = map[rune]string{
	'а': "оя", 'о': "ал", 'е': "ик", 'и': "еы", 'в': "ыф", 'к': "ег", 'н': "гм", 'р': "пт", 'с': "чз", 'т': "дь", 'л': "дь", 'м': "нс", 'д': "тл",
	'a': "se", 'e': "ai", 'i': "ey", 'o': "ap", 'n': "mb", 'r': "te", 's': "az", 't': "dr", 'l': "k", 'm': "n", 'd': "t",
}

// slip makes one mistake of a typist: a letter left out, doubled, swapped with the next or replaced. The first
// letter stays. Words of fewer than four letters come back as they are.
func (b *builder) slip(word string) string {
	letters := []rune(word)
	if len(letters) < 4 {
		return word
	}
	for {
		out := make([]rune, 0, len(letters)+1)
		i := 1 + b.IntN(len(letters)-2)
		out = append(out, letters[:i]...)
		switch b.IntN(4) {
		case 0:
		case 1:
			out = append(out, letters[i], letters[i])
		case 2:
			out = append(out, letters[i+1], letters[i])
			i++
		default:
			near := []rune(neighbours[letters[i]])
			if len(near) == 0 {
				continue
			}
			out = append(out, pick(b.chance, near))
		}
		out = append(out, letters[i+1:]...)
		if string(out) != word {
			return string(out)
		}
	}
}

func withoutYo(s string) string { return strings.NewReplacer("ё", "е", "Ё", "Е").Replace(s) }

func hasYo(s string) bool { return strings.ContainsAny(s, "ёЁ") }

func longEnough(s string) bool { return utf8.RuneCountInString(s) >= 4 }

// slug is a name as it stands in the domain of a site.
func slug(name string) string { return strings.ToLower(inLatin(name)) }
